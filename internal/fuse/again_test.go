package fuse

import (
	"math/rand/v2"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// TestAgain: an element computed again by itself, for which only what it comes from is
// computed, is what it is among all.
func TestAgain(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 41))
	n := 10
	e := dbb(r, n).(op.Sum)
	inner := op.Sum{randomConv(r, "idconv", n, n, 1, 1), op.Identity{}}
	e = append(e, op.Seq{inner, randomBN(r, "bn1", n), randomConv(r, "kxk", n, n, 3, 3), randomBN(r, "bn2", n)})
	f, err := New(e, tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	w := f.NewWorker()
	defer w.Close()
	const rows = 3
	s, err := w.rows(make([]byte, rows*f.RowBytes()), f.Type, 0, rows)
	if err != nil {
		t.Fatal(err)
	}
	every := make([]int, rows*s.cells())
	for i := range every {
		every[i] = i
	}
	want := make([]dd, len(every))
	if err := w.twofold.elements(s, every, true, func(at int, v dd) { want[at] = v }); err != nil {
		t.Fatal(err)
	}
	for at := range every {
		for _, list := range [][]int{{at}, {at, len(every) - 1}} {
			err := w.twofold.elements(s, list, false, func(at int, v dd) {
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
