package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"repfuse/internal/hint"
)

// OpenRegular opens a file of so many bytes and nothing else: opening a pipe would wait for its writer.
func OpenRegular(path string) (f *File, size int64, err error) {
	info, err := os.Stat(path)
	if err == nil {
		err = regular(info)
	}
	if err != nil {
		return nil, 0, err
	}
	f, err = Open(path)
	return f, info.Size(), err
}

// Root is a directory that keeps to what is in it: an os.Root or a Folder.
type Root interface {
	Stat(name string) (fs.FileInfo, error)
	Lstat(name string) (fs.FileInfo, error)
	Open(name string) (*os.File, error)
}

// OpenFrom is OpenRegular of what a name stands for in a directory; a link that leads out of it has a hint.
func OpenFrom(root Root, name string) (*File, error) {
	info, err := root.Stat(name)
	if err == nil {
		err = regular(info)
	} else if link, e := root.Lstat(name); e == nil && link.Mode()&fs.ModeSymlink != 0 {
		err = hint.Add(Cause(err), "cp -rL copies the directory without its links")
	}
	if err != nil {
		return nil, err
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	return Take(f)
}

// regular is an error for what is no regular file.
func regular(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s, want a regular file", Kind(info.Mode()))
	}
	return nil
}

// Cause is what went wrong without the system call and the path: whoever tells it names the file.
func Cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// Kind says what a file is that is not regular.
func Kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}
