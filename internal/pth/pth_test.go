package pth

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/facts"
	"repfuse/internal/tensor"
)

var update = flag.Bool("update", false, "write testdata/want.txt anew; the conformance test says whether it is right")

// checkpoints is the files of testdata.
func checkpoints(t testing.TB) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"testdata/*.p*t*", "testdata/*.ckpt", "testdata/*.pdparams"} {
		list, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, list...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// sum is a digest of keys, types, shapes and bytes, in the order of the file.
func sum(t *testing.T, list []tensor.Named) string {
	t.Helper()
	h := sha256.New()
	for _, n := range list {
		b, err := n.ReadAll()
		if err != nil {
			t.Errorf("%s: %v", n.Key, err)
		}
		fmt.Fprintln(h, n.Key, n.Type, n.Shape, len(b))
		h.Write(b)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// Every state of every file is what it was when PyTorch agreed with it, and a file
// written from it reads as the same.
func TestFiles(t *testing.T) {
	var got strings.Builder
	for _, path := range checkpoints(t) {
		f, err := Open(path, Options{})
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		f.Close()
		for _, state := range append([]string{f.Chosen}, f.Others...) {
			f, err := Open(path, Options{State: state})
			if err != nil {
				t.Fatal(err)
			}
			s := sum(t, f.Tensors)
			fmt.Fprintln(&got, filepath.Base(path), state, len(f.Tensors), s)
			again := filepath.Join(t.TempDir(), "again.pth")
			rewrite(t, again, f.Tensors)
			g, err := Open(again, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if sum(t, g.Tensors) != s {
				t.Errorf("%s %s: reads differently after it was written", path, state)
			}
			f.Close()
			g.Close()
		}
	}
	if *update {
		if err := os.WriteFile("testdata/want.txt", []byte(got.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/want.txt")
	if err != nil || string(want) != got.String() {
		t.Errorf("got\n%swant\n%s%v", &got, want, err)
	}
}

// The reference wrote one block in ways that change nothing but how it lies.
func TestSameBlock(t *testing.T) {
	read := func(name string) map[string]string {
		f, err := Open(filepath.Join("testdata", name), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		out := map[string]string{}
		for _, n := range f.Tensors {
			out[strings.TrimPrefix(strings.TrimPrefix(n.Key, "module."), "stage0.")] = sum(t, []tensor.Named{{Key: "", Tensor: n.Tensor}})
		}
		return out
	}
	want := read("plain.pth")
	for _, name := range []string{"legacy_nonzip.pth", "channels_last_strides.pth", "shared_storage_offsets.pth", "parameters.pth", "timm_ema.pth.tar", "ddp_state_dict.pth.tar"} {
		if got := read(name); !equalMaps(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func equalMaps(a, b map[string]string) bool {
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return len(a) == len(b)
}

func TestFacts(t *testing.T) {
	for _, name := range []string{"module.pt", "module_legacy.pt"} {
		f, err := Open(filepath.Join("testdata", name), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var keys []string
		for _, n := range f.Tensors {
			keys = append(keys, n.Key)
		}
		want := "0.weight 1.weight 1.bias 1.running_mean 1.running_var 1.num_batches_tracked"
		if got := strings.Join(keys, " "); got != want {
			t.Errorf("%s: keys %s, want %s", name, got, want)
		}
		root, conv, norm := f.Facts.Modules[""], f.Facts.Modules["0"], f.Facts.Modules["1"]
		if f.Facts.Version != facts.Version || root.Class != "Sequential" || !equalMaps(root.Keyless, map[string]string{"2": "ReLU"}) {
			t.Errorf("%s: root %+v", name, root)
		}
		if got := strings.Join(f.Facts.Order, " "); got != " 0 1 2" {
			t.Errorf("%s: modules in the order %q, want that of registration", name, got)
		}
		if norm.Class != "BatchNorm2d" || norm.Eps == nil || *norm.Eps != 1e-3 || norm.Flags["affine"] != true {
			t.Errorf("%s: norm %+v", name, norm)
		}
		if got := fmt.Sprintln(conv.Class, conv.Kernel, conv.Stride, conv.Padding, conv.Dilation, conv.Groups, conv.Transposed, conv.PaddingMode, conv.Eps); got != "Conv2d [3 3] [1 1] [1 1] [1 1] 2 false zeros <nil>\n" {
			t.Errorf("%s: conv %s", name, got)
		}
	}
}

func TestChoice(t *testing.T) {
	for _, test := range []struct{ name, state, chosen, notes, err string }{
		{"plain.pth", "", ".", "", ""},
		{"timm_ema.pth.tar", "", "state_dict_ema", "took state_dict_ema, averaged weights by its name; there is state_dict too, with other numbers under 14 of the 17 keys of state_dict_ema, farthest apart in stage0.rbr_1x1.bn.bias: by 1, where the largest is 0.36", ""},
		{"timm_ema.pth.tar", "state_dict", "state_dict", "there is state_dict_ema too, with other numbers under 14 of the 17 keys of state_dict, farthest apart in stage0.rbr_1x1.bn.bias: by 1, where the largest is 1.2", ""},
		{"timm_ema.pth.tar", "ema", "", "", `no state dict "ema", want state_dict, state_dict_ema`},
		{"rtdetr_ema_module.pth", "", "ema.module", "took ema.module, averaged weights by its name; there is model too, with the same numbers under 12 of the 12 keys of ema.module", ""},
		{"basicsr_params_differs_from_ema.pth", "", "params_ema", "took params_ema, averaged weights by its name; there is params too, with other numbers under 5 of the 5 keys of params_ema, farthest apart in c1_r.rep1x1.bias: by 0.01, where the largest is 0.52", ""}, // by PyTorch
		{"nested.pt", "", "model", "", ""},
	} {
		path := filepath.Join("testdata", test.name)
		f, err := Open(path, Options{State: test.state})
		if err != nil {
			if got := strings.TrimPrefix(err.Error(), path+": "); got != test.err {
				t.Errorf("%s: %s, want %s", test.name, got, test.err)
			}
			continue
		}
		f.Close()
		if got := strings.Join(f.Notes, "; "); f.Chosen != test.chosen || got != test.notes || test.err != "" {
			t.Errorf("%s: %s, %s; want %s, %s", test.name, f.Chosen, got, test.chosen, test.notes)
		}
	}
}

// No part of a file passes for a whole one.
func TestTruncated(t *testing.T) {
	for _, name := range []string{"plain.pth", "legacy_nonzip.pth", "nested.pt", "arrays4.pdparams"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for n := range b {
			if _, err := Read(bytes.NewReader(b[:n]), int64(n), Options{}); err == nil {
				t.Errorf("%s: read from %d of %d bytes", name, n, len(b))
			}
		}
	}
}

// A file that shrinks after it was opened is an error when its elements are read.
func TestShrunk(t *testing.T) {
	for _, name := range []string{"plain.pth", "channels_last_strides.pth", "legacy_nonzip.pth"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := os.Truncate(path, 1000); err != nil {
			t.Fatal(err)
		}
		failed := 0
		for _, n := range f.Tensors {
			if _, err := n.ReadAll(); err != nil {
				failed++
			}
		}
		if failed == 0 {
			t.Errorf("%s: every tensor was read from a file cut off", name)
		}
	}
}

// legacy is a file as PyTorch wrote it before 1.6, of one storage.
func legacy(object []byte, key string, data []byte) []byte {
	b := []byte("\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.")
	b = append(b, object...)
	b = append(append(b, "\x80\x02]X"...), byte(len(key)), 0, 0, 0)
	b = append(append(b, key...), "a."...)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(data)/4))
	return append(b, data...)
}

func TestLegacyRefused(t *testing.T) {
	good := legacy(one(t), "0", make([]byte, 16))
	change := func(old, new string) []byte { return bytes.Replace(good, []byte(old), []byte(new), 1) }
	for _, test := range []struct {
		name string
		b    []byte
		want string
	}{
		{"good", good, ""},
		{"short", legacy(one(t), "0", make([]byte, 12)), "a: storage 0: 4 elements of float32, but its record has 12 bytes"},
		{"other key", legacy(one(t), "1", make([]byte, 16)), `storage "1" is of no type that the object names`},
		{"longer", append(slices.Clone(good), 0), "bytes after the last storage"},
		{"protocol", change("M\xe9\x03", "M\xe8\x03"), "protocol 1000, want 1001"},
		{"twice", change("]X\x01\x00\x00\x000a", "]X\x01\x00\x00\x000aX\x01\x00\x00\x000a"), "storage 0 is there twice"},
		{"no storage", change("]X\x01\x00\x00\x000a.\x04\x00", "].\x04\x00"), "bytes after the last storage"},
		{"lying size", change("a.\x04\x00\x00\x00\x00\x00\x00\x00", "a.\xff\xff\xff\xff\xff\xff\xff\xff"), "storage 0: 18446744073709551615 elements of float32 where 16 bytes are left"},
	} {
		_, err := Read(bytes.NewReader(test.b), int64(len(test.b)), Options{})
		if err == nil && test.want != "" || err != nil && err.Error() != test.want {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
	}
}

func FuzzOpen(f *testing.F) {
	pkl := one(f)
	f.Add(archived(f, member{name: "m/data.pkl", bytes: pkl}, member{name: "m/data/0", bytes: make([]byte, 16)}))
	f.Add(archived(f, member{name: "m/data.pkl", bytes: pkl, method: zip.Deflate}, member{name: "m/byteorder", bytes: []byte("big")}))
	f.Add(legacy(pkl, "0", make([]byte, 16)))
	f.Add([]byte("\x80\x02}X\x01\x00\x00\x00acnumpy.core.multiarray\n_reconstruct\n)R(K\x01K\x02\x85cnumpy\ndtype\n\x8c\x02f4\x85R(K\x03\x8c\x01<tb\x89C\x0812345678tbs."))
	f.Add([]byte("\x80\x02cm\nNet\n)\x81}(\x8c\x0b_parameters}\x8c\x08_buffers}\x8c\x08_modules}\x8c\x03epsG\x3f\x50\x62\x4d\xd2\xf1\xa9\xfcub."))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Read(bytes.NewReader(b), int64(len(b)), Options{})
		if err != nil {
			return
		}
		for _, n := range file.Tensors {
			if n.Bytes() > 1<<20 { // by strides of 0 a tensor can be larger than its file
				continue
			}
			if b, err := n.ReadAll(); err == nil && int64(len(b)) != n.Bytes() {
				t.Fatalf("%s: %d bytes, want %d", n.Key, len(b), n.Bytes())
			}
		}
	})
}

// NanoDet's loader puts the averaged copy over the other, key by key.
func TestShadow(t *testing.T) {
	list := []entry{{"model.a", 1}, {"avg_model.a", 2}, {"model.b", 3}, {"avg_model.c", 4}, {"x", 5}}
	for shadow, want := range map[string]string{
		"":           "[{model.a 1} {avg_model.a 2} {model.b 3} {avg_model.c 4} {x 5}]",
		"model.":     "[{model.a 1} {model.b 3} {x 5}]",
		"avg_model.": "[{model.a 2} {model.b 3} {x 5} {model.c 4}]",
	} {
		if got := fmt.Sprint(state{shadow: shadow}.unshadow(list)); got != want {
			t.Errorf("%q: %s, want %s", shadow, got, want)
		}
	}
}

// Which state of several is taken, and why.
func TestPick(t *testing.T) {
	for _, test := range []struct{ paths, want string }{
		{"model ema.module", "ema.module: took ema.module, averaged weights by its name"},
		{"net ema_net", "ema_net: took ema_net, averaged weights by its name"},
		{"state_dict ema_state_dict", "state_dict: took state_dict, where mmengine saves the averaged weights; its ema_state_dict holds the others"},
		{"state_dict model", "state_dict: took state_dict by its name"},
		{"x.model x.model_ema", "x.model_ema: took x.model_ema, averaged weights by its name"},
		{"anything", "anything: "},
		{"a b", "holds several state dicts, want the choice of one: a, b"},
		{"a.state_dict b.state_dict", "holds several state dicts, want the choice of one: a.state_dict, b.state_dict"},
	} {
		var all []state
		for path := range strings.FieldsSeq(test.paths) {
			all = append(all, state{path: path})
		}
		s, why, err := pick(all, Options{})
		got := s.path + ": " + why
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.paths, got, test.want)
		}
	}
}

// A difference in the first of several pieces counts, and so does the largest number in the last.
func TestMeasured(t *testing.T) {
	a, b := make([]float64, 40000), make([]float64, 40000)
	a[0], b[0], a[39999], b[39999] = 1, -2, 8, 8
	a[1], b[1] = math.NaN(), math.NaN()
	shape := []int{len(a)}
	g, err := measured(tensor.Of(tensor.F32, shape, a), tensor.Of(tensor.F32, shape, b))
	if want := (gap{differ: true, far: 3, largest: 8}); err != nil || g != want {
		t.Errorf("%v, %v, want %v", g, err, want)
	}
}
