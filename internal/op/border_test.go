package op_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/op"
)

// Zeros that a layer puts back are accepted where they change nothing, whatever the layer is
// nested in.
func TestBorder(t *testing.T) {
	conv := func(kernel ...int) op.Conv { return op.Conv{Weight: param(append([]int{4, 4}, kernel...)...)} }
	padded := func(c op.Conv, padding ...int) op.Conv {
		c.Padding = padding
		return c
	}
	biased := func(kernel ...int) op.Conv {
		c := conv(kernel...)
		c.Bias = vectorOf(4)
		return c
	}
	mean := op.AvgPool{Kernel: []int{3, 3}}
	for _, test := range []struct {
		name string
		e    op.Expr
		ok   bool
	}{
		{"nothing before", op.Seq{conv(3, 3)}, true},
		{"along different axes", op.Seq{conv(1, 3), conv(3, 1)}, true},
		{"along the same", op.Seq{conv(1, 3), conv(1, 3)}, false},
		{"padded along another axis only", op.Seq{conv(3, 1), padded(conv(3, 3), 0, 1)}, true},
		{"padded along the same axis only", op.Seq{conv(3, 1), padded(conv(3, 3), 1, 0)}, false},
		{"a bias before, no padding", op.Seq{biased(1, 1), padded(conv(3, 3), 0)}, true},
		{"a bias before", op.Seq{biased(1, 1), conv(3, 3)}, false},
		{"a bias before, on the plane", op.Seq{biased(1, 1), op.OnPlane(conv(3, 3))}, true},
		{"a bias before a mean", op.Seq{biased(1, 1), mean}, false},
		{"a bias before a mean on the plane", op.Seq{biased(1, 1), op.OnPlane(mean)}, true},
		{"a bias before zeros", op.Seq{biased(1, 1), op.Identity{Padding: []int{1}}}, false},
		{"a bias before zeros on the plane", op.OnPlane(op.Seq{biased(1, 1), op.Identity{Padding: []int{1}}}), true},
		{"cut off behind a bias", op.Seq{biased(1, 1), op.Identity{Padding: []int{-1}}}, true},
		{"zeros that are cut off again", op.Seq{biased(1, 1), op.Identity{Padding: []int{1}}, op.Identity{Padding: []int{-1}}}, true},
		{"many branches with nothing before", op.Seq{op.Sum(slices.Repeat([]op.Expr{conv(3, 3)}, 101)), norm(4)}, true},
		{"a point after", op.Seq{biased(3, 3), conv(1, 1)}, true},
		{"a padded point after", op.Seq{biased(3, 3), padded(conv(1, 1), 1)}, false},
		{"the bias is outside the branch", op.Seq{norm(4), op.Sum{conv(3, 3), op.Identity{}}}, false},
		{"the kernel before is outside", op.Seq{conv(3, 3), op.Seq{conv(3, 3)}}, false},
		{"the kernel after is outside", op.Seq{op.Sum{op.Seq{norm(4), padded(conv(1, 1), 1)}, conv(3, 3)}, padded(conv(3, 3), -1)}, false},
		{"a concatenation inside", op.Seq{op.Concat{conv(3, 3), conv(3, 3)}, op.Conv{Weight: param(4, 8, 3, 3)}}, false},
		{"on a branch of its own", op.Sum{conv(3, 3), op.Seq{norm(4), conv(1, 1)}}, true},
		{"reflected behind a bias", op.Seq{biased(1, 1), op.Conv{Weight: param(4, 4, 3, 3), PaddingMode: "reflect"}}, true},
	} {
		_, err := op.CheckLayers(test.e)
		var border *op.BorderError
		if test.ok != (err == nil) || !test.ok && !errors.As(err, &border) {
			t.Errorf("%s: %s: error %v, want accepted %t", test.name, test.e, err, test.ok)
		}
		if _, err := op.Check(test.e); err != nil {
			t.Errorf("%s: %s: error %v on the plane", test.name, test.e, err)
		}
	}
	// The error has all that stands on both sides, in order.
	border := &op.BorderError{}
	_, err := op.CheckLayers(op.Seq{biased(3, 3), op.Seq{norm(4), conv(5, 5), op.Identity{}}, conv(1, 1)})
	if want := fmt.Sprint(op.Seq{biased(3, 3), norm(4)}, op.Seq{conv(5, 5), op.Identity{}, conv(1, 1)}); !errors.As(err, &border) || fmt.Sprint(border.Before, border.After) != want {
		t.Errorf("error %v, want it to name %s", err, want)
	}
	many := op.Seq(slices.Repeat([]op.Expr{padded(conv(1, 1), 1)}, 102))
	if _, err := op.CheckLayers(many); err == nil || !strings.HasSuffix(err.Error(), "101 layers that pad, one behind the other, want at most 100") {
		t.Errorf("error %v for many layers", err)
	}
}
