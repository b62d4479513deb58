//go:build !linux

package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// File is an open regular file.
type File struct {
	*os.File
	given *given // of a file of Compare; else nil
}

// Open opens a file for reading.
func Open(path string) (*File, error) { return wrap(os.Open(path)) }

// Create makes a file, which must not be there, for writing.
func Create(path string) (*File, error) {
	return wrap(os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666))
}

func wrap(f *os.File, err error) (*File, error) {
	if err != nil {
		return nil, err
	}
	return &File{File: f}, nil
}

// Path is what the file was opened by.
func (f *File) Path() string { return f.Name() }

// WriteAt writes p at byte off of the file.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if f.given != nil {
		return f.compare(p, off)
	}
	return f.File.WriteAt(p, off)
}

// Close closes the file.
func (f *File) Close() error { return errors.Join(f.whole(), f.File.Close()) }

// OpenBelow opens what lies below top, which is the directory dir, for reading.
func OpenBelow(top *os.File, dir, name string) (*File, error) {
	return Open(filepath.Join(dir, filepath.FromSlash(name)))
}

// OpenIn opens what lies below the directory dir and is reached through no link; ok
// reports whether that could be done.
func OpenIn(dir *os.File, name string) (f *File, ok bool) { return nil, false }

// Take is a file that package os opened for reading.
func Take(f *os.File) (*File, error) { return &File{File: f}, nil }

// Identity is by what a file is known again.
type Identity struct{ fs.FileInfo }

// Identity asks the file system.
func (f *File) Identity() (Identity, error) {
	info, err := f.Stat()
	return Identity{info}, err
}

// Bytes is the file's size.
func (i Identity) Bytes() int64 { return i.Size() }

// Regular reports whether it is a regular file.
func (i Identity) Regular() bool { return i.Mode().IsRegular() }

// Same reports whether it is the same file, and nobody has written to it between.
func (i Identity) Same(other Identity) bool {
	return os.SameFile(i.FileInfo, other.FileInfo) && i.ModTime().Equal(other.ModTime())
}
