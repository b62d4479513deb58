package graph

import "repfuse/internal/op"

// maxAxes is the axes of an image that a layer may have: as many as ONNX runtimes and
// PyTorch convolve.
const maxAxes = 3

// axis is how a value v lies over an earlier one, its anchor a of N elements, along one
// axis. With zeros around a,
//
//	v[p] = Σ k[t]·a[stride·p + t]  for 0 ≤ p ≤ ⌊(N+extent)/stride⌋, lo ≤ t ≤ hi.
//
// A step of the pass that looks at v outside its grid sees zeros, and the formula must
// say zeros there too. before and behind are what that asks of a: before, the largest
// hi − stride of all values that are looked at before their first element, must be
// negative; behind, the smallest extent + 1 + lo of those looked at behind their last
// one, must not be. What stands between a and the graph's input moves both.
type axis struct {
	lo, hi, step, stride, extent int32
	before, behind               int32
}

// unread is before or behind of an axis that nobody looks beyond.
const unread = 1 << 30

// here is the axis of a value over itself.
var here = axis{stride: 1, extent: -1, before: -unread, behind: unread}

// bound is beyond every number of a layer that a runtime takes. Where all are below it,
// those of two layers, one behind the other, fit 32 bits.
const bound = 1 << 14

// then is g behind f: the taps of g lie f's stride apart.
func (f *axis) then(g *axis) axis {
	h := axis{
		lo: f.lo + f.stride*g.lo, hi: f.hi + f.stride*g.hi, step: op.GCD(f.step, f.stride*g.step),
		stride: f.stride * g.stride, extent: f.extent + f.stride*(1+g.extent),
		before: f.before, behind: f.behind,
	}
	if g.before != -unread {
		h.before = max(h.before, f.hi+f.stride*g.before)
	}
	if g.behind != unread {
		h.behind = min(h.behind, f.extent+1+f.lo+f.stride*g.behind)
	}
	return h
}

// beside is f and g added, which have one stride. Where extents differ the values are
// known to be equally long all the same.
func (f *axis) beside(g *axis) axis {
	return axis{
		lo: min(f.lo, g.lo), hi: max(f.hi, g.hi), step: op.GCD(op.GCD(f.step, g.step), f.lo-g.lo),
		stride: f.stride, extent: max(f.extent, g.extent),
		before: max(f.before, g.before), behind: min(f.behind, g.behind),
	}
}

func (f *axis) taps() float64 { return float64((f.hi-f.lo)/max(f.step, 1) + 1) }

func (f *axis) bounded() bool {
	return max(f.hi, -f.hi, f.lo, -f.lo, f.stride, f.extent, -f.extent) <= bound
}
