package npy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// maxName is the longest file name that common file systems take, in bytes.
const maxName = 255

// CreateDir makes a writer of files KEY.npy in an existing empty directory, which create makes. A file
// is opened when its first bytes come and closed by Done, so no more are open than
// are being written. A key that is no safe file name, or a type that numpy lacks, is an
// error before anything is written; a file that is there already is one when its turn comes.
func CreateDir(dir string, specs []tensor.Spec, create disk.Maker) (tensor.Writer, error) {
	tally, err := tensor.NewTally(specs)
	if err != nil {
		return nil, err
	}
	w := &dirWriter{dir, create, make([]outFile, len(specs)), tally}
	for i, s := range specs {
		if err := checkName(s.Key); err != nil {
			return nil, err
		}
		if err := checkSpec(s); err != nil {
			return nil, err
		}
		w.files[i].spec = s
	}
	return w, nil
}

// checkName is an error for a key that OpenDir would not find again under its name.
func checkName(key string) error {
	name := key + Ext
	switch {
	case key == "":
		return fmt.Errorf("an empty key cannot be a file name")
	case strings.HasPrefix(key, "."):
		return fmt.Errorf("key %q cannot be a file name: it begins with a dot", key)
	case strings.ContainsAny(key, "/\\\x00") || !filepath.IsLocal(name):
		return fmt.Errorf("key %q cannot be a file name", key)
	case len(name) > maxName:
		return fmt.Errorf("key %s cannot be a file name: %d bytes with %s, want at most %d", key, len(name), Ext, maxName)
	}
	return nil
}

// checkSpec is an error for a tensor that no .npy file can hold.
func checkSpec(s tensor.Spec) error {
	if _, err := AppendHeader(nil, s.Type, s.Shape); err != nil {
		return fmt.Errorf("%s: %w", s.Key, err)
	}
	if _, err := tensor.Count(s.Shape, s.Type); err != nil {
		return fmt.Errorf("%s: %w", s.Key, err)
	}
	return nil
}

type dirWriter struct {
	dir    string
	create disk.Maker
	files  []outFile
	tally  *tensor.Tally
}

// outFile is one tensor being written.
type outFile struct {
	spec tensor.Spec

	mu     sync.Mutex // of what follows
	file   *disk.File // nil before the first write and after Done
	offset int64      // of the elements
	done   bool
}

// WriteAt stores p at byte off of tensor i.
func (w *dirWriter) WriteAt(i int, p []byte, off int64) error {
	if err := w.tally.Take(i, len(p), off); err != nil {
		return err
	}
	o := &w.files[i]
	f, err := w.open(o)
	if err != nil {
		return fmt.Errorf("%s: %w", o.spec.Key, err)
	}
	_, err = f.WriteAt(p, o.offset+off)
	return err
}

// open gives the file, which it makes, with its header, the first time.
func (w *dirWriter) open(o *outFile) (*disk.File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done {
		return nil, os.ErrClosed
	}
	if o.file != nil {
		return o.file, nil
	}
	header, err := AppendHeader(nil, o.spec.Type, o.spec.Shape)
	if err != nil {
		return nil, err
	}
	f, err := w.create(filepath.Join(w.dir, o.spec.Key+Ext))
	if err != nil {
		return nil, err
	}
	if _, err := f.WriteAt(header, 0); err != nil {
		f.Close()
		return nil, err
	}
	o.file, o.offset = f, int64(len(header))
	return f, nil
}

// Done closes the file of tensor i. The CRC has no place in a .npy file.
func (w *dirWriter) Done(i int, _ uint32) error {
	if err := w.tally.Done(i); err != nil {
		return err
	}
	o := &w.files[i]
	f, err := w.open(o) // an empty tensor had no write that would have
	if err != nil {
		return fmt.Errorf("%s: %w", o.spec.Key, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.file, o.done = nil, true
	return f.Close()
}

// Close closes what is still open. A tensor that is not done is an error.
func (w *dirWriter) Close() error {
	for i := range w.files {
		o := &w.files[i]
		o.mu.Lock()
		if o.file != nil {
			o.file.Close()
		}
		o.file, o.done = nil, true
		o.mu.Unlock()
	}
	return w.tally.Whole()
}
