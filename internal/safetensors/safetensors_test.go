package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// file is a header of the given text before data of n bytes, each its own place.
func file(text string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	b = append(b, text...)
	for i := range n {
		b = append(b, byte(i))
	}
	return b
}

func write(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// create writes tensors whose bytes count up from their place in the list.
func create(t testing.TB, path string, specs []tensor.Spec, metadata map[string]string) {
	t.Helper()
	w, err := Create(path, specs, metadata, disk.Create)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range specs {
		b := content(i, s)
		half := len(b) / 2
		if err := errors.Join(w.WriteAt(i, b[half:], int64(half)), w.WriteAt(i, b[:half], 0), w.Done(i, crc32.ChecksumIEEE(b))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func content(i int, s tensor.Spec) []byte {
	b := make([]byte, s.Bytes())
	for j := range b {
		b[j] = byte(i + j)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	var specs []tensor.Spec
	for _, d := range dtypes {
		specs = append(specs, tensor.Spec{Key: "a." + d.name, Type: d.typ, Shape: []int{3, 5}})
	}
	specs = append(specs,
		tensor.Spec{Key: "scalar", Type: tensor.I64, Shape: []int{}},
		tensor.Spec{Key: "empty", Type: tensor.F32, Shape: []int{4, 0, 2}},
		tensor.Spec{Key: "naïve <\"\\\n>", Type: tensor.F32, Shape: []int{1}})
	for _, metadata := range []map[string]string{nil, {}, {"format": "pt", "b": "<é>", "a": ""}} {
		path := filepath.Join(t.TempDir(), "m.safetensors")
		create(t, path, specs, metadata)
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		want := metadata
		if metadata == nil {
			want = map[string]string{"format": "pt"}
		}
		if !maps.Equal(f.Metadata, want) {
			t.Errorf("metadata %v, want %v", f.Metadata, want)
		}
		if len(f.Tensors) != len(specs) {
			t.Fatalf("%d tensors, want %d", len(f.Tensors), len(specs))
		}
		for i, s := range specs {
			k := slices.IndexFunc(f.Tensors, func(n tensor.Named) bool { return n.Key == s.Key })
			got, err := f.Tensors[k].ReadAll()
			if err != nil || f.Tensors[k].Type != s.Type || !slices.Equal(f.Tensors[k].Shape, s.Shape) || !bytes.Equal(got, content(i, s)) {
				t.Errorf("%s: %v %v %x, %v; want %v %v %x", s.Key, f.Tensors[k].Type, f.Tensors[k].Shape, got, err, s.Type, s.Shape, content(i, s))
			}
		}
	}
}

// The bytes that the reference implementation writes for the same tensors, taken
// from its own documentation of the format and its order of types.
func TestBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	create(t, path, []tensor.Spec{
		{Key: "b", Type: tensor.F16, Shape: []int{2}},
		{Key: "c", Type: tensor.F32, Shape: []int{}},
		{Key: "a", Type: tensor.F32, Shape: []int{1, 1}},
		{Key: "n", Type: tensor.I64, Shape: []int{1}},
	}, nil)
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head := `{"__metadata__":{"format":"pt"},` +
		`"n":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},` +
		`"a":{"dtype":"F32","shape":[1,1],"data_offsets":[8,12]},` +
		`"c":{"dtype":"F32","shape":[],"data_offsets":[12,16]},` +
		`"b":{"dtype":"F16","shape":[2],"data_offsets":[16,20]}}`
	for len(head)%8 != 0 {
		head += " "
	}
	want := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
	want = append(want, head...)
	want = append(want, 3, 4, 5, 6, 7, 8, 9, 10, 2, 3, 4, 5, 1, 2, 3, 4, 0, 1, 2, 3)
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestRefused(t *testing.T) {
	const one = `"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}`
	for _, test := range []struct {
		name string
		b    []byte
		want string
	}{
		{"short", []byte("1234567"), "7 bytes, want at least the 8 of the header's length"},
		{"limit", append(binary.LittleEndian.AppendUint64(nil, 100_000_001), '{'), "a header of 100000001 bytes, want at most 100000000"},
		{"huge", append(bytes.Repeat([]byte{255}, 8), '{'), "a header of 18446744073709551615 bytes, want at most 100000000"},
		{"beyond", append(binary.LittleEndian.AppendUint64(nil, 99), "{}"...), "a header of 99 bytes in a file of 10"},
		{"empty header", file("", 0), "header: the JSON does not begin with {"},
		{"space first", file(" {}", 0), "header: the JSON does not begin with {"},
		{"utf8", file("{\"\xff\":1}", 0), "header: the JSON is not UTF-8"},
		{"after", file("{}{}", 0), "header: '{' after the JSON's end"},
		{"twice", file("{"+one+","+one+"}", 2), `header: key "a" is there twice`},
		{"twice escaped", file(`{`+one+`,"\u0061":{}}`, 2), `header: key "a" is there twice`},
		{"field twice", file(`{"a":{"dtype":"U8","dtype":"U8"}}`, 2), `header: a: key "dtype" is there twice`},
		{"metadata twice", file(`{"__metadata__":{"x":"1","x":"1"}}`, 0), `header: __metadata__: key "x" is there twice`},
		{"metadata number", file(`{"__metadata__":{"x":1}}`, 0), `header: __metadata__: x: 1 at byte 21 of the JSON, want a string`},
		{"missing", file(`{"a":{"dtype":"U8","shape":[2]}}`, 2), "header: a: a field is missing, want dtype, shape and data_offsets"},
		{"extra", file(`{"a":{"dtype":"U8","strides":[2]}}`, 2), `header: a: field "strides", want dtype, shape and data_offsets only`},
		{"dtype", file(`{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,2]}}`, 2), `header: a: dtype "F31", want one of the format's, such as F32, F16 or BF16`},
		{"packed", file(`{"a":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}}`, 3), "header: a: dtype F6_E2M3 has elements of less than a byte, want whole bytes"},
		{"negative", file(`{"a":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}}`, 2), "header: a: -2 at byte 28 of the JSON, want an integer from 0 to 2⁶³-1"},
		{"fraction", file(`{"a":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}}`, 2), "header: a: 2.0 at byte 28 of the JSON, want an integer from 0 to 2⁶³-1"},
		{"reversed", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}}`, 2), "header: a: data_offsets [2 0], want a begin and an end not before it"},
		{"dimensions", file(`{"a":{"dtype":"U8","shape":[`+strings.Repeat("1,", 64)+`1],"data_offsets":[0,1]}}`, 1), "header: a: a list of more than 64 numbers"},
		{"three", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,1,2]}}`, 2), "header: a: a list of more than 2 numbers"},
		{"product", file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,2]}}`, 2), "header: a: data_offsets span 2 bytes, want the 8 of float32 [2]"},
		{"overflow", file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0), "header: a: shape [4294967296 4294967296] of float32 has more bytes than an int64 holds"},
		{"hole", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), "a: begins at byte 1 of the data, want 0 where the tensor before it ends"},
		{"overlap", file(`{`+one+`,"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), "b: begins at byte 1 of the data, inside the tensor before it, which ends at 2"},
		{"longer", file("{"+one+"}", 3), "tensors end at byte 2 of the data, want 3 where the file ends"},
		{"shorter", file("{"+one+"}", 1), "tensors end at byte 2 of the data, want 1 where the file ends"},
		{"no colon", file(`{"a" 1}`, 0), "header: 1 at byte 5 of the JSON, want ':'"},
		{"comma last", file(`{"__metadata__":{},}`, 0), "header: } at byte 19 of the JSON, want a string"},
		{"no end", file(`{"a":{"dtype":"U8","shape":[2`, 0), "header: a: the JSON ends, want ']'"},
		{"string without end", file(`{"a`, 0), "header: the JSON ends in a string"},
		{"escape", file(`{"\x":1}`, 0), "header: invalid character 'x' in string escape code"},
		{"zero before", file(`{"a":{"dtype":"U8","shape":[02],"data_offsets":[0,2]}}`, 2), "header: a: 02 at byte 28 of the JSON, want an integer from 0 to 2⁶³-1"},
		{"nulls", file("{"+one+"}\x00", 2), "header: '\\x00' after the JSON's end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := write(t, "x.safetensors", test.b)
			f, err := Open(path)
			if err == nil {
				f.Close()
				t.Fatalf("opened, want %s", test.want)
			}
			if got := strings.TrimPrefix(err.Error(), path+": "); got != test.want {
				t.Errorf("%s\nwant %s", got, test.want)
			}
		})
	}
}

// Every truncation of a file is an error, as its end is the end of its tensors.
func TestTruncated(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "m.safetensors")
	create(t, whole, []tensor.Spec{{Key: "a", Type: tensor.F32, Shape: []int{3}}, {Key: "b", Type: tensor.U8, Shape: []int{5}}}, nil)
	b, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for n := range b {
		if f, err := Open(write(t, "x.safetensors", b[:n])); err == nil {
			f.Close()
			t.Errorf("opened at %d of %d bytes", n, len(b))
		}
	}
}

// A file that shrinks after it was opened is an error when its elements are read.
func TestShrunk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	create(t, path, []tensor.Spec{{Key: "a", Type: tensor.F32, Shape: []int{300}}}, nil)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 500); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Tensors[0].ReadAll(); !errors.Is(err, tensor.ErrShort) {
		t.Errorf("%v, want %v", err, tensor.ErrShort)
	}
}

func TestWriteRefused(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		spec tensor.Spec
		want string
	}{
		{tensor.Spec{Key: "__metadata__", Type: tensor.F32}, "__metadata__: the format keeps this name for itself"},
		{tensor.Spec{Key: "\xff", Type: tensor.F32}, "\xff: key \"\\xff\" is not UTF-8"},
		{tensor.Spec{Key: "a", Type: tensor.C128}, "a: safetensors has no element type complex128"},
		{tensor.Spec{Key: "a", Type: tensor.F32, Shape: []int{-1}}, "a: shape [-1] has a negative dimension"},
		{tensor.Spec{Key: "b", Type: tensor.F32}, "b: two tensors have this key"},
	} {
		path := filepath.Join(dir, "x.safetensors")
		_, err := Create(path, []tensor.Spec{{Key: "b", Type: tensor.F32}, test.spec}, nil, disk.Create)
		if err == nil || err.Error() != path+": "+test.want {
			t.Errorf("%v, want %s", err, test.want)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: a file is left behind", test.want)
		}
	}
}

// A writer that was not given everything says so instead of leaving zeros.
func TestUnfinished(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	w, err := Create(path, []tensor.Spec{{Key: "a", Type: tensor.U8, Shape: []int{4}}}, nil, disk.Create)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteAt(0, []byte{1, 2}, 3); err == nil {
		t.Error("wrote beyond the end of a tensor")
	}
	if err := w.WriteAt(0, []byte{1, 2}, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Done(0, 0); err == nil || err.Error() != "a: 2 bytes were written, want 4" {
		t.Errorf("%v", err)
	}
	if err := w.Close(); err == nil || err.Error() != "a: not written to its end" {
		t.Errorf("%v", err)
	}
	if _, err := Create(path, nil, nil, disk.Create); !errors.Is(err, os.ErrExist) {
		t.Errorf("%v, want %v", err, os.ErrExist)
	}
}

// allocated is how many bytes fn allocates in all.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// What a header costs is bounded by its length: the worst is a key of a few letters
// in a map, some 100 bytes and as many again while the map grows.
func TestAllocation(t *testing.T) {
	var keys, dims strings.Builder
	for i := range 20000 {
		keys.WriteString(`,"` + string([]byte{'a' + byte(i%26), 'a' + byte(i/26%26), 'a' + byte(i/676%26), 'a' + byte(i/17576)}) + `":""`)
	}
	for i := range 1500 {
		dims.WriteString(`,"` + string([]byte{'a' + byte(i%26), 'a' + byte(i/26%26), 'a' + byte(i/676)}) + `":{"dtype":"U8","shape":[` +
			strings.Repeat("0,", 63) + `0],"data_offsets":[0,0]}`)
	}
	for name, text := range map[string]string{
		"metadata": `{"__metadata__":{` + keys.String()[1:] + "}}",
		"shapes":   "{" + dims.String()[1:] + "}",
		"brackets": `{"a":` + strings.Repeat("[", 100000),
	} {
		b := file(text, 0)
		got := allocated(func() { readHeader(bytes.NewReader(b), int64(len(b))) })
		if limit := uint64(32*len(b) + 1<<16); got > limit {
			t.Errorf("%s: %d bytes allocated for %d, want at most %d", name, got, len(b), limit)
		} else {
			t.Logf("%s: %d bytes allocated for %d", name, got, len(b))
		}
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(file(`{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}  `, 8))
	f.Add(file(`{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}`, 1))
	f.Add(file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0))
	f.Add(file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]},"a":[]}`, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := readHeader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if !json.Valid(b[8:h.start]) {
			t.Fatalf("%q is no JSON", b[8:h.start])
		}
		var total int64
		seen := map[string]bool{}
		for _, n := range h.tensors(bytes.NewReader(b)) {
			if seen[n.Key] {
				t.Fatalf("%q twice", n.Key)
			}
			seen[n.Key] = true
			all, err := n.ReadAll()
			if err != nil {
				t.Fatalf("%q: %v", n.Key, err)
			}
			total += int64(len(all))
		}
		if h.start+total != int64(len(b)) {
			t.Fatalf("%d bytes of tensors from byte %d of a file of %d", total, h.start, len(b))
		}
	})
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":8},"weight_map":{"a":"m-00001-of-00001.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"a":"../m.safetensors"},"x":[[{}]]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		shards, err := parseIndex(b)
		if err != nil {
			return
		}
		if !json.Valid(b) {
			t.Fatalf("%q is no JSON", b)
		}
		for name := range shards {
			if filepath.Base(name) != name {
				t.Fatalf("shard %q", name)
			}
		}
	})
}

// What is as long, as deep or of as many dimensions as the limits say is read; an index a level deeper
// is not (TestRefused has the others).
func TestLimits(t *testing.T) {
	header := `{"a":{"dtype":"U8","shape":[` + strings.Repeat("1,", 63) + `1],"data_offsets":[0,1]}}`
	for _, n := range []int{len(header), maxHeader} {
		if n == maxHeader && testing.Short() {
			continue // it is 100 MB
		}
		f, err := Open(write(t, "x.safetensors", file(header+strings.Repeat(" ", n-len(header)), 1)))
		if err != nil {
			t.Errorf("a header of %d bytes: %v", n, err)
			continue
		}
		f.Close()
	}
	for depth, ok := range map[int]bool{maxDepth: true, maxDepth + 1: false} { // within the field
		index := `{"weight_map":{"a":"x"},"b":` + strings.Repeat("[", depth) + "0" + strings.Repeat("]", depth) + "}"
		if _, err := parseIndex([]byte(index)); (err == nil) != ok {
			t.Errorf("an index %d deep: %v", depth, err)
		}
	}
}
