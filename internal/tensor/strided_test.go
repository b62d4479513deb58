package tensor

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// naive gathers the elements one by one.
func naive(l Strided, file []byte) []byte {
	var out []byte
	size := l.Type.Size()
	index := make([]int, len(l.Shape))
	for range Elems(l.Shape) {
		at := int(l.Offset)
		for i := range index {
			at += index[i] * l.Strides[i]
		}
		e := slices.Clone(file[at*size : (at+1)*size])
		if l.Big && l.Type == C64 {
			slices.Reverse(e[:4])
			slices.Reverse(e[4:])
		} else if l.Big {
			slices.Reverse(e)
		}
		out = append(out, e...)
		for i := len(index) - 1; i >= 0; i-- {
			if index[i]++; index[i] < l.Shape[i] {
				break
			}
			index[i] = 0
		}
	}
	return out
}

// Layouts at random, and large ones whose elements lie near each other and far: read whole and in
// parts that begin and end anywhere, from two readers at once, in bands of any size, they are what
// gathering one by one gives.
func TestLayouts(t *testing.T) {
	const seed = 1
	r := rand.New(rand.NewPCG(seed, seed))
	file := make([]byte, 3<<20)
	for i := range len(file) / 4 {
		binary.LittleEndian.PutUint32(file[4*i:], r.Uint32())
	}
	layouts := []Strided{
		{F32, []int{300, 700}, []int{1, 300}, 5, false},
		{F32, []int{90000, 3}, []int{1, 90000}, 0, false},
		{F64, []int{3, 90000}, []int{1, 3}, 0, false},
		{F16, []int{700, 9, 80}, []int{1, 56000, 700}, 1, false},
		{F32, []int{500, 500}, []int{500, 1}, 7, true},
		{F32, []int{64, 32, 3, 3}, []int{288, 1, 96, 32}, 0, false},
		{F64, []int{}, []int{}, 3, true},
		{U8, []int{900, 7}, []int{0, 100000}, 0, true},
		{F32, []int{512, 1536}, []int{1, 512}, 0, false}, // to the file's last byte
	}
	for range 300 {
		l := Strided{Type: []Type{U8, F16, F32, F64, C64}[r.IntN(5)], Big: r.IntN(4) == 0, Offset: int64(r.IntN(50))}
		for range r.IntN(5) {
			l.Shape, l.Strides = append(l.Shape, 1+r.IntN(7)), append(l.Strides, []int{0, 1, 2, 7, 49, 343, 5000}[r.IntN(7)])
		}
		layouts = append(layouts, l)
	}
	for _, l := range layouts {
		if err := l.Within(int64(len(file) / l.Type.Size())); err != nil {
			t.Fatal(err)
		}
		want := naive(l, file)
		most := bandBytes
		if r.IntN(2) == 0 {
			most = 1 + r.IntN(len(want))
		}
		d := l.data(bytes.NewReader(append([]byte("head"), file...)), 4, nil, most)
		got := make([]byte, len(want))
		if err := ReadFull(d, got, 0); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%+v: read whole: wrong from byte %d on, %v", l, mismatch(got, want), err)
		}
		parts := 20
		if len(want) > 50*most {
			parts = 2 // a large one in small bands
		}
		var group sync.WaitGroup
		for seed := range uint64(2) {
			group.Go(func() {
				r := rand.New(rand.NewPCG(7, seed))
				for range parts {
					from := r.IntN(len(want) + 1)
					part := make([]byte, r.IntN(len(want)-from+1))
					if err := ReadFull(d, part, int64(from)); err != nil || !bytes.Equal(part, want[from:from+len(part)]) {
						t.Errorf("%+v: bytes %d to %d in bands of %d: %v", l, from, from+len(part), most, err)
					}
				}
			})
		}
		group.Wait()
		if n, err := d.ReadAt(make([]byte, 9), int64(len(want))); n != 0 || err != io.EOF {
			t.Errorf("%+v: %d bytes beyond the end, %v", l, n, err)
		}
	}
}

// zeros counts the bytes that are read.
type zeros int64

func (z *zeros) ReadAt(p []byte, _ int64) (int, error) {
	*z += zeros(len(p))
	return len(p), nil
}

// A matrix of 16 MiB in the order of columns is read through once for each band of 4 MiB, in order once,
// whatever the pieces in which it is asked for.
func TestLayoutPasses(t *testing.T) {
	const size = 16 << 20
	for _, test := range []struct {
		l      Strided
		passes zeros
	}{
		{Strided{F32, []int{1024, 4096}, []int{1, 1024}, 0, false}, 4},
		{Strided{F32, []int{1024, 4096}, []int{4096, 1}, 0, true}, 1},
	} {
		var read zeros
		d := test.l.Data(&read, 0, nil)
		for off := int64(0); off < size; off += 1 << 16 {
			if err := ReadFull(d, make([]byte, 1<<16), off); err != nil {
				t.Fatal(err)
			}
		}
		if read > test.passes*size {
			t.Errorf("%+v: %d bytes read, want at most %d times %d", test.l, read, test.passes, size)
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

// The strides are those that PyTorch gives new tensors, empty ones too.
func TestInOrder(t *testing.T) {
	for _, test := range []struct {
		shape   []int
		fortran bool
		want    []int
	}{{[]int{2, 3, 4}, false, []int{12, 4, 1}}, {[]int{2, 3, 4}, true, []int{1, 2, 6}}, {[]int{3, 0}, false, []int{1, 1}}, {nil, false, []int{}}} {
		if got := InOrder(test.shape, test.fortran); !slices.Equal(got, test.want) {
			t.Errorf("%v: %v, want %v", test.shape, got, test.want)
		}
	}
}

func TestLayoutRefused(t *testing.T) {
	for _, test := range []struct {
		l    Strided
		want string
	}{
		{Strided{F32, []int{2, 3}, []int{3, 1}, 5, false}, "shape [2 3] with strides [3 1] from 5 on reaches element 10 of a storage of 10"},
		{Strided{F32, []int{2}, []int{-1}, 5, false}, "stride -1 is negative"},
		{Strided{F32, []int{2}, []int{1}, -1, false}, "offset -1 is negative"},
		{Strided{F32, []int{-2}, []int{1}, 0, false}, "shape [-2] has a negative dimension"},
		{Strided{F32, []int{2}, nil, 0, false}, "0 strides, want the 1 of shape [2]"},
		{Strided{F32, []int{3, 2}, []int{1 << 62, 1}, 0, false}, "shape [3 2] with strides [4611686018427387904 1] reaches beyond 2⁶³"},
		{Strided{F32, []int{1 << 40, 1 << 40}, []int{0, 0}, 0, false}, "shape [1099511627776 1099511627776] of float32 has more bytes than an int64 holds"},
	} {
		if err := test.l.Within(10); err == nil || err.Error() != test.want {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
	for _, l := range []Strided{{F32, []int{2, 5}, []int{5, 1}, 0, false}, {F32, []int{0, 99}, []int{99, 1}, 7, false}, {F32, []int{1}, []int{99}, 9, false}} {
		if err := l.Within(10); err != nil {
			t.Errorf("%+v: %v", l, err)
		}
	}
}
