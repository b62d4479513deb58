package onnx

import (
	"fmt"
	"slices"

	"repfuse/internal/graph"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

func (t *Net) pad(n *Node) (*step, string) {
	mode := textAttr(n, "mode", "constant")
	value := float64(0)
	if a := n.Attr("value"); a != nil {
		value = float64(a.Float)
	}
	if !absent(n, 2) {
		c := t.constant(n, 2)
		if c == nil {
			return nil, "pads with no constant"
		}
		a, err := c.array()
		if err != nil || len(a.f) != 1 {
			return nil, "pads with no constant"
		}
		value = a.f[0]
	}
	rank := len(t.facts.shape(n, 0))
	begin, end, err := padsOf(n, rank, t.facts.intsOf(n))
	switch {
	case mode != "constant":
		return nil, "pads by " + mode
	case value != 0:
		return nil, fmt.Sprintf("pads with %g", value)
	case err != nil:
		return nil, err.Error()
	case rank < 3 || slices.ContainsFunc(slices.Concat(begin[:2], end[:2]), func(p int) bool { return p != 0 }):
		return nil, "pads channels"
	}
	return shifted(n, begin[2:], nil, end[2:]), ""
}

// shifted is the value moved and resized: by padding, or by crops, which are negative.
func shifted(n *Node, begin, stride, end []int) *step {
	any := func(list []int, but int) bool {
		return slices.ContainsFunc(list, func(v int) bool { return v != but })
	}
	if !any(begin, 0) && !any(end, 0) && !any(stride, 1) {
		return linear(n, op.Identity{}, graph.AnyAxis)
	}
	s := linear(n, op.Identity{Padding: begin, Stride: stride}, graph.Channels)
	s.after = end
	return s
}

func (t *Net) slice(n *Node) (*step, string) {
	shape := t.facts.shape(n, 0)
	if shape == nil {
		return nil, "the number of axes of what it cuts is unknown"
	}
	cuts, err := cutsOf(n, shape, t.facts.intsOf(n))
	if err != nil {
		return nil, err.Error()
	}
	var begin, stride, end []int
	for a, c := range cuts {
		whole := c.from == 0 && c.step == 1 && c.after == 0
		switch {
		case c.step < 0 || c.count == 0 || a == 0 && !whole:
			return nil, "cuts backwards, nothing, or the batch"
		case a == 1 && !whole:
			return t.channels(n, cuts)
		case a > 1:
			begin, stride, end = append(begin, -c.from), append(stride, c.step), append(end, -c.after)
		}
	}
	return shifted(n, begin, stride, end), ""
}

// channels is a slice along the channels alone.
func (t *Net) channels(n *Node, cuts []cut) (*step, string) {
	c, of := cuts[1], t.facts.shape(n, 0)[1]
	for _, other := range cuts[2:] {
		if other.from != 0 || other.step != 1 || other.after != 0 {
			return nil, "cuts along several axes"
		}
	}
	if of < 0 || c.step != 1 {
		return nil, "cuts an unknown number of channels"
	}
	return linear(n, op.Select{From: c.from, To: c.from + c.count, Of: of}, graph.Channels), ""
}

func (t *Net) pool(n *Node) (*step, string) {
	k := kernelOf(n)
	g, err := slidingOf(n, t.facts.shape(n, 0), k)
	counted := intAttr(n, "count_include_pad", 0) != 0
	switch {
	case k == nil:
		return nil, "it has no kernel_shape"
	case err != nil:
		return nil, err.Error()
	case g.ceil:
		return nil, "rounds its extent up"
	case !counted && slices.ContainsFunc(slices.Concat(g.begin, g.end), func(p int) bool { return p != 0 }):
		return nil, "a mean that does not count its padding"
	}
	s := linear(n, op.AvgPool{Kernel: k, Stride: g.stride, Padding: g.begin, Dilation: g.dilation}, graph.Channels)
	s.after = g.end
	return s, ""
}

// sample is a maximum over one element: every so many-th.
func (t *Net) sample(n *Node) (*step, string) {
	k := kernelOf(n)
	g, err := slidingOf(n, t.facts.shape(n, 0), k)
	if k == nil || tensor.Elems(k) != 1 || err != nil || g.ceil || len(n.Out) > 1 || slices.Max(slices.Concat(g.begin, g.end)) > 0 {
		return nil, ""
	}
	return shifted(n, make([]int, len(k)), g.stride, make([]int, len(k))), ""
}

func (t *Net) concat(n *Node) (*step, string) {
	for _, v := range n.In {
		if v == nil || t.facts.consts[v] != nil {
			return nil, ""
		}
	}
	rank := len(t.facts.shapes[n.Out[0]])
	axis, ok := axisOf(n, rank, 1)
	s := &step{kind: graph.Concat, reads: n.In, axis: graph.Channels}
	switch {
	case !ok:
		return nil, ""
	case axis == rank-1 && rank > 2:
		s.axis = graph.LastAxis
	case axis != 1:
		return nil, ""
	}
	return s, ""
}

// transpose moves the channels of a layer before it, if that says where it has them.
func (t *Net) transpose(n *Node) (*step, string) {
	rank := len(t.facts.shapes[n.Out[0]])
	perm := permutation(n, rank)
	from := graph.ChannelAxis(t.axes[n.In[0]], rank)
	if perm == nil || from < 0 {
		return nil, ""
	}
	return t.moved(n, slices.Index(perm, from), rank)
}

// moved is a value whose channels come to lie along another of rank axes, which layers have to know.
func (t *Net) moved(n *Node, to, rank int) (*step, string) {
	axis, ok := graph.MovedTo(to, rank)
	if !ok {
		return nil, ""
	}
	return &step{kind: graph.Move, reads: n.In[:1], axis: t.axes[n.In[0]], to: axis}, ""
}

func (t *Net) reshape(n *Node) (*step, string) {
	out := t.facts.shapes[n.Out[0]]
	to, ok := graph.Reshaped(t.axes[n.In[0]], t.facts.shape(n, 0), out)
	if !ok {
		return nil, ""
	}
	return t.moved(n, to, len(out))
}
