package conv

import (
	"errors"
	"fmt"
	"slices"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// node is an expression with all that its shapes say: the channels that go in and
// come out, and how far it looks. It stands for one operator, or for the parts of a
// Seq, Sum or Concat.
type node struct {
	e       op.Expr
	parts   []*node
	in, out int
	groups  int
	// lo and hi are the first and the last place that is looked at, from the output's
	// own place. A transposed convolution looks back: its hi is 0.
	lo, hi []int
	// at is the place of each tap of a Conv or an AvgPool, in the order of the kernel.
	at [][]int
	// step is the distance of a Conv's taps on each axis, 0 where there is only one.
	step []int
}

// resolve works out the node of e on in channels and a plane of rank axes. It
// accepts every Window: where one changes the result, the result is the network's.
func resolve(e op.Expr, in, rank int) (*node, error) {
	switch e := e.(type) {
	case op.Seq:
		return sequence(e, in, rank)
	case op.Sum:
		return beside(e, e, in, rank)
	case op.Concat:
		return beside(e, e, in, rank)
	default:
		return leaf(e, in, rank)
	}
}

func leaf(e op.Expr, in, rank int) (*node, error) {
	f, err := op.CheckFrom(e, in, rank)
	if err != nil {
		return nil, err
	}
	n := &node{e: e, in: f.In, out: f.Out, groups: f.Groups, lo: f.Lo, hi: f.Hi}
	if f.Transposed {
		n.lo, n.hi = negated(f.Hi), negated(f.Lo)
	}
	switch e := e.(type) {
	case op.Conv:
		n.at, n.step = taps(f, e.Weight.Shape[2:]), f.Step
	case op.AvgPool:
		n.at, n.step = taps(f, e.Kernel), f.Step
	}
	return n, nil
}

// taps lists the places that the taps of a kernel look at.
func taps(f op.Form, kernel []int) [][]int {
	at := make([][]int, tensor.Elems(kernel))
	for t := range at {
		p := make([]int, len(kernel))
		for a, rest := len(kernel)-1, t; a >= 0; a-- {
			p[a] = f.Lo[a] + rest%kernel[a]*f.Step[a]
			rest /= kernel[a]
		}
		if f.Transposed {
			p = negated(p)
		}
		at[t] = p
	}
	return at
}

func sequence(e op.Seq, in, rank int) (*node, error) {
	if len(e) == 0 {
		return nil, errors.New("an empty sequence")
	}
	all := &node{e: e, in: in, out: in, lo: make([]int, rank), hi: make([]int, rank)}
	for k, part := range e {
		if c, ok := part.(op.Conv); ok && c.Transposed && c.Groups == 0 {
			// Its own shape does not say how many groups it has; what follows it may.
			f, err := op.CheckFrom(e[k:], all.out, rank)
			if err != nil {
				return nil, err
			}
			c.Groups = f.Groups
			part = c
		}
		n, err := resolve(part, all.out, rank)
		if err != nil {
			return nil, err
		}
		all.parts = append(all.parts, n)
		all.out = n.out
		for a := range all.lo {
			all.lo[a] += n.lo[a]
			all.hi[a] += n.hi[a]
		}
	}
	return all, nil
}

// beside is the node of a Sum or a Concat.
func beside(e op.Expr, parts []op.Expr, in, rank int) (*node, error) {
	_, stacked := e.(op.Concat)
	switch {
	case len(parts) == 0 && stacked:
		return nil, errors.New("an empty concatenation")
	case len(parts) == 0:
		return nil, errors.New("an empty sum")
	}
	all := &node{e: e, in: in}
	for k, part := range parts {
		n, err := resolve(part, in, rank)
		if err != nil {
			return nil, err
		}
		all.parts = append(all.parts, n)
		switch {
		case k == 0:
			all.out, all.lo, all.hi = n.out, slices.Clone(n.lo), slices.Clone(n.hi)
			continue
		case stacked:
			all.out += n.out
		case n.out != all.out:
			return nil, fmt.Errorf("%s gives %d channels, want %d as %s gives", part, n.out, all.out, parts[0])
		}
		for a := range all.lo {
			all.lo[a] = min(all.lo[a], n.lo[a])
			all.hi[a] = max(all.hi[a], n.hi[a])
		}
	}
	return all, nil
}

// before is the box that n must be given to be known on a box.
func (n *node) before(lo, size []int) (from, all []int) {
	from, all = make([]int, len(lo)), make([]int, len(lo))
	for a := range lo {
		from[a] = lo[a] + n.lo[a]
		all[a] = size[a] + n.hi[a] - n.lo[a]
	}
	return from, all
}

// hull is the smallest box that holds every map on the way to n on the box out.
func (n *node) hull(out box) box {
	all := out
	switch n.e.(type) {
	case op.Seq:
		for k := len(n.parts) - 1; k >= 0; k-- {
			all = around(all, n.parts[k].hull(out))
			out.lo, out.size = n.parts[k].before(out.lo, out.size)
		}
	case op.Sum, op.Concat:
		for _, p := range n.parts {
			all = around(all, p.hull(out))
		}
	default:
		lo, size := n.before(out.lo, out.size)
		all = around(all, box{lo, size})
	}
	return all
}

// kernelRow is the bytes that an output channel has of the largest stored kernel.
func (n *node) kernelRow() int {
	row := 0
	if c, ok := n.e.(op.Conv); ok {
		row = int(c.Weight.Bytes()) / max(n.out, 1)
	}
	for _, p := range n.parts {
		row = max(row, p.kernelRow())
	}
	return row
}

// around is the smallest box that holds two.
func around(b, c box) box {
	all := box{make([]int, len(b.lo)), make([]int, len(b.lo))}
	for a := range b.lo {
		all.lo[a] = min(b.lo[a], c.lo[a])
		all.size[a] = max(b.lo[a]+b.size[a], c.lo[a]+c.size[a]) - all.lo[a]
	}
	return all
}

func negated(v []int) []int {
	w := make([]int, len(v))
	for k := range v {
		w[k] = -v[k]
	}
	return w
}
