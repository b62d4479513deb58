package report

import (
	"slices"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// kernel is a convolution of two channels whose weights are all the same.
func kernel(key string, weight float64, extents ...int) op.Conv {
	shape := append([]int{2, 2}, extents...)
	w := tensor.Of(tensor.F32, shape, slices.Repeat([]float64{weight}, tensor.Elems(shape)))
	return op.Conv{Weight: op.Param{Key: key, Tensor: w}}
}

// Each branch stands at its taps of the whole kernel, scaled by what follows the sum.
func TestBranchPower(t *testing.T) {
	spread := kernel("spread", 3, 2, 3)
	spread.Dilation, spread.Padding = []int{4, 2}, []int{2, 2}
	e := op.Seq{op.Sum{kernel("whole", 1, 5, 5), kernel("point", 2, 1, 1), spread, op.Identity{}}, op.Scale{Factor: 10}}
	form, err := op.Check(e)
	if err != nil {
		t.Fatal(err)
	}
	list := branches(e)
	for k, want := range []struct {
		what  string
		power float64
		at    []int // taps of the 5×5, by rows; nil is all
	}{
		{"5×5", 100, nil},
		{"1×1", 400, []int{12}},
		{"2×3", 900, []int{0, 2, 4, 20, 22, 24}},
		{"identity", 50, []int{12}}, // ones for two of four pairs of channels
	} {
		if got := what(list[k]); got != want.what {
			t.Errorf("branch %d is %s, want %s", k, got, want.what)
		}
		got, err := branchPower(list[k], form)
		if err != nil {
			t.Fatal(err)
		}
		for tap, p := range got {
			expected := want.power
			if want.at != nil && !slices.Contains(want.at, tap) {
				expected = 0
			}
			if p != expected {
				t.Errorf("%s: %g at tap %d, want %g", want.what, p, tap, expected)
			}
		}
	}
}
