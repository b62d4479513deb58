package fuse

import (
	"math"
	"math/rand/v2"
	"testing"

	"repfuse/internal/exact"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// TestRefineAlone: an element computed by itself, for which only what it comes from is
// computed, is what it is among all.
func TestRefineAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 41))
	n := 10
	e := dbb(r, n).(op.Sum)
	inner := op.Sum{randomConv(r, "idconv", n, n, 1, 1), op.Identity{}}
	e = append(e, op.Seq{inner, randomBN(r, "bn1", n), randomConv(r, "kxk", n, n, 3, 3), randomBN(r, "bn2", n)})
	f, err := New(e, tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	w := f.NewWorker(new(Workspace))
	defer w.Close()
	s, err := w.rows(make([]byte, 3*f.RowBytes()), f.Type, 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	double := &refiner[exact.DD, exact.Doubles]{numbers: &w.space.twofold, kernels: w.kernels}
	for o := range 3 {
		every := make([]int, s.cells())
		for i := range every {
			every[i] = o*s.cells() + i
		}
		want := map[int]exact.DD{}
		if err := elements(double, f, s, every, func(at int, v exact.DD) { want[at] = v }); err != nil {
			t.Fatal(err)
		}
		last := every[len(every)-1]
		for _, at := range every {
			for _, list := range [][]int{{at}, {at, last}} {
				err := elements(double, f, s, list, func(at int, v exact.DD) {
					if v != want[at] {
						t.Fatalf("element %d of %v: %v, want %v", at, list, v, want[at])
					}
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestRoundingsOfProducts: a product of matrices is rounded correctly where float64 loses one
// term after the other to the first, and ends up on the wrong side of a tie by more than a
// single rounding could.
func TestRoundingsOfProducts(t *testing.T) {
	const n = gemmBlock
	tie := 1 + 0x1p-24 // between 1 and the next float32
	first, rest := make([]float64, n), make([]float64, n)
	for i := range first {
		first[i], rest[i] = 0x1p-27, 0x1p-27 // a product is 2⁻⁵⁴: a quarter of an ulp of the sum
	}
	first[0], rest[0] = tie-14*0x1p-53, 1
	e := op.Seq{
		op.Conv{Weight: *param("v", tensor.F64, []int{n, 1}, rest...)},
		op.Conv{Weight: *param("w", tensor.F64, []int{1, n}, first...)},
	}
	sum := first[0]
	for i := 1; i < n; i++ {
		sum = math.FMA(first[i], rest[i], sum)
	}
	if sum != first[0] {
		t.Fatal("float64 loses nothing")
	}
	c, err := Collapse(e, tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, e, "kernel", c.Weight, truth(t, e, 1, 0).at(nil), 0.5)
}
