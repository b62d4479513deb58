package safetensors

import (
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"repfuse/internal/hint"
	"repfuse/internal/tensor"
)

// parts is tensors of 12, 0, 40, 8 and 8 bytes, not in the order of their keys.
var parts = []tensor.Spec{
	{Key: "e", Type: tensor.F32, Shape: []int{3}},
	{Key: "d", Type: tensor.F64, Shape: []int{0, 3}},
	{Key: "é<", Type: tensor.F32, Shape: []int{2, 5}},
	{Key: "b", Type: tensor.U8, Shape: []int{8}},
	{Key: "a", Type: tensor.I64, Shape: []int{}},
}

// fill writes all tensors at once, each backwards in two pieces.
func fill(t *testing.T, w tensor.Writer, specs []tensor.Spec) {
	t.Helper()
	errs := make([]error, len(specs))
	var all sync.WaitGroup
	for i, s := range specs {
		all.Go(func() {
			b := content(i, s)
			if half := len(b) / 2; half > 0 {
				errs[i] = errors.Join(w.WriteAt(i, b[half:], int64(half)), w.WriteAt(i, b[:half], 0))
			}
			errs[i] = errors.Join(errs[i], w.Done(i, crc32.ChecksumIEEE(b)))
		})
	}
	all.Wait()
	if err := errors.Join(append(errs, w.Close())...); err != nil {
		t.Fatal(err)
	}
}

func TestCreateDir(t *testing.T) {
	const of3 = "model-00001-of-00003.safetensors model-00002-of-00003.safetensors model-00003-of-00003.safetensors model.safetensors.index.json"
	for _, test := range []struct {
		size int64
		want string
	}{
		{0, "model.safetensors"},
		{68, "model.safetensors"},
		{67, "model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json"},
		{16, of3}, // 12 and 0; 40 alone, as it is larger; 8 and 8
	} {
		dir := t.TempDir()
		reserved := map[string]int64{}
		var mu sync.Mutex
		w, err := CreateDir(dir, parts, DirOptions{ShardSize: test.size, Metadata: map[string]string{"k": "v"},
			Reserve: func(path string, n int64) error {
				mu.Lock()
				defer mu.Unlock()
				reserved[filepath.Base(path)] = n
				return nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, w, parts)
		list, _ := os.ReadDir(dir)
		var names []string
		for _, e := range list {
			names = append(names, e.Name())
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("shards of %d: %s, want %s", test.size, got, test.want)
		}
		if test.want == of3 && (reserved["model-00001-of-00003.safetensors"] != 12 || reserved["model-00002-of-00003.safetensors"] != 40) {
			t.Errorf("reserved %v, want 12, 40 and 16 bytes", reserved)
		}
		wantParts(t, dir)
	}
}

// wantParts reads what fill wrote.
func wantParts(t *testing.T, dir string) {
	t.Helper()
	f, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := map[string]string{}
	for _, n := range f.Tensors {
		b, err := n.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		got[n.Key] = string(b)
	}
	for i, s := range parts {
		if got[s.Key] != string(content(i, s)) {
			t.Errorf("%s: %q, want %q", s.Key, got[s.Key], content(i, s))
		}
	}
	for _, name := range f.Names {
		one, err := Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if one.Metadata["k"] != "v" {
			t.Errorf("%s: metadata %v, want k v", name, one.Metadata)
		}
		one.Close()
	}
}

// The index is byte for byte what transformers makes of it: json.dumps(index,
// indent=2, sort_keys=True) and a line's end.
func TestIndexText(t *testing.T) {
	dir := t.TempDir()
	specs := []tensor.Spec{parts[4], parts[3]}
	w, err := CreateDir(dir, specs, DirOptions{ShardSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, w, specs)
	const want = `{
  "metadata": {
    "total_size": 16
  },
  "weight_map": {
    "a": "model-00001-of-00002.safetensors",
    "b": "model-00002-of-00002.safetensors"
  }
}
`
	if b, err := os.ReadFile(filepath.Join(dir, "model.safetensors.index.json")); err != nil || string(b) != want {
		t.Errorf("index %s, %v; want %s", b, err, want)
	}
}

func TestCreateDirRefused(t *testing.T) {
	dir := t.TempDir()
	for want, specs := range map[string][]tensor.Spec{
		"a: two tensors have this key":                        {parts[4], parts[4]},
		"x: safetensors has no element type complex128":       {parts[4], {Key: "x", Type: tensor.C128}},
		"y: ends beyond byte 2⁶²":                             {{Key: "x", Type: tensor.U8, Shape: []int{1 << 61}}, {Key: "y", Type: tensor.U8, Shape: []int{1<<61 + 1}}},
		"__metadata__: the format keeps this name for itself": {{Key: "__metadata__", Type: tensor.U8}},
	} {
		if _, err := CreateDir(dir, specs, DirOptions{ShardSize: 1}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) > 0 {
		t.Errorf("%v is left behind", list)
	}
	half := tensor.Spec{Key: "half", Type: tensor.U8, Shape: []int{1 << 61}}
	if _, total, err := divide([]tensor.Spec{half, half}, 1); err != nil || total != 1<<62 {
		t.Errorf("%d bytes, %v, want as many as may be", total, err)
	}
}

// A writer that was not given everything writes no index, and says so.
func TestShardsUnfinished(t *testing.T) {
	dir := t.TempDir()
	w, err := CreateDir(dir, parts, DirOptions{ShardSize: 16})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.WriteAt(0, make([]byte, 12), 0), w.Done(0, 0), w.Done(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteAt(0, []byte{1}, 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("written after it was done: %v, want %v", err, os.ErrClosed)
	}
	if err := w.WriteAt(2, make([]byte, 9), 32); err == nil {
		t.Error("wrote beyond the end of a tensor")
	}
	if err := w.Close(); err == nil || !strings.HasSuffix(err.Error(), ": not written to its end") {
		t.Errorf("%v, want that a tensor was not written", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "model.safetensors.index.json")); err == nil {
		t.Error("an index of what is not there")
	}
}

func TestOpenDir(t *testing.T) {
	dir := t.TempDir()
	if f, err := OpenDir(dir); f != nil || err != nil {
		t.Errorf("%v, %v in an empty directory", f, err)
	}
	outside := filepath.Join(t.TempDir(), "m.safetensors")
	create(t, outside, parts, nil)
	link := filepath.Join(dir, "link.safetensors")
	if err := os.Symlink(outside, link); err != nil {
		t.Skip("no symbolic links here")
	}
	_, err := OpenDir(dir)
	if want := dir + ": link.safetensors: path escapes from parent"; err == nil || err.Error() != want || hint.Of(err) == "" {
		t.Errorf("%v (hint %q), want %s", err, hint.Of(err), want)
	}
	if err := os.Rename(outside, filepath.Join(dir, "m.safetensors")); err != nil {
		t.Fatal(err)
	}
	want := dir + ": link.safetensors and m.safetensors are there, want one"
	if _, err := OpenDir(dir); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	f, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Tensors) != len(parts) || f.Names[0] != "m.safetensors" {
		t.Errorf("%d tensors of %v, want %d of m.safetensors", len(f.Tensors), f.Names, len(parts))
	}
}
