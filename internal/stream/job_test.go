package stream

import (
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// product is a block of two kernels, one after the other.
func product(t *testing.T) *block {
	kernel := op.Conv{Weight: op.Param{Key: "w", Tensor: tensor.Of(tensor.F32, []int{2, 2}, []float64{1, 2, 3, 4})}}
	b := &block{of: &plan.Output{Expr: op.Seq{kernel, kernel}}}
	if err := b.ready(tensor.F32, nil); err != nil {
		t.Fatal(err)
	}
	return b
}

// A block is made ready once, and gone when the last of its items is done.
func TestBlock(t *testing.T) {
	b := product(t)
	b.holders.Store(2)
	made := b.Fused
	if err := b.ready(tensor.F32, nil); err != nil || b.Fused != made {
		t.Errorf("made ready twice, %v", err)
	}
	if b.release(); b.Fused == nil {
		t.Error("freed before its last item was done")
	}
	if b.release(); b.Fused != nil {
		t.Error("not freed")
	}
	b = &block{of: &plan.Output{Expr: op.Seq{}}}
	for range 2 {
		if b.ready(tensor.F32, nil) == nil {
			t.Error("no error of a block of nothing")
		}
	}
}

// Where as many kernels are multiplied as may be, the longest is joined; what is copied does
// not count.
func TestCrowded(t *testing.T) {
	short := &job{n: 2, piece: 1, block: product(t)}
	long := &job{n: 3, piece: 1, block: product(t)}
	kept := &job{n: 9, piece: 1}
	s := &jobs{open: []*job{short, kept, long}}
	for most, want := range map[int]*job{1: long, 2: long, 3: nil} {
		if got := s.crowded(most); got != want {
			t.Errorf("of at most %d: %+v, want %+v", most, got, want)
		}
	}
}
