//go:build !linux

package npy

import (
	"io/fs"
	"os"
	"path/filepath"
)

// handle is an open file.
type handle struct{ *os.File }

func (f *handle) path() string { return f.Name() }

func openFile(path string, flag int, mode os.FileMode) (*handle, error) {
	f, err := os.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err
	}
	return &handle{f}, nil
}

// openBelow opens what lies below a directory.
func openBelow(_ *os.File, dir, name string) (*handle, error) {
	return openFile(filepath.Join(dir, filepath.FromSlash(name)), os.O_RDONLY, 0)
}

func openIn(*os.File, string) (f *handle, ok bool) { return nil, false }

func take(f *os.File) (*handle, error) { return &handle{f}, nil }

// identity is by what a file is known again.
type identity struct{ fs.FileInfo }

func (f *handle) identity() (identity, error) {
	info, err := f.Stat()
	return identity{info}, err
}

func (i identity) bytes() int64  { return i.Size() }
func (i identity) regular() bool { return i.Mode().IsRegular() }

func (i identity) same(other identity) bool {
	return os.SameFile(i.FileInfo, other.FileInfo) && i.ModTime().Equal(other.ModTime())
}
