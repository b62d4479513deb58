package checkpoint_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repfuse/internal/checkpoint"
)

// A file is replaced whole, also behind a link, and what a killed run left goes.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	page, link := filepath.Join(dir, "page"), filepath.Join(dir, "link")
	left := filepath.Join(dir, ".page.repfuse-tmp-1073741824") // no process has this number
	for _, name := range []string{page, left} {
		if err := os.WriteFile(name, []byte("an old page"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("page", link); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.WriteFile(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(page); err != nil || string(b) != "new" {
		t.Errorf("the page is %q (%v), want the new one", b, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("%v are there, want the page and the link to it", entries)
	}
	if err := checkpoint.WriteFile(os.DevNull, []byte("new")); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("%s became a file", os.DevNull)
	}
	err := checkpoint.WriteFile(filepath.Join(dir, "missing", "page"), nil)
	if err == nil || strings.Contains(err.Error(), "repfuse-tmp") || !strings.Contains(err.Error(), "missing/page: no such file or directory") {
		t.Errorf("error %v, want one that names the path", err)
	}
}
