package npy

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"repfuse/internal/tensor"
)

// array is one line of testdata/arrays.txt, which testdata/make.py writes.
type array struct {
	kind   string // C, F, or the version of the header
	descr  string
	shape  []int
	header []byte
	data   []byte
}

func arrays(t testing.TB) []array {
	t.Helper()
	text, err := os.ReadFile("testdata/arrays.txt")
	if err != nil {
		t.Fatal(err)
	}
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(strings.TrimPrefix(s, "-"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var all []array
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		a := array{kind: f[0], descr: f[1], shape: []int{}, header: unhex(f[3]), data: unhex(f[4])}
		for d := range strings.SplitSeq(strings.TrimPrefix(f[2], "-"), ",") {
			if n, err := strconv.Atoi(d); err == nil {
				a.shape = append(a.shape, n)
			}
		}
		all = append(all, a)
	}
	if len(all) < 90 {
		t.Fatalf("%d arrays, want at least 90", len(all))
	}
	return all
}

func (a array) file() []byte { return slices.Concat(a.header, a.data) }

// counting is 0, 1, 2, … as elements of the type.
func counting(t tensor.Type, n int) []byte {
	size := t.Size()
	b := make([]byte, n*size)
	for i := range n {
		e := b[i*size:][:size]
		switch t {
		case tensor.F16, tensor.F32, tensor.F64:
			tensor.Encode(e, []float64{float64(i)}, t)
		case tensor.C64:
			tensor.Encode(e[:4], []float64{float64(i)}, tensor.F32)
		case tensor.C128:
			tensor.Encode(e[:8], []float64{float64(i)}, tensor.F64)
		case tensor.Bool:
			e[0] = byte(min(i, 1))
		default:
			e[0] = byte(i)
		}
	}
	return b
}

func TestNumpyArrays(t *testing.T) {
	for _, a := range arrays(t) {
		t.Run(fmt.Sprint(a.kind, a.descr, a.shape), func(t *testing.T) {
			file := bytes.NewReader(a.file())
			h, err := readHeader(file, file.Size(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(h.Shape, a.shape) || h.BigEndian != (a.descr[0] == '>') || h.Offset != int64(len(a.header)) {
				t.Errorf("header %+v, want shape %v and offset %d", h, a.shape, len(a.header))
			}
			alone := func(n int) bool { return n == 1 }
			if many := len(slices.DeleteFunc(slices.Clone(a.shape), alone)) > 1; len(a.data) > 0 && h.Fortran != (a.kind == "F" && many) {
				t.Errorf("fortran %t of an array saved as %s", h.Fortran, a.kind)
			}
			got := make([]byte, len(a.data))
			if err := tensor.ReadFull(h.elements(file, nil), got, 0); err != nil {
				t.Fatal(err)
			}
			if want := counting(h.Type, tensor.Elems(a.shape)); !bytes.Equal(got, want) {
				t.Errorf("elements % x, want % x", got, want)
			}
			if a.kind == "C" && !h.BigEndian {
				b, err := AppendHeader([]byte("before"), h.Type, a.shape)
				if want := "before" + string(a.header); err != nil || string(b) != want {
					t.Errorf("wrote %q, %v, want %q", b, err, want)
				}
			}
		})
	}
}

// A file that ends early, or late, is an error wherever it ends.
func TestNumpyTruncated(t *testing.T) {
	for _, a := range arrays(t) {
		file := append(a.file(), 0)
		for n := range len(file) + 1 {
			_, err := readHeader(bytes.NewReader(file[:n]), int64(n), Options{})
			if whole := n == len(file)-1; whole != (err == nil) {
				t.Fatalf("%q cut to %d bytes: %v", a.header, n, err)
			}
		}
	}
}

// A file that grew shorter than it was said to be is an error, not zeros.
func TestShorterThanSaid(t *testing.T) {
	file := arrays(t)[0].file()
	if _, err := readHeader(bytes.NewReader(file[:len(file)-30]), int64(len(file)), Options{}); err != tensor.ErrShort {
		t.Errorf("error %v, want %v", err, tensor.ErrShort)
	}
}

func TestAppendHeaderRefused(t *testing.T) {
	for _, test := range []struct {
		t     tensor.Type
		shape []int
		err   string
	}{
		{tensor.F8E4M3, []int{1}, "element type float8_e4m3 cannot be saved as .npy: numpy has none like it"},
		{tensor.F32, make([]int, 65), "shape of 65 dimensions, want at most 64"},
	} {
		if _, err := AppendHeader(nil, test.t, test.shape); err == nil || err.Error() != test.err {
			t.Errorf("error %v, want %s", err, test.err)
		}
	}
}

// A header of the most dimensions is read again, and so is bfloat16's.
func TestAppendHeaderLongest(t *testing.T) {
	shape := slices.Repeat([]int{1}, maxRank)
	shape[0], shape[1] = math.MaxInt32, 0
	for _, typ := range []tensor.Type{tensor.F64, tensor.BF16} {
		b, err := AppendHeader(nil, typ, shape)
		if err != nil {
			t.Fatal(err)
		}
		h, err := readHeader(bytes.NewReader(b), int64(len(b)), Options{BFloat16: true})
		if err != nil || h.Type != typ || !slices.Equal(h.Shape, shape) || len(b)%align != 0 {
			t.Errorf("header of %d bytes: %+v, %v", len(b), h, err)
		}
	}
}
