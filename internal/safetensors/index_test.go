package safetensors

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repfuse/internal/tensor"
)

// sharded makes a directory of two shards and gives the path of the index in it.
func sharded(t *testing.T, index string) string {
	t.Helper()
	dir := t.TempDir()
	create(t, filepath.Join(dir, "m-1.safetensors"), []tensor.Spec{{Key: "a", Type: tensor.F32, Shape: []int{2}}, {Key: "b", Type: tensor.U8, Shape: []int{3}}},
		map[string]string{"format": "pt", "shard": "1", "only": "here"})
	create(t, filepath.Join(dir, "m-2.safetensors"), []tensor.Spec{{Key: "c", Type: tensor.F16, Shape: []int{2}}},
		map[string]string{"format": "pt", "shard": "2"})
	path := filepath.Join(dir, "m.safetensors.index.json")
	if err := os.WriteFile(path, []byte(index), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

const good = `{"metadata":{"total_size":15,"x":[{}]},"weight_map":{"a":"m-1.safetensors","b":"m-1.safetensors","c":"m-2.safetensors"}}`

func TestSharded(t *testing.T) {
	path := sharded(t, good)
	found, err := Index(filepath.Dir(path))
	if err != nil || found != path {
		t.Fatalf("%q, %v; want %q", found, err, path)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var keys []string
	for _, n := range f.Tensors {
		keys = append(keys, n.Key)
		if _, err := n.ReadAll(); err != nil {
			t.Errorf("%s: %v", n.Key, err)
		}
	}
	if got := strings.Join(keys, " "); got != "a b c" {
		t.Errorf("keys %s, want a b c", got)
	}
	if want := map[string]string{"format": "pt", "only": "here"}; !maps.Equal(f.Metadata, want) {
		t.Errorf("metadata %v, want %v", f.Metadata, want)
	}
}

func TestIndexRefused(t *testing.T) {
	for _, test := range []struct{ name, index, want string }{
		{"no map", `{"metadata":{}}`, "no weight_map"},
		{"path", `{"weight_map":{"a":"../m-1.safetensors"}}`, `weight_map: a: shard "../m-1.safetensors", want the plain name of a file beside the index`},
		{"parent", `{"weight_map":{"a":".."}}`, `weight_map: a: shard "..", want the plain name of a file beside the index`},
		{"backslash", `{"weight_map":{"a":"x\\m"}}`, `weight_map: a: shard "x\\m", want the plain name of a file beside the index`},
		{"drive", `{"weight_map":{"a":"c:m"}}`, `weight_map: a: shard "c:m", want the plain name of a file beside the index`},
		{"twice", `{"weight_map":{"a":"m-1.safetensors","a":"m-2.safetensors"}}`, `weight_map: key "a" is there twice`},
		{"twice within", `{"metadata":{"x":{"y":1,"y":2}},"weight_map":{}}`, `metadata: key "y" is there twice`},
		{"deep", `{"metadata":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "metadata: values nest more than 32 deep"},
		{"missing shard", strings.ReplaceAll(good, "m-2", "m-3"), "shard m-3.safetensors: no such file or directory"},
		{"missing key", strings.Replace(good, `"c":`, `"d":"m-1.safetensors","c":`, 1), "shard m-1.safetensors: d is not in it, where the index puts it"},
		{"unnamed key", strings.Replace(good, `"b":"m-1.safetensors",`, "", 1), "shard m-1.safetensors: holds b, which the index does not put there"},
		{"other shard", strings.Replace(good, `"b":"m-1`, `"b":"m-2`, 1), "shard m-1.safetensors: holds b, which the index does not put there"},
		{"directory", strings.ReplaceAll(good, "m-2.safetensors", "sub"), "shard sub: a directory, want a regular file"},
		{"link out", strings.ReplaceAll(good, "m-2.safetensors", "link"), "shard link: path escapes from parent"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := sharded(t, test.index)
			dir := filepath.Dir(path)
			if err := os.Mkdir(filepath.Join(dir, "sub"), 0o777); err != nil {
				t.Fatal(err)
			}
			outside := filepath.Join(t.TempDir(), "m-2.safetensors")
			create(t, outside, []tensor.Spec{{Key: "c", Type: tensor.F16, Shape: []int{2}}}, nil)
			if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
				t.Skip("no symbolic links here")
			}
			f, err := Open(path)
			if err == nil {
				f.Close()
				t.Fatalf("opened, want %s", test.want)
			}
			if err.Error() != path+": "+test.want {
				t.Errorf("%v\nwant %s", err, test.want)
			}
		})
	}
}

func TestSeveralIndexes(t *testing.T) {
	path := sharded(t, good)
	dir := filepath.Dir(path)
	if err := os.WriteFile(filepath.Join(dir, "n.safetensors.index.json"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	want := dir + ": m.safetensors.index.json and n.safetensors.index.json are there, want one"
	if _, err := Index(dir); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := OpenDir(dir); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if found, err := Index(t.TempDir()); found != "" || err != nil {
		t.Errorf("%q, %v in an empty directory", found, err)
	}
}
