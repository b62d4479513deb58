package fuse

import (
	"errors"
	"fmt"
	"slices"

	"repfuse/internal/op"
)

// builder turns an expression into nodes, from the input on.
type builder struct {
	rank  int
	convs []*conv
}

// expression builds e in the order in which an image goes through it, and in the one in
// which rows of the stored kernel are pulled through it: the same unless it is transposed.
func (b *builder) expression(e op.Expr, form op.Form) (forward, pulled node, err error) {
	if form.Transposed {
		return b.transposed(e, form)
	}
	n, _, err := b.node(e, form.In)
	return n, n, err
}

// node builds e, which op.Check has passed, on in channels, and tells how many come
// out.
func (b *builder) node(e op.Expr, in int) (n node, out int, err error) {
	switch e := e.(type) {
	case op.Conv:
		form, err := op.CheckFrom(e, in, b.rank)
		if err != nil {
			return nil, 0, err
		}
		n, err := b.conv(e, form)
		return n, form.Out, err
	case op.BatchNorm:
		n, err := batchNorm(e, in, b.rank)
		return n, in, err
	case op.Scale:
		n, err := scale(e, in, b.rank)
		return n, in, err
	case op.Shift:
		n, err := shift(e, in, b.rank)
		return n, in, err
	case op.Select:
		return &diag{box: point(b.rank), offset: e.From, to: e.To, area: 1}, e.To - e.From, nil
	case op.AvgPool, op.Identity:
		form, err := op.CheckFrom(e, in, b.rank)
		d := &diag{box: boxOf(form)}
		d.area = d.taps()
		return d, in, err
	case op.Seq:
		return b.chain(e, in)
	case op.Sum:
		return b.sum(e, in)
	case op.Concat:
		return b.concat(e, in)
	default: // Window, which op.Check has found to change nothing
		return &diag{box: point(b.rank), area: 1}, in, nil
	}
}

func (b *builder) conv(e op.Conv, form op.Form) (*conv, error) {
	if !e.Weight.Type.IsFloat() {
		return nil, fmt.Errorf("%s: element type %s, want a floating one", e.Weight.Key, e.Weight.Type)
	}
	bias, err := vector(e.Bias, form.Out)
	if err != nil {
		return nil, err
	}
	c := &conv{box: boxOf(form), id: len(b.convs), weight: e.Weight, bias: bias,
		rows: e.Weight.Shape[0], perGroup: e.Weight.Shape[0] / form.Groups, width: e.Weight.Shape[1]}
	c.cells = c.width * c.taps()
	b.convs = append(b.convs, c)
	return c, nil
}

// chain puts averages and shifted identities first. They do the same to every channel, so it is all one where
// they stand, and what stands before them need not know of their taps.
func (b *builder) chain(e op.Seq, in int) (n node, out int, err error) {
	var pools, parts []node
	for _, p := range e {
		if n, in, err = b.node(p, in); err != nil {
			return nil, 0, err
		}
		if d, ok := n.(*diag); ok && !d.inPlace() {
			pools = append(pools, d)
		} else {
			parts = append(parts, n)
		}
	}
	return &seq{parts: append(pools, parts...)}, in, nil
}

// sum puts the kernel with the most taps first: what comes first need not be
// added to anything.
func (b *builder) sum(e op.Sum, in int) (n node, out int, err error) {
	s := &sum{parts: make([]node, len(e))}
	for k, p := range e {
		if s.parts[k], out, err = b.node(p, in); err != nil {
			return nil, 0, err
		}
	}
	one := point(b.rank)
	slices.SortStableFunc(s.parts, func(p, q node) int { return q.reach(one).taps() - p.reach(one).taps() })
	return s, out, nil
}

func (b *builder) concat(e op.Concat, in int) (n node, out int, err error) {
	c := &concat{first: []int{0}}
	for _, p := range e {
		n, more, err := b.node(p, in)
		if err != nil {
			return nil, 0, err
		}
		out += more
		c.parts = append(c.parts, n)
		c.first = append(c.first, out)
	}
	return c, out, nil
}

// transposed builds a transposed convolution among operators on channels: the
// parts in the order applied, and the same in the order in which the rows of the
// stored kernel [I, O/g, k…], which are the input channels, are pulled through.
func (b *builder) transposed(e op.Expr, form op.Form) (forward, pulled node, err error) {
	in, parts, met := form.In, []node(nil), false
	for _, p := range flat(e) {
		switch p := p.(type) {
		case op.Conv:
			if !p.Transposed || met {
				return nil, nil, fmt.Errorf("%s beside a transposed convolution, want operators on channels only", p)
			}
			// its groups and taps are the whole's: all else in it acts on single channels
			c, err := b.conv(p, form)
			if err != nil {
				return nil, nil, err
			}
			parts, in, met = append(parts, c), form.Out, true
			continue
		case op.BatchNorm, op.Shift:
			if !met {
				return nil, nil, fmt.Errorf("%s before a transposed convolution: a constant does not reach all its outputs alike", p)
			}
		case op.Scale, op.Identity, op.Window:
		default:
			return nil, nil, fmt.Errorf("%s beside a transposed convolution, want operators on channels only", p)
		}
		n, _, err := b.node(p, in)
		if err != nil {
			return nil, nil, err
		}
		parts = append(parts, n)
	}
	if !met {
		return nil, nil, errors.New("no transposed convolution in a transposed form")
	}
	back := slices.Clone(parts)
	slices.Reverse(back)
	return &seq{parts: parts}, &seq{parts: back}, nil
}

// flat is the parts of nested sequences, in order.
func flat(e op.Expr) []op.Expr {
	var all []op.Expr
	switch s := e.(type) {
	case op.Seq:
		for _, p := range s {
			all = append(all, flat(p)...)
		}
		return all
	case op.Sum:
		if len(s) == 1 {
			return flat(s[0])
		}
	}
	return []op.Expr{e}
}
