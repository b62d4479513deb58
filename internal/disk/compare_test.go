//go:build unix

package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"repfuse/internal/disk"
)

// What is given may lie in any order, twice and apart: between are zeros, and nothing is behind.
func TestCompare(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	const far = 200 << 10 // more than is compared at once
	write := func(f *disk.File, err error) error {
		for _, p := range []struct {
			text string
			off  int64
		}{{"end", far}, {"begin", 2}, {"eg", 3}, {"begin", 2}, {"", far + 100}} {
			if err == nil {
				_, err = f.WriteAt([]byte(p.text), p.off)
			}
		}
		if f != nil {
			err = errors.Join(err, f.Close())
		}
		return err
	}
	if err := write(disk.Create(path)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	compare := func(what string, same bool) {
		t.Helper()
		if err := write(disk.Compare(path)); errors.Is(err, disk.ErrDiffers) == same || same && err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	put := func(b []byte) {
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	compare("as written", true)
	for _, at := range []int{0, 1, 2, 6, 7, 8, 64 << 10, far - 1, far, far + 2} {
		whole[at] ^= 1
		put(whole)
		compare("another byte", false)
		whole[at] ^= 1
	}
	put(whole[:len(whole)-1])
	compare("a byte less", false)
	put(append(whole, 0))
	compare("a byte more", false)
	put(whole)
	compare("as written", true)
	if err := errors.Join(os.Rename(path, path+"."), os.Symlink(path+".", path)); err != nil {
		t.Fatal(err)
	}
	compare("a link", false)
	if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o666)); err != nil {
		t.Fatal(err)
	}
	compare("a pipe", false)
}
