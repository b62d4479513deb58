package trace

import (
	"slices"

	"repfuse/internal/op"
)

// arguments is at which places an operator has what a convolution is asked for, and -1
// where it has it at none. turned says that every call is transposed; an operator that
// has a place for it says it itself.
type arguments struct {
	bias, stride, padding, dilation, transposed, groups int
	turned                                              bool
}

// The operators that convolve: (x, weight, …).
var (
	convolution = arguments{bias: 2, stride: 3, padding: 4, dilation: 5, transposed: 6, groups: 8}
	cudnn       = arguments{bias: -1, padding: 2, stride: 3, dilation: 4, transposed: -1, groups: 5}
	functional  = arguments{bias: 2, stride: 3, padding: 4, dilation: 5, transposed: -1, groups: 6}
	transposed  = arguments{bias: 2, stride: 3, padding: 4, transposed: -1, groups: 6, dilation: 7, turned: true}
)

func (c call) convolution(at arguments) (result, string) {
	weight, okW := c.param(c.arg(1, "weight"))
	bias, okB := c.param(c.arg(at.bias, "bias"))
	turned := at.turned
	if at.transposed >= 0 {
		turned, _ = c.arg(at.transposed, "transposed").(bool)
	}
	groups, okG := whole(c.arg(at.groups, "groups"))
	if c.arg(at.groups, "groups") == nil {
		groups, okG = 1, true
	}
	x := c.of(c.arg(0, "input"))
	switch {
	case x == nil || x.fixed || weight == nil && okW || !okG:
		return result{}, unknown
	case !okW || !okB:
		return result{}, computed
	case len(weight.Shape) != len(x.shape) || len(x.shape) < 2:
		return result{}, "without a batch's axis"
	}
	axes := len(weight.Shape) - 2
	e := op.Conv{Weight: *weight, Bias: bias, Transposed: turned, Groups: groups}
	var ok [3]bool
	e.Stride, ok[0] = each(c.arg(at.stride, "stride"), axes, 1)
	e.Padding, ok[1] = each(c.arg(at.padding, "padding"), axes, 0)
	e.Dilation, ok[2] = each(c.arg(at.dilation, "dilation"), axes, 1)
	if ok != [3]bool{true, true, true} {
		return result{}, unknown
	}
	if !turned && groups == 1 {
		e.Groups = 0 // the shapes say as much
	}
	if !slices.ContainsFunc(e.Dilation, func(d int) bool { return d != 1 }) {
		e.Dilation = nil
	}
	return c.apply(e, e.Padding), ""
}

// each is one number for each axis of a list, of which torch lets one stand for all, and
// none for what it takes then.
func each(x any, axes, otherwise int) ([]int, bool) {
	if x == nil || x == "valid" {
		return slices.Repeat([]int{otherwise}, axes), true
	}
	list, ok := wholes(x)
	if ok && len(list) == 1 && axes > 0 {
		return slices.Repeat(list, axes), true
	}
	return list, ok && len(list) == axes
}
