package op_test

import (
	"errors"
	"testing"

	"repfuse/internal/op"
)

// A Window is accepted where it changes nothing, whatever it is nested in.
func TestWindow(t *testing.T) {
	conv := func(kernel ...int) op.Conv { return op.Conv{Weight: param(append([]int{4, 4}, kernel...)...)} }
	biased := func(kernel ...int) op.Conv {
		c := conv(kernel...)
		c.Bias = vectorOf(4)
		return c
	}
	w := op.Window{}
	for _, test := range []struct {
		name string
		e    op.Expr
		ok   bool
	}{
		{"nothing before", op.Seq{w, conv(3, 3)}, true},
		{"only along the axis that one side looks along", op.Seq{conv(3, 1), op.Window{Axes: []int{1}}, conv(3, 3)}, true},
		{"along the other", op.Seq{conv(3, 1), op.Window{Axes: []int{0}}, conv(3, 3)}, false},
		{"a bias before, no axis", op.Seq{biased(1, 1), op.Window{Axes: []int{0}}, conv(1, 3)}, true},
		{"nothing after", op.Seq{biased(3, 3), w}, true},
		{"along different axes", op.Seq{conv(1, 3), w, conv(3, 1)}, true},
		{"along the same", op.Seq{conv(1, 3), w, conv(1, 3)}, false},
		{"a bias before", op.Seq{biased(1, 1), w, conv(3, 3)}, false},
		{"a point after", op.Seq{biased(3, 3), w, conv(1, 1)}, true},
		{"the bias is outside the branch", op.Seq{norm(4), op.Sum{op.Seq{w, conv(3, 3)}, op.Identity{}}}, false},
		{"the kernel before is outside", op.Seq{conv(3, 3), op.Seq{w, conv(3, 3)}}, false},
		{"the kernel after is outside", op.Seq{op.Sum{op.Seq{norm(4), w}, conv(1, 1)}, conv(3, 3)}, false},
		{"a concatenation inside", op.Seq{op.Concat{op.Seq{conv(3, 3), w}, conv(3, 3)}, op.Conv{Weight: param(4, 8, 3, 3)}}, false},
		{"on a branch of its own", op.Sum{op.Seq{w, conv(3, 3)}, op.Seq{norm(4), conv(1, 1)}}, true},
	} {
		_, err := op.Check(test.e)
		var window *op.WindowError
		if test.ok != (err == nil) || !test.ok && !errors.As(err, &window) {
			t.Errorf("%s: %s: error %v, want accepted %t", test.name, test.e, err, test.ok)
		}
	}
}
