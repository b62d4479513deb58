package npy

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A file in whose place a pipe came is refused, not waited for.
func TestBecamePipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.npy")
	put(t, path, 1, 2)
	set, err := OpenDir(filepath.Dir(path), Options{})
	must(t, err)
	must(t, os.Remove(path))
	must(t, syscall.Mkfifo(path, 0o666))
	if _, err := set.Tensors[0].Open(); err == nil || !strings.Contains(err.Error(), "has 0 bytes, want the 130") {
		t.Errorf("error %v, want one of its size", err)
	}
}

// A pipe that came after the directory was listed is refused, and a link that came is
// followed no further than the directory.
func TestCameBetween(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "w")
	put(t, filepath.Join(filepath.Dir(dir), "out.npy"), 1)
	must(t, os.Mkdir(dir, 0o777))
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe.npy"), 0o666))
	must(t, os.Symlink(filepath.Join("..", "out.npy"), filepath.Join(dir, "link.npy")))
	must(t, os.Symlink("..", filepath.Join(dir, "up")))
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	top, err := root.Open(".")
	must(t, err)
	defer top.Close()
	for _, name := range []string{"pipe.npy", "link.npy", "up/out.npy", "../out.npy"} {
		if h, _, err := (folder{root, top, dir}).open(entry{name: name, regular: true}); err == nil {
			h.Close()
			t.Errorf("%s was opened", name)
		}
	}
}
