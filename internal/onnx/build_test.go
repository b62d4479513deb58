package onnx

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repfuse/internal/tensor"
)

// The messages of tests are put together from fields, as protobuf is.

func cat(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func msg(number int, parts ...[]byte) []byte { return appendText(nil, number, cat(parts...)) }
func num(number int, v int64) []byte         { return appendInt(nil, number, v) }
func text(number int, s string) []byte       { return appendText(nil, number, s) }

// model is IR 8, opset 17 and a graph with these fields.
func model(graph ...[]byte) []byte {
	return cat(num(1, 8), msg(7, graph...), msg(8, num(2, 17)))
}

// tensorOf is an initializer with those fields after its dims and its name.
func tensorOf(elem int, dims []int, fields ...[]byte) []byte {
	var d []byte
	for _, n := range dims {
		d = appendInt(d, 1, int64(n))
	}
	return msg(5, d, num(2, int64(elem)), text(8, "w"), cat(fields...))
}

// relu is a graph of one node that reads in and makes out.
func node(op string, in, out string, more ...[]byte) []byte {
	return msg(1, text(1, in), text(2, out), text(4, op), cat(more...))
}

func open(t testing.TB, b []byte) (*Model, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path)
	if err == nil {
		t.Cleanup(func() { m.Close() })
	}
	return m, err
}

// Elements are read wherever the format puts them, packed, one by one, in several
// fields, and from every place on.
func TestElements(t *testing.T) {
	const n = 3*every + 5
	value := func(k int) uint64 { return uint64(k * 40503 % 65536) }
	var packed, single, split []byte
	for k := range n {
		packed = binary.AppendUvarint(packed, value(k))
		single = appendInt(single, 5, int64(value(k)))
	}
	for k := 0; k < n; {
		var part []byte
		for range min(1000, n-k) {
			part = binary.AppendUvarint(part, value(k))
			k++
		}
		split = cat(split, text(5, string(part)), num(99, 7))
	}
	for name, fields := range map[string][]byte{"packed": text(5, string(packed)), "single": single, "split": split} {
		m, err := open(t, model(tensorOf(10, []int{n}, fields)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		x := m.Tensors()[0]
		if x.Type != tensor.F16 {
			t.Errorf("%s: type %s, want float16", name, x.Type)
		}
		d, err := x.Open()
		if err != nil {
			t.Fatal(err)
		}
		for _, off := range []int{0, 1, 2*every - 1, 2 * every, 2*every + 1, 4*every + 7, 2*n - 1} {
			b := make([]byte, min(3000, 2*n-off))
			if got, err := d.ReadAt(b, int64(off)); got != len(b) || err != nil {
				t.Errorf("%s: at %d: %d bytes, %v", name, off, got, err)
			}
			for k, got := range b {
				if want := byte(value((off+k)/2) >> (8 * ((off + k) % 2))); got != want {
					t.Fatalf("%s: byte %d is %d, want %d", name, off+k, got, want)
				}
			}
		}
		if k, err := d.ReadAt(make([]byte, 8), 2*n-4); k != 4 || err == nil {
			t.Errorf("%s: the last 4 bytes and 4 more: %d, %v; want 4 and an error", name, k, err)
		}
	}
}

// Fixed numbers that are packed are read where they lie, others one by one.
func TestFloatData(t *testing.T) {
	f32 := func(bits uint32) []byte { return binary.LittleEndian.AppendUint32(nil, bits) }
	f64 := binary.LittleEndian.AppendUint64(nil, 0x3ff8000000000000) // 1.5
	one, two := f32(0x3f800000), f32(0xc0000000)                     // 1, −2
	for name, test := range map[string]struct {
		elem   int
		fields []byte
		want   string
	}{
		"packed":  {1, text(4, string(cat(one, two))), "[1 -2]"},
		"single":  {1, cat([]byte{4<<3 | 5}, one, []byte{4<<3 | 5}, two), "[1 -2]"},
		"two":     {1, cat(text(4, string(one)), text(4, string(two))), "[1 -2]"},
		"double":  {11, text(10, string(cat(f64, f64))), "[1.5 1.5]"},
		"raw":     {1, text(9, string(cat(one, two))), "[1 -2]"},
		"bfloat":  {16, text(5, "\x80\x7f\x80\x80\x03"), "[1 -2]"},
		"doubles": {11, cat([]byte{10<<3 | 1}, f64, []byte{10<<3 | 1}, f64), "[1.5 1.5]"},
	} {
		m, err := open(t, model(tensorOf(test.elem, []int{2}, test.fields)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := m.Tensors()[0].Floats()
		if fmt.Sprint(got) != test.want || err != nil {
			t.Errorf("%s: %v, %v; want %s", name, got, err, test.want)
		}
	}
}

// What is wrong is said in one line that names the thing.
func TestRefusals(t *testing.T) {
	raw := func(n int) []byte { return text(9, strings.Repeat("x", n)) }
	nest := []byte{}
	for range 60 {
		nest = msg(1, text(4, "If"), msg(5, msg(6, nest)))
	}
	out := func(name string) []byte { return msg(12, text(1, name)) }
	outside := func(pairs ...string) []byte {
		b := num(14, 1)
		for k := 0; k < len(pairs); k += 2 {
			b = cat(b, msg(13, text(1, pairs[k]), text(2, pairs[k+1])))
		}
		return b
	}
	for _, test := range []struct {
		b    []byte
		want string
	}{
		{nil, "no graph in it"},
		{[]byte("<!DOCTYPE html>"), "wire type 4"},
		{num(1, 8), "no graph in it"},
		{cat(num(1, 8), msg(7)), "opset 0"},
		{cat(model(), msg(7)), "two graphs"},
		{[]byte{7<<3 | 2, 0xff, 0xff, 0xff, 0xff, 0x0f}, "a field of 4294967295 bytes, where what holds it has 0 left"},
		{[]byte{7<<3 | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "a number that does not end"},
		{model(msg(1, []byte{1<<3 | 2, 100})), "a field of 100 bytes, where what holds it has 0 left"},
		{cat(model(msg(1, []byte{1<<3 | 2, 3})), text(6, "a doc string")), "a field of 3 bytes, where what holds it has 0 left"},
		{model(nest), "nested more than 100 deep"},
		{model(node("Relu", "y", "y")), `Relu node "y" reads "y", which nothing before it makes`},
		{model(node("Relu", "b", "a"), node("Relu", "a", "b")), `reads "b", which nothing before it makes`},
		{model(tensorOf(1, []int{1}, raw(4)), node("Relu", "w", "w")), `makes "w", which is there already`},
		{model(tensorOf(1, []int{1}, raw(4)), tensorOf(1, []int{1}, raw(4))), `two initializers are called "w"`},
		{model(msg(11, text(1, "x")), msg(11, text(1, "x"))), `two inputs are called "x"`},
		{model(out("y")), `output "y": no node makes it`},
		{model(tensorOf(1, []int{2, 3}, raw(20))), `tensor "w": raw_data of 20 bytes, want the 24 of float32 [2 3]`},
		{model(tensorOf(1, []int{2, 3}, raw(28))), "raw_data of 28 bytes, want the 24"},
		{model(tensorOf(1, []int{-1}, raw(4))), `tensor "w": dimension -1`},
		{model(tensorOf(1, []int{1 << 40, 1 << 40}, raw(4))), `more bytes than an int64 holds`},
		{model(tensorOf(1, make([]int, 65), raw(4))), "more than 64 dimensions"},
		{model(tensorOf(1, []int{2}, text(4, "abcdefghi"))), "ends within a number"},
		{model(tensorOf(1, []int{3}, text(4, "abcdefgh"))), "2 numbers, want the 3 of float32 [3]"},
		{model(tensorOf(1, []int{2}, text(7, "\x01\x02"))), "field 7 holds no elements of float32"},
		{model(tensorOf(11, []int{2}, text(5, "\x01\x02"))), "field 5 holds no elements of float64"},
		{model(tensorOf(6, []int{2}, text(5, "\x01"), text(7, "\x01"))), "in fields of two kinds"},
		{model(tensorOf(6, []int{2}, text(5, "\x01\x02"), raw(8))), "there twice"},
		{model(tensorOf(1, []int{1}, raw(4), raw(4))), "raw_data is there twice"},
		{model(tensorOf(1, []int{1}, msg(3), raw(4))), "in segments"},
		{model(tensorOf(1, []int{1}, outside("location", "../w"))), `tensor "w": external data "../w": want a path within the model's folder`},
		{model(tensorOf(1, []int{1}, outside("location", "/etc/passwd"))), "within the model's folder"},
		{model(tensorOf(1, []int{1}, outside("location", "nowhere"))), `external data "nowhere": no such file`},
		{model(tensorOf(1, []int{1}, outside("location", "."))), `external data ".": want a regular file`},
		{model(tensorOf(1, []int{1}, outside("location", "m.onnx", "offset", "-4"))), `external data's "offset": "-4"`},
		{model(tensorOf(1, []int{1}, outside("location", "m.onnx", "offset", "1000"))), "bytes 1000 to 1004 of a file of"},
		{model(tensorOf(1, []int{500}, outside("location", "m.onnx", "offset", "10"))), "bytes 10 to 2010 of a file of"},
		{model(tensorOf(1, []int{1}, outside("location", "m.onnx", "length", "8"))), "8 bytes of external data, want the 4"},
		{model(msg(1, text(4, "Constant"))), `Constant node "": 0 outputs, want one`},
		{model(msg(1, text(4, strings.Repeat("x", maxText+1)))), "a name of"},
		{cat(model(), msg(25, text(1, "F")), msg(25, text(1, "F"))), `function "F": it is there twice`},
	} {
		_, err := open(t, test.b)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 1000 {
			t.Errorf("%.60q: %v, want an error that says %s", test.b, err, test.want)
		}
	}
}

// External data is not read through a link, even one that stays in the folder.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(at("m.onnx"), model(tensorOf(1, []int{1}, num(14, 1), msg(13, text(1, "location"), text(2, "sub/w")))), 0o666),
		os.Mkdir(at("real"), 0o777),
		os.WriteFile(at("real/w"), make([]byte, 4), 0o666),
		os.Symlink("real", at("sub")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(at("m.onnx")); err == nil || !strings.Contains(err.Error(), "sub is a link") {
		t.Errorf("%v, want an error that says sub is a link", err)
	}
}

// A file that ends anywhere is refused, or what there is of it is a model.
func TestTruncated(t *testing.T) {
	b := cat(model(tensorOf(1, []int{2}, text(9, "12345678")), node("Relu", "w", "y"), msg(12, text(1, "y"))), msg(14, text(1, "k"), text(2, "v")))
	last := len(b) - len(msg(14, text(1, "k"), text(2, "v")))
	for n := range b {
		if _, err := open(t, b[:n]); (err == nil) != (n == last) {
			t.Errorf("%d of %d bytes: %v", n, len(b), err)
		}
	}
}

// Names as long, messages as deep and tensors of as many dimensions as the limits say are read;
// TestRefusals has the first name that is not, and the first tensor.
func TestLimits(t *testing.T) {
	ones := make([]int, maxRank)
	for k := range ones {
		ones[k] = 1
	}
	if _, err := open(t, model(tensorOf(1, ones, text(9, "abcd")), node(strings.Repeat("x", maxText), "w", "y", text(3, strings.Repeat("n", maxText))))); err != nil {
		t.Error(err)
	}
	for ifs, ok := range map[int]bool{maxDepth / 3: true, maxDepth/3 + 1: false} { // a node, an attribute and a graph each
		nest := []byte{}
		for range ifs {
			nest = msg(1, text(4, "If"), text(2, "y"), msg(5, num(20, 5), text(1, "then_branch"), msg(6, nest)))
		}
		if _, err := open(t, model(nest)); (err == nil) != ok {
			t.Errorf("%d graphs within one another: %v", ifs, err)
		}
	}
}
