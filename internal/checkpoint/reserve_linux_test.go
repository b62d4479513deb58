package checkpoint

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A reserved file has its blocks, and its size, before it is written.
func TestReserve(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	must(t, os.WriteFile(path, []byte("head"), 0o666))
	const n = 1 << 20
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	var fs unix.Statfs_t
	must(t, unix.Fstatfs(int(f.Fd()), &fs))
	if fs.Type == unix.TMPFS_MAGIC || unix.Fallocate(int(f.Fd()), 0, 0, 4096) != nil {
		t.Skip("the file system of temporary files has nothing to reserve")
	}
	must(t, reserve(path, n))
	var s unix.Stat_t
	must(t, unix.Fstat(int(f.Fd()), &s))
	if s.Size != n || s.Blocks*512 < n {
		t.Errorf("size %d in %d blocks, want %d bytes", s.Size, s.Blocks, n)
	}
	if b, err := os.ReadFile(path); err != nil || string(b[:4]) != "head" {
		t.Errorf("begins with %q, %v", b[:4], err)
	}
	if err := reserve(path, 1<<62); err == nil {
		t.Error("more than any disk has was reserved")
	}
}
