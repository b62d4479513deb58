package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// places are directories on a disk and in memory, as far as there are.
func places(t *testing.T) []string {
	all := []string{t.TempDir()}
	var s unix.Statfs_t
	if unix.Statfs("/dev/shm", &s) == nil && s.Type == unix.TMPFS_MAGIC {
		dir, err := os.MkdirTemp("/dev/shm", "repfuse-test-")
		must(t, err)
		t.Cleanup(func() { os.RemoveAll(dir) })
		all = append(all, dir)
	}
	return all
}

// What package os does, a File does: to the end and no further, with the path in errors.
func TestFile(t *testing.T) {
	for _, dir := range places(t) {
		path := filepath.Join(dir, "a")
		w, err := Create(path)
		must(t, err)
		if n, err := w.WriteAt([]byte("hello"), 3); n != 5 || err != nil {
			t.Errorf("%s: wrote %d, %v", path, n, err)
		}
		if n, err := w.WriteAt(nil, 100); n != 0 || err != nil {
			t.Errorf("%s: wrote %d of nothing, %v", path, n, err)
		}
		f, err := Open(path)
		must(t, err)
		for _, test := range []struct {
			off, size int64
			want      string
			err       error
		}{{0, 8, "\x00\x00\x00hello", nil}, {6, 4, "lo", io.EOF}, {8, 1, "", io.EOF}, {2, 0, "", nil}} {
			b := make([]byte, test.size)
			if n, err := f.ReadAt(b, test.off); string(b[:n]) != test.want || err != test.err {
				t.Errorf("%s: %d bytes at %d: %q, %v", path, test.size, test.off, b[:n], err)
			}
		}
		must(t, w.Close())
		must(t, f.Close())
		other, err := Open(path) // gets a number of theirs
		must(t, err)
		for _, err := range []error{second(f.ReadAt(make([]byte, 1), 0)), second(w.WriteAt([]byte{1}, 0)), f.Close(), w.Close()} {
			if p := (*fs.PathError)(nil); !errors.As(err, &p) || p.Path != path || !errors.Is(err, unix.EBADF) {
				t.Errorf("%s: closed: %v", path, err)
			}
		}
		must(t, other.Close())
		if _, err := Create(path); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: there already: %v", path, err)
		}
	}
}

func second(_ int, err error) error { return err }

// A file system in memory that is full says so.
func TestFullMemory(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("no file system can be mounted here: ", err)
	}
	defer unix.Unmount(dir, 0)
	f, err := Create(filepath.Join(dir, "a"))
	must(t, err)
	defer f.Close()
	n, err := f.WriteAt(make([]byte, 2<<20), 0)
	if !errors.Is(err, unix.ENOSPC) || n != 1<<20 {
		t.Errorf("wrote %d bytes, %v", n, err)
	}
}

// A pipe is opened without waiting for who writes to it, and is not regular.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	must(t, unix.Mkfifo(path, 0o666))
	f, err := Open(path)
	must(t, err)
	defer f.Close()
	if id, err := f.Identity(); err != nil || id.Regular() {
		t.Errorf("regular: %v, %v", id.Regular(), err)
	}
}

// A file is known again until somebody writes to it, or it is another.
func TestIdentity(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	must(t, os.WriteFile(path, []byte("1234"), 0o666))
	identity := func() Identity {
		f, err := Open(path)
		must(t, err)
		defer f.Close()
		id, err := f.Identity()
		must(t, err)
		return id
	}
	first := identity()
	if !first.Same(identity()) || first.Bytes() != 4 || !first.Regular() {
		t.Errorf("%+v, then %+v", first, identity())
	}
	must(t, os.WriteFile(filepath.Join(dir, "b"), []byte("1234"), 0o666))
	must(t, os.Rename(filepath.Join(dir, "b"), path))
	if first.Same(identity()) {
		t.Error("another file was taken for it")
	}
}
