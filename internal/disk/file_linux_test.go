package disk

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
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

// What is not in the page cache is waited for; what is half there comes whole.
func TestNotInThePageCache(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	want := make([]byte, 3<<20+123)
	r := rand.NewChaCha8([32]byte{})
	r.Read(want)
	must(t, os.WriteFile(path, want, 0o666))
	f, err := Open(path)
	must(t, err)
	defer f.Close()
	must(t, unix.Fsync(f.fd)) // or nothing would be let go
	for _, from := range []int64{0, 1 << 20} {
		must(t, unix.Fadvise(f.fd, from, 0, unix.FADV_DONTNEED))
		got := make([]byte, len(want)-7)
		if n, err := f.ReadAt(got, 7); n != len(got) || err != nil {
			t.Fatalf("without what is behind %d: %d bytes, %v", from, n, err)
		}
		if !bytes.Equal(got, want[7:]) {
			t.Errorf("without what is behind %d: other bytes", from)
		}
	}
}

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
	if !f.inMemory.Load() {
		t.Error("taken for a file system on a disk")
	}
	n, err := f.WriteAt(make([]byte, 2<<20), 0)
	if !errors.Is(err, unix.ENOSPC) || n != 1<<20 {
		t.Errorf("wrote %d bytes, %v", n, err)
	}
}

// On a file system in memory, which knows of no reading without waiting, that is found out
// once for all its files; elsewhere what was just written is read at once.
func TestAtOnce(t *testing.T) {
	for _, dir := range places(t) {
		path := filepath.Join(dir, "a")
		want := []byte("some bytes")
		must(t, os.WriteFile(path, want, 0o666))
		f, err := Open(path)
		must(t, err)
		defer f.Close()
		got := make([]byte, len(want))
		_, err = f.ReadAt(got, 0)
		must(t, err)
		if !f.isTmpfs() {
			if f.inMemory.Load() {
				t.Errorf("%s: taken for memory", path)
			}
			n, refusal := f.atOnce(unix.SYS_PREADV2, got, 0, unix.RWF_NOWAIT)
			if n != len(got) && !underRace && !f.refused.Load() {
				t.Errorf("%s: %d bytes at once, %v", path, n, refusal)
			}
			continue
		}
		if underRace {
			continue
		}
		again, err := Open(path)
		must(t, err)
		defer again.Close()
		_, err = again.Identity()
		must(t, err)
		if f.refused.Load() && !(f.inMemory.Load() && again.inMemory.Load()) {
			t.Errorf("%s: not taken for memory", path)
		}
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
