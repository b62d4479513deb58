package op

import (
	"cmp"
	"fmt"
	"slices"
)

// Placed is a sum whose transposed convolutions know where they lie over each other: at the middle of the largest,
// as those do that enlarge to the same extents with a padding of (k − stride)/2, or by their paddings where all have one.
// Other sums stay as they are.
func Placed(s Sum) (Sum, error) {
	if len(s) < 2 {
		return s, nil
	}
	convs := make([]*Conv, len(s))
	for k, part := range s {
		var of []*Conv
		Walk(part, func(e Expr) {
			if c, ok := e.(Conv); ok && c.Transposed {
				of = append(of, &c)
			}
		})
		if len(of) == 0 || len(of[0].Weight.Shape) != len(cmp.Or(convs[0], of[0]).Weight.Shape) {
			return s, nil
		}
		if len(of) > 1 { // whose own places would be lost
			return nil, fmt.Errorf("%s and %s are transposed convolutions in one branch, want each in a branch of its own", of[0].Weight.Key, of[1].Weight.Key)
		}
		convs[k] = of[0]
	}
	at := make([][]int, len(s))
	for a := range len(convs[0].Weight.Shape) - 2 {
		extent := func(c *Conv) int { return c.Weight.Shape[2+a] }
		largest := slices.MaxFunc(convs, func(b, c *Conv) int { return extent(b) - extent(c) })
		padded := !slices.ContainsFunc(convs, func(c *Conv) bool { return c.Padding == nil })
		for k, c := range convs {
			gap, dilation := extent(largest)-extent(c), axis(largest.Dilation, a, 1)
			if d := axis(c.Dilation, a, 1); d != dilation && extent(c) > 1 {
				return nil, fmt.Errorf("%s has dilation %d, want %d as %s has", c.Weight.Key, d, dilation, largest.Weight.Key)
			}
			if gap%2 != 0 {
				return nil, fmt.Errorf("%s and %s: kernels of %d and %d have no middle in common", largest.Weight.Key, c.Weight.Key, extent(largest), extent(c))
			}
			if padded && gap*dilation != 2*(axis(largest.Padding, a, 0)-axis(c.Padding, a, 0)) {
				return nil, fmt.Errorf("%s and %s enlarge to different extents: kernels of %d and %d with paddings %v and %v, want a difference that paddings halve",
					largest.Weight.Key, c.Weight.Key, extent(largest), extent(c), largest.Padding, c.Padding)
			}
			if axis(largest.Stride, a, 0) != axis(c.Stride, a, 0) && largest.Stride != nil && c.Stride != nil {
				return nil, fmt.Errorf("%s has stride %v, want %v as %s has", c.Weight.Key, c.Stride, largest.Stride, largest.Weight.Key)
			}
			at[k] = append(at[k], gap/2)
		}
	}
	placed := make(Sum, len(s))
	for k, part := range s {
		var err error
		placed[k], err = Replace(part, func(c Conv) (Expr, error) {
			if c.Transposed {
				c.At = at[k]
			}
			return c, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return placed, nil
}
