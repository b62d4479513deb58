package op_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// Where the taps of a sum's transposed convolutions lie, and what does not lie over each other.
func TestPlaced(t *testing.T) {
	up := func(key string, shape []int, more op.Conv) op.Expr {
		more.Weight, more.Transposed = op.Param{Key: key, Tensor: tensor.Tensor{Type: tensor.F32, Shape: shape}}, true
		return more
	}
	padded := func(n ...int) op.Conv { return op.Conv{Padding: n} }
	big := []int{8, 4, 4, 4}
	for _, test := range []struct {
		sum      op.Sum
		at, fail string // of the second; of the whole
	}{
		{op.Sum{up("big", big, op.Conv{}), up("small", []int{8, 4, 2, 2}, op.Conv{})}, "[1 1]", ""},
		{op.Sum{up("wide", []int{8, 4, 2, 4}, op.Conv{}), up("high", []int{8, 4, 4, 2}, op.Conv{})}, "[0 1]", ""},
		{op.Sum{up("big", big, padded(1)), up("small", []int{8, 4, 2, 2}, padded(0, 0))}, "[1 1]", ""},
		{op.Sum{up("big", big, padded(2)), up("small", []int{8, 4, 2, 2}, padded(0))}, "", "big and small enlarge to different extents"},
		{op.Sum{up("big", big, op.Conv{}), up("odd", []int{8, 4, 3, 4}, op.Conv{})}, "", "big and odd: kernels of 4 and 3 have no middle in common"},
		{op.Sum{up("big", big, op.Conv{Stride: []int{2, 2}}), up("other", big, op.Conv{Stride: []int{4, 4}})}, "", "other has stride [4 4], want [2 2] as big has"},
		{op.Sum{up("big", big, op.Conv{}), up("wider", big, op.Conv{Dilation: []int{1, 2}})}, "", "wider has dilation 2, want 1 as big has"},
		{op.Sum{up("big", big, op.Conv{Padding: []int{3}, Dilation: []int{2}}), up("small", []int{8, 4, 2, 2}, op.Conv{Padding: []int{1}, Dilation: []int{2, 2}})}, "[1 1]", ""},
		{op.Sum{up("big", big, op.Conv{}), op.Seq{op.Sum{up("a", []int{8, 4, 2, 2}, op.Conv{}), up("b", []int{8, 4, 2, 2}, op.Conv{})}, op.Scale{Factor: 2}}}, "",
			"a and b are transposed convolutions in one branch, want each in a branch of its own"},
		{op.Sum{up("big", big, op.Conv{}), up("apart", []int{8, 2, 4, 4}, op.Conv{Groups: 2})}, "", "2 groups, want 1"},
		{op.Sum{up("big", big, op.Conv{}), op.Scale{Factor: 2}}, "", "a transposed convolution stands beside another branch"},
	} {
		f, err := op.Check(test.sum)
		if test.fail != "" {
			if err == nil || !strings.Contains(err.Error(), test.fail) {
				t.Errorf("%s: %v, want %q", test.sum, err, test.fail)
			}
			continue
		}
		placed, err2 := op.Placed(test.sum)
		if err != nil || err2 != nil {
			t.Errorf("%s: %v, %v", test.sum, err, err2)
			continue
		}
		if at := fmt.Sprint(placed[1].(op.Conv).At); at != test.at || !slices.Equal(f.WeightShape(), big) {
			t.Errorf("%s: the second lies at %s of %v, want %s of %v", test.sum, at, f.WeightShape(), test.at, big)
		}
	}
	one := op.Sum{up("spread", []int{8, 4, 3}, op.Conv{Dilation: []int{2}}), up("point", []int{8, 4, 1}, op.Conv{})}
	if placed, err := op.Placed(one); err != nil || fmt.Sprint(placed[1].(op.Conv).At) != "[1]" {
		t.Errorf("%s: %v, %v, want the second at [1]", one, placed, err)
	}
	for _, strides := range [][2][]int{{{2, 2}, nil}, {nil, {2, 2}}, {{2, 2}, {2}}} {
		f, err := op.Check(op.Sum{up("big", big, op.Conv{Stride: strides[0]}), up("other", big, op.Conv{Stride: strides[1]})})
		if err != nil || !slices.Equal(f.Stride, []int{2, 2}) {
			t.Errorf("strides %v: %v, %v, want [2 2]", strides, f.Stride, err)
		}
	}
}
