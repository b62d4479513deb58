package trace

import (
	"slices"

	"repfuse/internal/graph"
)

// channels is the axis that the operators before a value have its channels along,
// negative where they do not say.
func (v *value) channels() int {
	switch v.axis {
	case graph.Channels:
		return min(1, len(v.shape)-1)
	case graph.LastAxis:
		return len(v.shape) - 1
	}
	return -1
}

// moved is a value whose channels come to lie along another axis of so many.
func (v *value) moved(to, rank int) (result, string) {
	r := result{kind: graph.Move, axis: v.axis, to: graph.LastAxis}
	switch {
	case to == 1:
		r.to = graph.Channels
	case to != rank-1 || rank < 2:
		return result{}, "that takes the channels to another axis"
	}
	return r, ""
}

// reshape leaves the channels together where they stay the last axis, or the one after an
// unchanged batch: a Linear layer on [N, T, C] runs on [N·T, C].
func (c call) reshape() (result, string) {
	x := c.of(c.arg(0, "self"))
	if len(c.Out) != 1 || x == nil {
		return result{}, ""
	}
	in, out := x.shape, c.values[c.Out[0]].shape
	from, to := x.channels(), len(out)-1
	if slices.Equal(in, out) {
		return c.identity()
	}
	if from >= 0 && from < len(in)-1 {
		if to = 1; in[0] != out[0] {
			from = -1
		}
	}
	if from < 0 || len(out) < 2 || out[to] != in[from] {
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
	from := v.channels()
	if from < 0 {
		return result{}, "that changes the axes"
	}
	return v.moved(slices.Index(order, from), len(order))
}
