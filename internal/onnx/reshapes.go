package onnx

import (
	"math"
	"slices"
)

func reshapeShape(f *facts, n *Node) []int {
	x := f.shape(n, 0)
	var want []int64
	if a := n.Attr("shape"); a != nil {
		want = a.Ints
	} else if len(n.In) > 1 {
		if c := f.consts[n.In[1]]; c != nil && c.kept != nil && !c.Type.IsFloat() {
			want = c.kept.i
		}
	}
	if want == nil {
		if len(n.In) > 1 { // the rank is the length of the other input
			if s := f.shape(n, 1); len(s) == 1 && s[0] >= 0 && s[0] <= maxRank {
				return slices.Repeat([]int{-1}, s[0])
			}
		}
		return nil
	}
	out, rest, free, all := make([]int, len(want)), 1, -1, 1
	for k, d := range want {
		switch {
		case d == 0 && k < len(x):
			out[k] = x[k]
		case d > 0 && d <= math.MaxInt32:
			out[k] = int(d)
		default:
			out[k] = -1
		}
		if d == -1 {
			free = k
		} else {
			rest = times(rest, out[k])
		}
	}
	for _, d := range x {
		all = times(all, d)
	}
	if x != nil && free >= 0 && all > 0 && rest > 0 {
		out[free] = all / rest
	}
	return out
}

func flattenShape(f *facts, n *Node) []int {
	x := f.shape(n, 0)
	axis := intAttr(n, "axis", 1)
	if axis < 0 {
		axis += int64(len(x))
	}
	if x == nil || axis < 0 || axis > int64(len(x)) {
		return nil
	}
	out := []int{1, 1}
	for k, d := range x {
		side := 0
		if k >= int(axis) {
			side = 1
		}
		out[side] = times(out[side], d)
	}
	return out
}

func transposeShape(f *facts, n *Node) []int {
	x := f.shape(n, 0)
	perm := permutation(n, len(x))
	if a := n.Attr("perm"); x == nil && a != nil && len(a.Ints) <= maxRank {
		return slices.Repeat([]int{-1}, len(a.Ints))
	}
	if x == nil || perm == nil {
		return nil
	}
	out := make([]int, len(x))
	for k, from := range perm {
		out[k] = x[from]
	}
	return out
}

func squeezeShape(f *facts, n *Node) []int {
	x := f.shape(n, 0)
	axes, ok := axesOf(n, len(x), f.intsOf(n))
	if x == nil || !ok {
		return nil
	}
	all := n.Attr("axes") == nil && len(n.In) < 2
	out := []int{}
	for k, d := range x {
		switch {
		case all && d < 0:
			return nil
		case !axes[k] || all && d != 1:
			out = append(out, d)
		}
	}
	return out
}

func unsqueezeShape(f *facts, n *Node) []int {
	x, more := f.shape(n, 0), 0
	if a := n.Attr("axes"); a != nil {
		more = len(a.Ints)
	} else if axes, ok := f.intsOf(n)(1); ok {
		more = len(axes)
	}
	axes, ok := axesOf(n, len(x)+more, f.intsOf(n))
	if x == nil || !ok || len(x)+more > maxRank {
		return nil
	}
	out := []int{}
	for _, added := range axes {
		if added {
			out = append(out, 1)
		} else {
			out, x = append(out, x[0]), x[1:]
		}
	}
	return out
}
