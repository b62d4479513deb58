package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// SmallLimit is how many bytes a file that is read whole may have: ten times the record of a
// checkpoint of 100,000 tensors.
const SmallLimit = 128 << 20

// Small reads a whole file that a stranger may have made: a regular file, for opening a pipe
// would wait for its writer, of at most SmallLimit bytes. Errors do not name the path; of a file
// that is not there it is fs.ErrNotExist.
func Small(path string) ([]byte, error) {
	return small(path, os.Stat, os.Open)
}

// SmallBeside is Small for a file that lies with a checkpoint: no symbolic link may lead out of
// the directory that it is in.
func SmallBeside(path string) ([]byte, error) {
	folder, err := OpenFolder(filepath.Dir(path))
	if err != nil {
		return nil, cause(err)
	}
	defer folder.Close()
	name := filepath.Base(path)
	return small(name, folder.Stat, folder.Open)
}

func small(path string, stat func(string) (fs.FileInfo, error), open func(string) (*os.File, error)) ([]byte, error) {
	info, err := stat(path)
	if err != nil {
		return nil, cause(err)
	}
	if err := fit(info); err != nil {
		return nil, err
	}
	f, err := open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	b := make([]byte, 0, info.Size()+1) // one more, to see the end without growing
	for len(b) <= SmallLimit {
		n, err := f.Read(b[len(b):cap(b)])
		if b = b[:len(b)+n]; err == io.EOF {
			return b, nil
		} else if err != nil {
			return nil, cause(err)
		}
		if len(b) == cap(b) { // it grows while it is read
			b = append(b, 0)[:len(b)]
		}
	}
	return nil, tooLong(int64(len(b)))
}

// fit is an error for what cannot be read whole.
func fit(info fs.FileInfo) error {
	if err := regular(info); err != nil {
		return err
	}
	if info.Size() > SmallLimit {
		return tooLong(info.Size())
	}
	return nil
}

func tooLong(n int64) error { return fmt.Errorf("%d bytes, want at most %d", n, SmallLimit) }

// cause is Cause, and fs.ErrNotExist of a file that is not there.
func cause(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fs.ErrNotExist
	}
	return Cause(err)
}
