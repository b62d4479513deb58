package pth

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"repfuse/internal/tensor"
)

// naive gathers the elements one by one.
func naive(l layout, file []byte) []byte {
	var out []byte
	size := l.typ.Size()
	index := make([]int, len(l.shape))
	for range tensor.Elems(l.shape) {
		at := int(l.offset)
		for i := range index {
			at += index[i] * l.strides[i]
		}
		e := slices.Clone(file[at*size : (at+1)*size])
		if l.big {
			slices.Reverse(e)
		}
		out = append(out, e...)
		for i := len(index) - 1; i >= 0; i-- {
			if index[i]++; index[i] < l.shape[i] {
				break
			}
			index[i] = 0
		}
	}
	return out
}

// Layouts at random, and ones as large as to take each of the ways to read: read
// whole and in parts that begin and end anywhere, they are what gathering one by one gives.
func TestLayouts(t *testing.T) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, seed))
	file := make([]byte, 3<<20)
	for i := range len(file) / 4 {
		binary.LittleEndian.PutUint32(file[4*i:], r.Uint32())
	}
	layouts := []layout{
		{tensor.F32, []int{300, 700}, []int{1, 300}, 5, false},
		{tensor.F32, []int{90000, 3}, []int{1, 90000}, 0, false},
		{tensor.F64, []int{3, 90000}, []int{1, 3}, 0, false},
		{tensor.F16, []int{700, 9, 80}, []int{1, 56000, 700}, 1, false},
		{tensor.F32, []int{500, 500}, []int{500, 1}, 7, true},
		{tensor.F32, []int{64, 32, 3, 3}, []int{288, 1, 96, 32}, 0, false},
		{tensor.F64, []int{}, []int{}, 3, true},
		{tensor.U8, []int{900, 7}, []int{0, 100000}, 0, true},
	}
	for range 300 {
		l := layout{typ: []tensor.Type{tensor.U8, tensor.F16, tensor.F32, tensor.F64}[r.IntN(4)], big: r.IntN(4) == 0, offset: int64(r.IntN(50))}
		for range r.IntN(5) {
			l.shape, l.strides = append(l.shape, 1+r.IntN(7)), append(l.strides, []int{0, 1, 2, 7, 49, 343, 5000}[r.IntN(7)])
		}
		layouts = append(layouts, l)
	}
	for _, l := range layouts {
		if err := l.within(int64(len(file) / l.typ.Size())); err != nil {
			t.Fatal(err)
		}
		want := naive(l, file)
		d := l.data(record{bytes.NewReader(file), 0, int64(len(file))})
		got := make([]byte, len(want))
		if err := tensor.ReadFull(d, got, 0); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%+v: read whole: wrong from byte %d on, %v", l, mismatch(got, want), err)
		}
		for range 20 {
			from := r.IntN(len(want) + 1)
			part := make([]byte, r.IntN(len(want)-from+1))
			if err := tensor.ReadFull(d, part, int64(from)); err != nil || !bytes.Equal(part, want[from:from+len(part)]) {
				t.Fatalf("%+v: bytes %d to %d: %v", l, from, from+len(part), err)
			}
		}
		if n, err := d.ReadAt(make([]byte, 9), int64(len(want))); n != 0 || err != io.EOF {
			t.Errorf("%+v: %d bytes beyond the end, %v", l, n, err)
		}
	}
}

func mismatch(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

func TestLayoutRefused(t *testing.T) {
	for _, test := range []struct {
		l    layout
		want string
	}{
		{layout{tensor.F32, []int{2, 3}, []int{3, 1}, 5, false}, "shape [2 3] with strides [3 1] from 5 on reaches element 10 of a storage of 10"},
		{layout{tensor.F32, []int{2}, []int{-1}, 5, false}, "stride -1 is negative"},
		{layout{tensor.F32, []int{2}, []int{1}, -1, false}, "offset -1 is negative"},
		{layout{tensor.F32, []int{-2}, []int{1}, 0, false}, "shape [-2] has a negative dimension"},
		{layout{tensor.F32, []int{2}, nil, 0, false}, "0 strides, want the 1 of shape [2]"},
		{layout{tensor.F32, []int{3, 2}, []int{1 << 62, 1}, 0, false}, "shape [3 2] with strides [4611686018427387904 1] reaches beyond 2⁶³"},
		{layout{tensor.F32, []int{1 << 40, 1 << 40}, []int{0, 0}, 0, false}, "shape [1099511627776 1099511627776] of float32 has more bytes than an int64 holds"},
	} {
		if err := test.l.within(10); err == nil || err.Error() != test.want {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
	for _, l := range []layout{{tensor.F32, []int{2, 5}, []int{5, 1}, 0, false}, {tensor.F32, []int{0, 99}, []int{99, 1}, 7, false}, {tensor.F32, []int{1}, []int{99}, 9, false}} {
		if err := l.within(10); err != nil {
			t.Errorf("%+v: %v", l, err)
		}
	}
}
