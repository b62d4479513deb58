//go:build unix

package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"repfuse/internal/disk"
)

// A small file is read whole; what would wait, lead elsewhere or never end is refused.
func TestSmall(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, "in", name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(at(""), 0o777))
	must(os.WriteFile(at("file"), []byte("text"), 0o666))
	must(os.WriteFile(filepath.Join(dir, "outside"), []byte("secret"), 0o666))
	must(os.Symlink("file", at("link")))
	must(os.Symlink("../outside", at("out")))
	must(os.Symlink("/dev/zero", at("zero")))
	must(syscall.Mkfifo(at("pipe"), 0o666))
	for name, size := range map[string]int64{"most": disk.SmallLimit, "more": disk.SmallLimit + 1} {
		must(os.WriteFile(at(name), nil, 0o666))
		must(os.Truncate(at(name), size))
	}
	for name, want := range map[string][2]string{ // of Small and of SmallBeside
		"file": {"", ""}, "link": {"", ""}, "most": {"", ""},
		"out":   {"", "path escapes"},
		"zero":  {"want a regular file", "path escapes"},
		"pipe":  {"a pipe, want a regular file", "a pipe, want a regular file"},
		".":     {"want a regular file", "want a regular file"},
		"more":  {"134217729 bytes, want at most 134217728", "134217729 bytes, want at most 134217728"},
		"never": {"file does not exist", "file does not exist"},
	} {
		for k, read := range []func(string) ([]byte, error){disk.Small, disk.SmallBeside} {
			path := at("") + "/" + name
			b, err := read(path)
			info, _ := os.Stat(path)
			switch {
			case want[k] != "" && (err == nil || !strings.Contains(err.Error(), want[k])):
				t.Errorf("%s: error %v, want %s", name, err, want[k])
			case want[k] == "" && (err != nil || int64(len(b)) != info.Size()):
				t.Errorf("%s: %d bytes, error %v, want all %d", name, len(b), err, info.Size())
			}
			if name == "never" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v is no fs.ErrNotExist", err)
			}
		}
	}
}
