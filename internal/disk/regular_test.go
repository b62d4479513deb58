package disk_test

import (
	"os"
	"path/filepath"
	"testing"

	"repfuse/internal/disk"
)

// A directory is refused before it is opened, as a pipe is, which would be waited for.
func TestOpenRegular(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	const want = "a directory, want a regular file"
	if _, _, err := disk.OpenRegular(dir); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := disk.OpenFrom(root, "."); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	path := filepath.Join(dir, "x")
	if err := os.WriteFile(path, []byte("abc"), 0o666); err != nil {
		t.Fatal(err)
	}
	f, size, err := disk.OpenRegular(path)
	if err != nil || size != 3 {
		t.Fatalf("%d bytes, %v", size, err)
	}
	f.Close()
}
