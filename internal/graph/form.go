package graph

import (
	"fmt"

	"repfuse/internal/op"
)

// form is a value over its anchor as one layer would give it.
type form struct {
	axes [maxAxes]axis
	// rank is the number of axes, -1 where every number fits.
	rank int
	// from and to are where the anchor and the value have the channels. They differ if a
	// Move is between them, which moved says. Kernels are before it: what is behind acts on
	// each channel by itself, and so can be done before.
	from, to int
	moved    bool
	// in, out and groups are 0 where every number of channels fits, each to itself.
	in, out, groups int
	// bias says that a constant is added, outside that a step looks beyond a grid, where
	// no constant may have been added before.
	bias, outside bool
	// border is the value whose zeros a border within stands for, so that the anchor must
	// not lie behind it, or -1.
	border int
	// like is the transposed convolution within, or -1.
	like int
	// layers and size are the convolutions and the operators, once for each path to the
	// anchor.
	layers, size int
}

// maxSize is how many operators an expression may have. The largest block published,
// an ECBSR of five branches, has fewer than fifty.
const maxSize = 1 << 10

func identity() form {
	return form{rank: -1, axes: [maxAxes]axis{here, here, here}, like: -1, border: -1}
}

// onChannels reports whether f acts on each channel by itself, in place.
func (f *form) onChannels() bool {
	return f.layers == 0 && f.groups == f.in && f.axes == identity().axes
}

// steps is how many nodes a layer of form f is.
func (f *form) steps() int {
	if f.from == LastAxis && f.bias {
		return 2
	}
	return 1
}

// failure is why values are not one layer. final says that no earlier step mends it.
type failure struct {
	reason   Reason
	detail   string
	final    bool
	was, now float64 // of Costly, which a search meets too often to write it down
}

func (f *failure) text() string {
	if f.reason == Costly {
		return fmt.Sprintf("%.0f products at each position in place of %.0f", f.now, f.was)
	}
	return f.detail
}

func final(r Reason, detail string) *failure {
	return &failure{reason: r, detail: detail, final: true}
}

func unfit(format string, args ...any) *failure {
	return final(Unfit, fmt.Sprintf(format, args...))
}

// ofNode is the form of a Linear node over the value it reads.
func ofNode(n *Node, index int) (form, *failure) {
	rank, fixed := shapeOf(n.Op)
	f := form{rank: rank, from: n.Axis, to: n.Axis, like: -1, border: -1}
	of, err := op.Check(n.Op)
	if !fixed {
		of, err = op.CheckFrom(n.Op, 1, max(rank, 0))
	}
	switch {
	case err != nil:
		return f, unfit("%v", err)
	case rank > maxAxes || n.After != nil && len(n.After) != rank:
		return f, unfit("%d axes, padding %v after them", rank, n.After)
	case of.PaddingMode != "":
		return f, final(NotLinear, "padding by "+of.PaddingMode)
	}
	if fixed {
		f.in, f.out, f.groups = of.In, of.Out, of.Groups
	}
	f.bias = of.Bias
	op.Walk(n.Op, func(e op.Expr) {
		f.size++
		if _, ok := e.(op.Conv); ok {
			f.layers++
		}
	})
	if of.Transposed {
		f.like, f.outside, f.axes = index, rank > 0, identity().axes
		return f, nil
	}
	f.axes = identity().axes
	for a := range max(rank, 0) {
		after := 0
		if n.After != nil {
			after = n.After[a]
		}
		if max(of.Hi[a], -of.Hi[a], of.Lo[a], -of.Lo[a], stride(of, a), after, -after) > bound {
			return f, unfit("padding or a kernel beyond %d", bound)
		}
		x := axis{int32(of.Lo[a]), int32(of.Hi[a]), int32(of.Step[a]), int32(stride(of, a)), int32(after - of.Hi[a] - 1), -unread, unread}
		if x.lo < 0 {
			x.before = -1
		}
		if after > 0 {
			x.behind = 0
		}
		f.outside = f.outside || !n.Border && (x.lo < 0 || after > 0)
		f.axes[a] = x
	}
	return f, f.check()
}

// stride is the distance between outputs; an operator that does not say it has 1.
func stride(f op.Form, a int) int {
	if f.Stride == nil {
		return 1
	}
	return f.Stride[a]
}

// shapeOf is the number of axes that an expression has, -1 if it fits any, and whether
// it says how many channels there are.
func shapeOf(e op.Expr) (rank int, fixed bool) {
	rank = -1
	op.Walk(e, func(e op.Expr) {
		switch e := e.(type) {
		case op.Conv:
			rank, fixed = len(e.Weight.Shape)-2, true
		case op.AvgPool:
			rank = len(e.Kernel)
		case op.Identity:
			if n := max(len(e.Padding), len(e.Stride)); n > 0 {
				rank = n
			}
		case op.BatchNorm, op.Select:
			fixed = true
		case op.Scale:
			fixed = fixed || e.By != nil && e.By.Len() > 1
		case op.Shift:
			fixed = fixed || e.By != nil && e.By.Len() > 1
		}
	})
	return rank, fixed
}

// behind says that f, over an anchor, has it in value v.
func (f *form) behind(v int) {
	if f.border == v { // here the border is zeros, if no constant was added before
		f.border, f.outside = -1, true
	}
}

// check refuses numbers that no layer has.
func (f *form) check() *failure {
	for a := range f.axes {
		if x := &f.axes[a]; !x.bounded() {
			return unfit("a kernel from %d to %d at stride %d", x.lo, x.hi, x.stride)
		}
	}
	return nil
}

// then is g behind f.
func (f *form) then(g *form) (form, *failure) {
	h, fail := f.meet(g)
	switch {
	case fail != nil:
		return h, fail
	case f.to != AnyAxis && g.from != AnyAxis && f.to != g.from:
		return h, unfit("channels along different axes")
	case f.out != 0 && g.in != 0 && f.out != g.in:
		return h, unfit("%d channels where %d are read", f.out, g.in)
	case f.bias && g.outside:
		return h, final(BiasPadded, "a constant is added before zeros are put around it")
	case f.moved && (g.layers > 0 || g.axes != identity().axes):
		return h, unfit("a layer behind axes that are moved")
	case f.like >= 0 && !g.onChannels() || g.like >= 0 && !f.onChannels():
		return h, unfit("a transposed convolution among other layers")
	}
	h.like = max(f.like, g.like)
	if h.in, h.out = f.in, g.out; f.in == 0 {
		h.in = g.in
	}
	if g.out == 0 {
		h.out = f.out
	}
	for a := range h.axes {
		h.axes[a] = f.axes[a].then(&g.axes[a])
	}
	return h, h.check()
}

// beside is f and g added. equal says that their values are known to be equally long.
func (f *form) beside(g *form, equal bool) (form, *failure) {
	h, fail := f.meet(g)
	switch {
	case fail != nil:
		return h, fail
	case f.like >= 0 || g.like >= 0:
		return h, unfit("a transposed convolution beside another branch")
	case h.moved || f.to != AnyAxis && g.to != AnyAxis && f.to != g.to:
		return h, unfit("channels along different axes")
	case f.in != 0 && g.in != 0 && (f.in != g.in || f.out != g.out):
		return h, unfit("%d channels to %d beside %d to %d", f.in, f.out, g.in, g.out)
	}
	if h.in, h.out = f.in, f.out; f.in == 0 {
		h.in, h.out = g.in, g.out
	}
	if (f.in == 0 || g.in == 0) && h.in != h.out {
		return h, unfit("%d channels to %d beside the input", h.in, h.out)
	}
	for a := range f.axes {
		x, y := &f.axes[a], &g.axes[a]
		if x.stride != y.stride {
			return h, final(Strides, fmt.Sprintf("strides %d and %d", x.stride, y.stride))
		}
		if x.extent != y.extent && !equal {
			return h, final(Extents, fmt.Sprintf("one branch is longer by %d", max(x.extent-y.extent, y.extent-x.extent)))
		}
		h.axes[a] = x.beside(y)
	}
	return h, nil
}

// meet is what f and g have together, in whatever order.
func (f *form) meet(g *form) (form, *failure) {
	h := form{rank: max(f.rank, g.rank), from: f.from, to: g.to, moved: f.moved || g.moved,
		groups: op.GCD(f.groups, g.groups), bias: f.bias || g.bias, outside: f.outside || g.outside,
		border: max(f.border, g.border), like: -1, layers: f.layers + g.layers, size: f.size + g.size}
	if f.from == AnyAxis {
		h.from = g.from
	}
	if g.to == AnyAxis {
		h.to = f.to
	}
	switch {
	case min(f.rank, g.rank) >= 0 && f.rank != g.rank:
		return h, unfit("%d axes beside %d", f.rank, g.rank)
	case min(f.border, g.border) >= 0 && f.border != g.border:
		return h, unfit("borders of different layers")
	case h.size > maxSize:
		return h, unfit("more than %d operators", maxSize)
	}
	return h, nil
}

// stacked is f with the channels of g behind its own.
func (f *form) stacked(g *form, equal bool) (form, *failure) {
	if f.out == 0 || g.out == 0 {
		return *f, unfit("a concatenation of an unknown number of channels")
	}
	out := f.out + g.out
	if f.in != g.in {
		return *f, unfit("%d channels beside %d", f.in, g.in)
	}
	as := *g
	as.out = f.out
	h, fail := f.beside(&as, equal)
	h.out, h.groups = out, 1
	return h, fail
}

// whole is what a layer of form f costs at each position of its output, and why there
// is none.
func (f *form) whole() (products float64, fail *failure) {
	if f.border >= 0 {
		return 0, &failure{reason: BiasPadded, detail: "a border is the bias of a layer that is not within"}
	}
	products = float64(f.out) * float64(f.in/max(f.groups, 1))
	for a := range max(f.rank, 0) {
		x := &f.axes[a]
		switch {
		case x.before >= 0 || x.behind < 0:
			return 0, &failure{reason: KernelPadded, detail: "zeros are put around what a kernel gave"}
		case x.lo > 0 || x.extent+1+x.hi < 0:
			return 0, &failure{reason: Unfit, detail: "a crop, which no padding says"}
		}
		products *= x.taps()
	}
	return products, nil
}
