//go:build unix

package npy

import (
	"path/filepath"
	"syscall"
	"testing"
)

// A pipe is refused, not waited for.
func TestPipe(t *testing.T) {
	dir := t.TempDir()
	must(t, syscall.Mkfifo(filepath.Join(dir, "x.npy"), 0o666))
	const want = "x.npy: a pipe, want a regular file"
	if _, err := OpenDir(dir, Options{}); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}
