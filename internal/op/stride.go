package op

import (
	"fmt"
	"slices"
)

// stride is the distance between outputs, one number an axis. known is false where some
// layer's stride nobody said, which counts as 1 until a branch beside it says another.
type stride struct {
	by    []int
	known bool
}

func unstrided(rank int) stride { return stride{slices.Repeat([]int{1}, rank), true} }

// then is the stride of a layer of stride list, nil if nobody said, behind s.
func (s stride) then(list []int) stride {
	t := stride{slices.Clone(s.by), s.known && list != nil}
	for a := range t.by {
		t.by[a] *= axis(list, a, 1)
	}
	return t
}

// beside is the stride that two branches share. They fit if one of them is not known.
func (s stride) beside(t stride) (shared stride, fit bool) {
	if !s.known {
		s, t = t, s
	}
	return s, !t.known || slices.Equal(s.by, t.by)
}

// axis is the number that a list has for an axis: one number stands for all.
func axis(list []int, a, otherwise int) int {
	switch len(list) {
	case 0:
		return otherwise
	case 1:
		return list[0]
	}
	return list[a]
}

// isOne reports whether every output is kept.
func (s stride) isOne() bool { return !slices.ContainsFunc(s.by, func(n int) bool { return n != 1 }) }

// geometry is where the taps of a kernel lie.
type geometry struct{ kernel, stride, padding, dilation []int }

// place lays the taps on the plane, for the operator that is called name.
func (g geometry) place(f *Form, name string) error {
	rank := len(f.Lo)
	for _, list := range [][]int{g.stride, g.padding, g.dilation} {
		if len(list) > 1 && len(list) != rank {
			return fmt.Errorf("%s has %d axes, want as many strides, paddings and dilations (%v)", name, rank, list)
		}
	}
	for a, k := range g.kernel {
		s, d := axis(g.stride, a, 1), axis(g.dilation, a, 1)
		if s < 1 || d < 1 {
			return fmt.Errorf("%s has stride %d and dilation %d, want at least 1", name, s, d)
		}
		span := (k - 1) * d
		before := axis(g.padding, a, span/2)
		if max(s, d, k, before, -before) > maxField {
			return fmt.Errorf("%s has extent %d, stride %d, padding %d, dilation %d, want one over at most %d positions", name, k, s, before, d, maxField)
		}
		f.loose = f.loose || g.padding == nil && span%2 == 1
		f.Lo[a], f.Hi[a] = -before, span-before
		if k > 1 {
			f.Step[a] = d
		}
	}
	f.sampled = f.sampled.then(g.stride)
	*f = f.strided()
	return nil
}

// spread is g at stride 1, behind a stride.
func (g geometry) spread(by stride) geometry {
	if by.isOne() {
		return geometry{kernel: g.kernel, padding: g.padding, dilation: g.dilation}
	}
	all := geometry{kernel: g.kernel}
	for a, k := range g.kernel {
		d := axis(g.dilation, a, 1)
		all.dilation = append(all.dilation, by.by[a]*d)
		all.padding = append(all.padding, by.by[a]*axis(g.padding, a, (k-1)*d/2))
	}
	return all
}

// AtStride1 is e, which Check passes, with every stride taken to its end: the expression whose
// every Form.Stride-th output is e's. To sample each s-th element and then look at every tap r is to look at
// every tap s·r and then to sample (the noble identity; Vaidyanathan, "Multirate Systems and Filter Banks",
// §4.2), so what follows a stride is spread by it. Interpreters run this and know no strides: forms that are
// equal at stride 1 are equal at any.
func AtStride1(e Expr, rank int) Expr {
	e, _ = e.spread(unstrided(rank))
	return e
}

// spread is an operator, at stride 1, behind a stride, and the stride behind it.
func (c Conv) spread(by stride) (Expr, stride) {
	if c.Transposed { // it stands beside operators on channels only
		return c, by
	}
	kernel := c.Weight.Shape[min(2, len(c.Weight.Shape)):]
	g := geometry{kernel, c.Stride, c.Padding, c.Dilation}.spread(by)
	after := by.then(c.Stride)
	c.Stride, c.Padding, c.Dilation = nil, g.padding, g.dilation
	return c, after
}

func (p AvgPool) spread(by stride) (Expr, stride) {
	g := geometry{p.Kernel, p.Stride, p.Padding, p.Dilation}.spread(by)
	return AvgPool{Kernel: p.Kernel, Padding: g.padding, Dilation: g.dilation}, by.then(p.Stride)
}

func (x Identity) spread(by stride) (Expr, stride) {
	after := by
	if x.Stride != nil {
		after = by.then(x.Stride)
	}
	if x.Padding == nil {
		return Identity{}, after
	}
	kernel := slices.Repeat([]int{1}, len(by.by))
	return Identity{Padding: geometry{kernel, nil, x.Padding, nil}.spread(by).padding}, after
}

func (s Seq) spread(by stride) (Expr, stride) {
	all := make(Seq, len(s))
	for k, p := range s {
		all[k], by = p.spread(by)
	}
	return all, by
}

func (s Sum) spread(by stride) (Expr, stride) {
	parts, after := spreadAll(s, by)
	return Sum(parts), after
}

func (c Concat) spread(by stride) (Expr, stride) {
	parts, after := spreadAll(c, by)
	return Concat(parts), after
}

func spreadAll(parts []Expr, by stride) ([]Expr, stride) {
	all, shared := make([]Expr, len(parts)), by
	for k, p := range parts {
		var after stride
		if all[k], after = p.spread(by); k == 0 {
			shared = after
		} else {
			shared, _ = shared.beside(after)
		}
	}
	return all, shared
}

func (b BatchNorm) spread(by stride) (Expr, stride) { return b, by }
func (s Scale) spread(by stride) (Expr, stride)     { return s, by }
func (s Shift) spread(by stride) (Expr, stride)     { return s, by }
func (s Select) spread(by stride) (Expr, stride)    { return s, by }
