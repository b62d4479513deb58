package checkpoint

import (
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repfuse/internal/facts"
	"repfuse/internal/hint"
	"repfuse/internal/tensor"
)

// three is tensors of 16, 0 and 12 bytes, not in the order of their keys.
var three = []tensor.Spec{
	{Key: "c", Type: tensor.F32, Shape: []int{2, 2}},
	{Key: "b", Type: tensor.I64, Shape: []int{0, 3}},
	{Key: "a", Type: tensor.F32, Shape: []int{3}},
}

// writeAll writes tensors of bytes that begin with first.
func writeAll(t *testing.T, path string, specs []tensor.Spec, o CreateOptions, first byte) {
	t.Helper()
	out, err := Create(path, specs, o)
	must(t, err)
	defer out.Abort()
	for i, s := range specs {
		p := make([]byte, s.Bytes())
		if len(p) > 0 {
			p[0] = first
			must(t, out.WriteAt(i, p, 0))
		}
		must(t, out.Done(i, crc32.ChecksumIEEE(p)))
	}
	must(t, out.AddFile(Record, []byte("{}")))
	must(t, out.Commit())
}

// A directory of shards is written, read by its name and by its index's, and
// replaced by any directory of tensors, as it replaces one.
func TestShards(t *testing.T) {
	dir := t.TempDir()
	dst := filepath.Join(dir, "out")
	shards := CreateOptions{Format: "safetensors", ShardSize: 16, Metadata: map[string]string{"k": "v"}}
	writeAll(t, dst, three, shards, 1)
	wantNames(t, dst, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json", Record)
	must(t, os.WriteFile(filepath.Join(dst, facts.File), []byte(`{"version": 1, "modules": {"a": {"class": "Conv2d"}}}`), 0o666))
	must(t, os.WriteFile(filepath.Join(dst, "notes.md"), nil, 0o666))
	for _, path := range []string{dst, filepath.Join(dst, "model.safetensors.index.json")} {
		c, err := Open(path, Options{})
		must(t, err)
		if c.Format != "safetensors" || !c.Shards || len(c.Tensors) != 3 || c.Tensors[0].Key != "a" || !maps.Equal(c.Metadata, shards.Metadata) {
			t.Errorf("%s: opened %+v", path, c)
		}
		if path == dst && (c.Facts == nil || strings.Join(c.Notes, "|") != "passed over, no tensors of the checkpoint: notes.md") {
			t.Errorf("facts %v, notes %q", c.Facts, c.Notes)
		}
		c.Close()
	}
	_, err := Create(dst, three, CreateOptions{Force: true})
	if want := dst + " holds notes.md, want an empty directory or nothing there"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	must(t, os.Remove(filepath.Join(dst, "notes.md")))
	if _, err := Create(dst, three, shards); hint.Of(err) != "--force replaces it" {
		t.Errorf("a second time: %v", err)
	}
	shards.Force, shards.ShardSize = true, 0
	writeAll(t, dst, three, shards, 2)
	wantNames(t, dst, "model.safetensors", Record)
	writeAll(t, dst, three, CreateOptions{Force: true}, 3)
	wantNames(t, dst, "a.npy", "b.npy", "c.npy", Record)
	writeAll(t, dst, three, shards, 4)
	wantNames(t, dst, "model.safetensors", Record)
	wantNames(t, dir, "out", "out/model.safetensors", "out/"+Record)
}

// What is not whole is not there.
func TestShardsAborted(t *testing.T) {
	dir := t.TempDir()
	out, err := Create(filepath.Join(dir, "out"), three, CreateOptions{Format: "safetensors", ShardSize: 1})
	must(t, err)
	must(t, out.WriteAt(0, make([]byte, 16), 0))
	must(t, out.Done(0, 0))
	if err := out.Commit(); err == nil {
		t.Error("committed with one tensor of three")
	}
	out.Abort()
	wantNames(t, dir)
}

// A folder of several models is nothing to replace with one.
func TestFolderOfModels(t *testing.T) {
	for stranger, files := range map[string][]string{
		"b.safetensors":                     {"a.safetensors", "b.safetensors"},
		"a.safetensors":                     {"a.safetensors", "m-00001-of-00002.safetensors", "m.safetensors.index.json"},
		"n.safetensors.index.json":          {"m.safetensors.index.json", "n.safetensors.index.json"},
		"m-00001-of-00002.safetensors":      {"m-00001-of-00002.safetensors"},
		"m-1.safetensors":                   {"m-1.safetensors", "m.safetensors.index.json"},
		filepath.Join("x", "a.safetensors"): {filepath.Join("x", "a.safetensors")},
		"notes.json":                        {"a.safetensors", "notes.json"},
	} {
		dst := filepath.Join(t.TempDir(), "models")
		must(t, os.MkdirAll(filepath.Join(dst, "x"), 0o777))
		for _, name := range files {
			must(t, os.WriteFile(filepath.Join(dst, name), nil, 0o666))
		}
		want := dst + " holds " + stranger + ", want an empty directory or nothing there"
		if _, err := Create(dst, three, CreateOptions{Force: true}); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", files, err, want)
		}
	}
}

// Which format a path and a name ask for together.
func TestWriter(t *testing.T) {
	for _, test := range []struct{ path, name, otherwise, format, err string }{
		{"out", "", "", "npy dir", ""},
		{"out.pth/", "", "", "npy dir", ""},
		{"out", "safetensors", "", "safetensors dir", ""},
		{"out.safetensors", "safetensors", "", "safetensors", ""},
		{"out.safetensors/", "safetensors", "", "safetensors dir", ""},
		{"out.PTH", "", "", "pth", ""},
		{"out", "", "safetensors", "safetensors dir", ""},
		{"out.npz", "", "safetensors", "npz", ""},
		{"out", "npy", "safetensors", "npy dir", ""},
		{"out.npz", "safetensors", "", "", "out.npz: ends as npz does, want an ending that fits the format safetensors"},
		{"out", "pth", "", "", "out: is to be a directory, want an ending of the format pth: .pth, .pt, .ckpt, .bin, .pth.tar"},
		{"out", "gguf", "", "", `format "gguf", want one of ` + writable()},
		{"m.safetensors.index.json", "", "", "", "m.safetensors.index.json: repfuse reads .safetensors.index.json and does not write it, want one of " + writable()},
	} {
		f, err := writer(test.path, test.name, test.otherwise)
		if err != nil {
			if err.Error() != test.err {
				t.Errorf("%s as %q: %v, want %s", test.path, test.name, err, test.err)
			}
			continue
		}
		got := f.name
		if f.dir() {
			got += " dir"
		}
		if got != test.format {
			t.Errorf("%s as %q: %s, want %s", test.path, test.name, got, test.format)
		}
	}
}

// One file has no shards.
func TestShardsOfOneFile(t *testing.T) {
	dst := filepath.Join(t.TempDir(), "out.safetensors")
	want := dst + " is to be one file, want a directory for shards"
	if _, err := Create(dst, three, CreateOptions{ShardSize: 1}); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// Formats that have an order keep it; the others are read by key.
func TestOrder(t *testing.T) {
	for name, want := range map[string]string{"out.pth": "c b a", "out.npz": "c b a", "out.safetensors": "a b c", "out": "a b c"} {
		dst := filepath.Join(t.TempDir(), name)
		writeAll(t, dst, three, CreateOptions{}, 1)
		c, err := Open(dst, Options{})
		must(t, err)
		var keys []string
		for _, n := range c.Tensors {
			keys = append(keys, n.Key)
		}
		if got := strings.Join(keys, " "); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		c.Close()
	}
}
