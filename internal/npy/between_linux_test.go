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

// When a set is closed nothing is open any more, nor when there is no array or an error; and
// until then it does not matter what the directory is called.
func TestNothingStaysOpen(t *testing.T) {
	top := t.TempDir()
	open := func() (names []string) {
		list, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		for _, d := range list {
			name, err := os.Readlink(filepath.Join("/proc/self/fd", d.Name()))
			if err == nil && strings.HasPrefix(name, top) { // of this test and no other
				names = append(names, name)
			}
		}
		return names
	}
	dir := filepath.Join(top, "w")
	must(t, os.Mkdir(dir, 0o777))
	_, err := OpenDir(dir, Options{})
	must(t, err)
	put(t, filepath.Join(dir, "a.npy"), 1, 2)
	set, err := OpenDir(dir, Options{})
	must(t, err)
	must(t, os.Rename(dir, dir+"2"))
	if names := open(); len(names) != 1 {
		t.Errorf("%v are open, want the directory", names)
	}
	if v, err := set.Tensors[0].ReadAll(); err != nil || len(v) != 2 {
		t.Errorf("%v, %v of a directory that was renamed", v, err)
	}
	must(t, set.Close())
	must(t, os.WriteFile(filepath.Join(dir+"2", "b.npy"), []byte("none"), 0o666))
	if _, err := OpenDir(dir+"2", Options{}); err == nil {
		t.Error("no error where a file is no array")
	}
	if names := open(); len(names) > 0 {
		t.Errorf("%v are open", names)
	}
}
