package fuse

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"repfuse/internal/tensor"
)

// TestShelf: where the only place is taken kernels are read for every tile, to the same
// bytes, until it is free.
func TestShelf(t *testing.T) {
	e := dbb(rand.New(rand.NewPCG(31, 31)), 150)
	shelf := NewShelf(1)
	var all [2]*Fused
	for k := range all {
		f, err := New(e, tensor.F32)
		if err != nil {
			t.Fatal(err)
		}
		f.Shelf, all[k] = shelf, f
	}
	first, second := kernel(t, all[0]), kernel(t, all[1])
	if heldOf(all[0]) == 0 || heldOf(all[1]) > 0 {
		t.Errorf("%d and %d bytes are held, want some and none", heldOf(all[0]), heldOf(all[1]))
	}
	all[0].Free()
	third := kernel(t, all[1])
	if heldOf(all[1]) == 0 {
		t.Error("nothing is held where there is a place again")
	}
	if !bytes.Equal(first, second) || !bytes.Equal(first, third) {
		t.Error("bytes differ")
	}
	if all[1].Free(); len(shelf) != 1 {
		t.Errorf("%d places are free in the end, want 1", len(shelf))
	}
}

// heldOf is the bytes of kernels that are held.
func heldOf(f *Fused) int {
	n := 0
	for _, c := range f.convs {
		n += len(c.held)
	}
	return n
}

// kernel is the whole fused kernel.
func kernel(t *testing.T, f *Fused) []byte {
	t.Helper()
	w := f.NewWorker()
	b := make([]byte, f.Rows()*f.RowBytes())
	if err := w.Kernel(b, 0, f.Rows()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b
}
