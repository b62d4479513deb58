package fuse

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"repfuse/internal/exact"
	"repfuse/internal/op"
)

// builder turns an expression without strides into nodes.
type builder struct {
	rank  int
	convs []*conv
	gain  float64 // no number becomes more than 2^gain times as large by all factors
}

// built is a node and the channels that come out of it.
type built struct {
	node
	out int
}

// expression builds e in the order in which an image goes through it, and in the one in
// which rows of the stored kernel are pulled through it: the same unless it is transposed.
func (b *builder) expression(e op.Expr, form op.Form) (forward, pulled node, err error) {
	if form.Transposed {
		return b.transposed(e, form)
	}
	n, err := op.Fold(b, e, form.In, b.rank)
	return n.node, n.node, err
}

func (b *builder) Conv(e op.Conv, form op.Form) (built, error) {
	if !e.Weight.Type.IsFloat() {
		return built{}, fmt.Errorf("%s: element type %s, want a floating one", e.Weight.Key, e.Weight.Type)
	}
	bias, err := vector(e.Bias, form.Out)
	if err != nil {
		return built{}, err
	}
	c := &conv{box: boxOf(form), id: len(b.convs), weight: e.Weight, bias: bias,
		rows: e.Weight.Shape[0], perGroup: e.Weight.Shape[0] / form.Groups, width: e.Weight.Shape[1]}
	c.cells = c.width * c.taps()
	b.convs = append(b.convs, c)
	return built{c, form.Out}, nil
}

func (b *builder) BatchNorm(e op.BatchNorm, form op.Form) (built, error) {
	factor, term, err := batchNorm(e, form.In)
	return b.diag(form, factor, term), err
}

func (b *builder) Scale(e op.Scale, form op.Form) (built, error) {
	v, err := vectorOr(e.By, form.In, e.Factor)
	if err != nil {
		return built{}, err
	}
	return b.diag(form, exact.Vector(v), nil), nil
}

func (b *builder) Shift(e op.Shift, form op.Form) (built, error) {
	v, err := vectorOr(e.By, form.In, e.Term)
	return b.diag(form, nil, exact.VectorTerms(v)), err
}

// diag is a factor and a constant for each channel.
func (b *builder) diag(form op.Form, factor *exact.Factors, term *exact.Terms) built {
	if factor != nil {
		most := 1.
		for _, f := range factor.Value {
			most = max(most, math.Abs(f.Hi))
		}
		b.gain += math.Log2(most)
	}
	return built{&diag{box: point(b.rank), factor: factor, term: term, area: 1}, form.Out}
}

func (b *builder) Select(e op.Select, form op.Form) (built, error) {
	return built{&diag{box: point(b.rank), offset: e.From, to: e.To, area: 1}, form.Out}, nil
}

func (b *builder) AvgPool(_ op.AvgPool, form op.Form) (built, error) { return mean(form), nil }

func (b *builder) Identity(_ op.Identity, form op.Form) (built, error) { return mean(form), nil }

// mean shares one among the taps of a form.
func mean(form op.Form) built {
	d := &diag{box: boxOf(form)}
	d.area = d.taps()
	return built{d, form.Out}
}

// Seq puts averages and shifted identities first. They do the same to every channel, so it
// is all one where they stand, and what stands before them need not know of their taps.
func (b *builder) Seq(list []built) (built, error) {
	var pools, parts []node
	for _, n := range list {
		if d, ok := n.node.(*diag); ok && !d.inPlace() {
			pools = append(pools, d)
		} else {
			parts = append(parts, n.node)
		}
	}
	return built{&seq{parts: append(pools, parts...)}, list[len(list)-1].out}, nil
}

// Sum puts the kernel with the most taps first: what comes first need not be
// added to anything.
func (b *builder) Sum(list []built) (built, error) {
	s := &sum{}
	for _, n := range list {
		s.parts = append(s.parts, n.node)
	}
	one := point(b.rank)
	slices.SortStableFunc(s.parts, func(p, q node) int { return q.reach(one).taps() - p.reach(one).taps() })
	return built{s, list[0].out}, nil
}

func (b *builder) Concat(list []built) (built, error) {
	c, out := &concat{first: []int{0}}, 0
	for _, n := range list {
		out += n.out
		c.parts, c.first = append(c.parts, n.node), append(c.first, out)
	}
	return built{c, out}, nil
}

// transposed builds a transposed convolution, or a sum of such, among operators on channels: the
// parts in the order applied, and the same in the order in which the rows of the
// stored kernel [I, O/g, k…], which are the input channels, are pulled through.
func (b *builder) transposed(e op.Expr, form op.Form) (forward, pulled node, err error) {
	in, met := form.In, false
	var parts, back []node
	for _, p := range flat(e) {
		one, isConv := p.(op.Conv)
		all, isSum := p.(op.Sum)
		_, adds := p.(op.Shift)
		_, norm := p.(op.BatchNorm)
		var to, from node
		switch {
		case isConv && one.Transposed && !met:
			to, err = b.scattering(one, form)
			from, in, met = to, form.Out, true
		case isSum && !met:
			to, from, err = b.added(all, in)
			in, met = form.Out, true
		case (adds || norm) && !met && b.rank > 0:
			return nil, nil, fmt.Errorf("%s before a transposed convolution: a constant does not reach all its outputs alike", p)
		default:
			to, err = b.onChannels(p, in)
			from = to
		}
		if err != nil {
			return nil, nil, err
		}
		parts, back = append(parts, to), append(back, from)
	}
	if !met {
		return nil, nil, errors.New("no transposed convolution in a transposed form")
	}
	slices.Reverse(back)
	return &seq{parts: parts}, &seq{parts: back}, nil
}

// scattering is a transposed convolution. Its groups and taps are those of the form: all else in it acts on single channels.
func (b *builder) scattering(e op.Conv, form op.Form) (node, error) {
	c, err := b.Conv(e, form)
	if err != nil {
		return nil, err
	}
	c.node.(*conv).scatters = form.Out
	return c.node, nil
}

// added is a sum of transposed convolutions.
func (b *builder) added(e op.Sum, in int) (forward, pulled node, err error) {
	if e, err = op.Placed(e); err != nil {
		return nil, nil, err
	}
	var to, from []built
	for _, branch := range e {
		f, err := op.CheckFrom(branch, in, b.rank)
		if err != nil {
			return nil, nil, err
		}
		p, q, err := b.transposed(branch, f)
		if err != nil {
			return nil, nil, err
		}
		to, from = append(to, built{p, f.Out}), append(from, built{q, f.Out})
	}
	all, err := b.Sum(to)
	if err != nil {
		return nil, nil, err
	}
	turned, err := b.Sum(from)
	return all.node, turned.node, err
}

// onChannels is an operator beside a transposed convolution.
func (b *builder) onChannels(e op.Expr, in int) (node, error) {
	switch e.(type) {
	case op.BatchNorm, op.Shift, op.Scale, op.Identity:
		n, err := op.Fold(b, e, in, b.rank)
		return n.node, err
	}
	return nil, fmt.Errorf("%s beside a transposed convolution, want operators on channels only", e)
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
