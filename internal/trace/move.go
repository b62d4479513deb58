package trace

import (
	"slices"

	"repfuse/internal/graph"
)

// moved is a value whose channels come to lie along another axis of so many.
func (v *value) moved(to, rank int) (result, string) {
	axis, ok := graph.MovedTo(to, rank)
	if !ok {
		return result{}, "that takes the channels to another axis"
	}
	return result{kind: graph.Move, axis: v.axis, to: axis}, ""
}

func (c call) reshape() (result, string) {
	x := c.of(c.arg(0, "self"))
	if len(c.Out) != 1 || x == nil {
		return result{}, ""
	}
	out := c.values[c.Out[0]].shape
	if slices.Equal(x.shape, out) {
		return c.identity()
	}
	to, ok := graph.Reshaped(x.axis, x.shape, out)
	if !ok {
		return result{}, "that changes the axes"
	}
	return x.moved(to, len(out))
}

// permute is (x, order of the axes).
func (c call) permute() (result, string) {
	x := c.of(c.arg(0, "self"))
	order, _ := wholes(c.arg(1, "dims"))
	if x == nil || len(order) != len(x.shape) {
		return result{}, unknown
	}
	for k := range order {
		if order[k] < 0 {
			order[k] += len(order)
		}
	}
	return x.permuted(order)
}

// transpose is (x, axis, axis), which change places.
func (c call) transpose() (result, string) {
	x := c.of(c.arg(0, "self"))
	a, okA := whole(c.arg(1, "dim0"))
	b, okB := whole(c.arg(2, "dim1"))
	if x == nil || !okA || !okB {
		return result{}, unknown
	}
	order := make([]int, len(x.shape))
	for k := range order {
		order[k] = k
	}
	for _, axis := range []*int{&a, &b} {
		if *axis < 0 {
			*axis += len(order)
		}
		if *axis < 0 || *axis >= len(order) {
			return result{}, unknown
		}
	}
	order[a], order[b] = b, a
	return x.permuted(order)
}

func (v *value) permuted(order []int) (result, string) {
	from := graph.ChannelAxis(v.axis, len(v.shape))
	if from < 0 {
		return result{}, "that changes the axes"
	}
	return v.moved(slices.Index(order, from), len(order))
}
