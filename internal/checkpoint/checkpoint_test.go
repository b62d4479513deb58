package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"repfuse/internal/facts"
	"repfuse/internal/hint"
)

func TestOpenRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.Mkdir("empty", 0o777))
	must(t, os.Mkdir("hf", 0o777))
	for _, name := range []string{"w.safetensors", "notes.txt", "x.npy", "hf/model.bin", "hf/config.json"} {
		must(t, os.WriteFile(name, nil, 0o666))
	}
	for _, test := range []struct{ path, err, hint string }{
		{"none", "none: file does not exist", ""},
		{"w", "w: file does not exist", "w.safetensors is there"},
		{"empty", "empty: no .npy and no .safetensors file in it", ""},
		{"hf", "hf: no .npy and no .safetensors file in it", filepath.FromSlash("hf/model.bin") + " is a checkpoint"},
		{"notes.txt", "notes.txt is no checkpoint by its name or content", "repfuse reads " + wanted()},
		{"x.npy", "x.npy is no checkpoint by its name or content", "one .npy file is one tensor: name the directory, ."},
	} {
		_, err := Open(test.path, Options{})
		if err == nil || err.Error() != test.err || hint.Of(err) != test.hint {
			t.Errorf("%s: %v (hint %q), want %s (hint %q)", test.path, err, hint.Of(err), test.err, test.hint)
		}
	}
}

func TestOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "w")
	write(t, dir, CreateOptions{}, 1)
	must(t, os.WriteFile(filepath.Join(dir, "README"), nil, 0o666))
	must(t, os.WriteFile(filepath.Join(dir, facts.File), []byte(`{"version": 1, "modules": {"a": {"class": "Conv2d"}}}`), 0o666))
	c, err := Open(dir, Options{})
	must(t, err)
	defer c.Close()
	if c.Format != "npy" || c.Path != dir || len(c.Tensors) != 2 || c.Facts == nil || c.Facts.Modules["a"].Class != "Conv2d" {
		t.Errorf("opened %+v", c)
	}
	if len(c.Notes) != 1 || c.Notes[0] != "passed over, not .npy: README" {
		t.Errorf("notes %q", c.Notes)
	}
	if _, err := c.Lookup("b.weight"); !errors.Is(err, ErrNoKey) || err.Error() != "b.weight: not found in "+dir {
		t.Errorf("missing key: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(dir, facts.File), []byte(`{"version": 2}`), 0o666))
	if _, err := Open(dir, Options{}); err == nil || err.Error() != dir+": modules.json: version 2, want 1" {
		t.Errorf("facts of another version: %v", err)
	}
}

func TestCheckPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	must(t, os.MkdirAll("w/sub", 0o777))
	must(t, os.Mkdir("other", 0o777))
	must(t, os.WriteFile("a.npz", nil, 0o666))
	must(t, os.WriteFile("w/m.npz", nil, 0o666))
	must(t, os.Link("a.npz", "hard.npz"))
	must(t, os.Symlink("w", "soft"))
	must(t, os.Symlink(filepath.Join("w", "sub"), "deep"))
	for _, test := range []struct{ src, dst, err string }{
		{"w", "out", ""},
		{"w", "w2", ""},
		{"w", "other", ""},
		{"w/sub", "w/out", ""},
		{"w/m.npz", "w/out.npz", ""},
		{"a.npz", "other/a.npz", ""},
		{"w", "w", "w and w are the same directory"},
		{"w", "./w/", "w and ./w/ are the same directory"},
		{"w", "soft", "w and soft are the same directory"},
		{"a.npz", "w/../a.npz", "a.npz and w/../a.npz are the same file"},
		{"a.npz", "hard.npz", "a.npz and hard.npz are the same file"},
		{"w", "w/out", "w/out lies inside w, want it beside"},
		{"w", "soft/sub", "soft/sub lies inside w, want it beside"},
		{"w", "deep/x", "deep/x lies inside w, want it beside"},
		{"deep", "w", "deep lies inside w, want it beside"},
		{"w/m.npz", "w", "w/m.npz lies inside w, want it beside"},
		{"none", "w", "none: no such file or directory"},
		{"w", "no/such/dir", "no/such/dir: its directory is not there"},
	} {
		err := CheckPaths(test.src, test.dst)
		if (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
			t.Errorf("%s to %s: %v, want %q", test.src, test.dst, err, test.err)
		}
	}
}
