package family

import (
	"cmp"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"repfuse/internal/op"
)

func (n *xNode) build(*builder) part {
	return part{expr: op.Identity{Padding: n.padding, Stride: n.stride, Plane: n.plane}}
}

func (n *listNode) build(b *builder) part {
	if n.sign == "|" {
		return b.alternatives(n.parts)
	}
	return b.joined(n.sign, func(add func(Node)) {
		for _, p := range n.parts {
			add(p)
		}
	})
}

// joined is what the nodes that each adds come to together: nothing of none, of one the
// part itself.
func (b *builder) joined(sign string, each func(add func(Node))) part {
	var parts []op.Expr
	var whole part
	each(func(n Node) {
		p := n.build(b)
		whole.add(p)
		if p.expr != nil {
			parts = append(parts, p.expr)
		}
	})
	switch {
	case len(parts) == 0:
	case len(parts) == 1:
		whole.expr = parts[0]
	case sign == ">":
		whole.expr = flat[op.Seq](parts)
	case sign == "+":
		whole.expr = flat[op.Sum](parts)
	default:
		whole.expr = op.Concat(parts)
	}
	return whole
}

// flat is a Seq or a Sum in which the parts of those among parts stand by themselves.
func flat[L interface {
	~[]op.Expr
	op.Expr
}](parts []op.Expr) op.Expr {
	var flat L
	for _, e := range parts {
		if inner, ok := e.(L); ok {
			flat = append(flat, inner...)
		} else {
			flat = append(flat, e)
		}
	}
	return flat
}

func (n *convNode) build(b *builder) part {
	var p part
	var w *op.Param
	if f := b.form(n); f != nil {
		w = b.generate(&p, f)
	} else {
		w = b.source(&p, n.weight)
	}
	bias, ok := b.maybe(&p, n.bias)
	switch {
	case ok && n.deny:
		p.missing = append(p.missing, b.whole(b.fill(n.bias))+" (absent)")
	case !ok && n.need:
		p.missing = append(p.missing, b.whole(b.fill(n.bias)))
	}
	if w == nil {
		return p
	}
	c := op.Conv{Weight: *w, Bias: bias, Transposed: n.transposed, Groups: n.groups,
		Stride: n.stride, Padding: n.padding, PaddingMode: n.mode, Plane: n.plane}
	p.err = cmp.Or(b.dilate(&c, n.dilation), p.err)
	p.err = cmp.Or(b.convSaid(&c), p.err)
	if n.weight.call == nil { // a generator's kernel is no module's
		p.err = cmp.Or(b.convFacts(&c, b.whole(b.fill(n.module))), p.err)
	}
	p.expr = c
	return p
}

// dilate takes the dilation written in the expression, where <r> may stand for what
// the key says: one number for every axis, or one an axis.
func (b *builder) dilate(c *op.Conv, words []string) error {
	axes := max(len(c.Weight.Shape)-2, 0)
	if len(words) > 1 && len(words) != axes {
		return fmt.Errorf("%s has %d axes, want as many dilations (%s)", c.Weight.Key, axes, strings.Join(words, "x"))
	}
	for a := range axes {
		if len(words) == 0 {
			return nil
		}
		r, err := strconv.Atoi(b.fill(words[min(a, len(words)-1)]))
		if err != nil || r < 1 {
			return fmt.Errorf("%s: dilation %q, want a number", c.Weight.Key, b.fill(words[min(a, len(words)-1)]))
		}
		c.Dilation = append(c.Dilation, r)
	}
	return nil
}

func (n *bnNode) build(b *builder) part {
	var p part
	var e op.BatchNorm
	if n.keys != nil {
		e.Mean, e.Var = b.tensor(&p, n.keys[0]), b.tensor(&p, n.keys[1])
		if len(n.keys) == 4 {
			e.Gamma, e.Beta = b.tensor(&p, n.keys[2]), b.tensor(&p, n.keys[3])
		}
	} else {
		e = b.normOf(&p, n.module)
	}
	if len(p.missing) > 0 {
		return p // and assume nothing about what may not be there at all
	}
	e.Eps, p.err = b.eps(n)
	if n.repeat != "" {
		b.repeat(&p, &e, n.repeat)
	}
	if len(p.missing) > 0 || p.err != nil {
		return p
	}
	p.expr = e
	if n.unshifted {
		return b.unshifted(p, e)
	}
	return p
}

// unshifted is the scale of a batch norm without its shift.
func (b *builder) unshifted(p part, e op.BatchNorm) part {
	c := &call{name: "gain", args: []string{number(e.Eps)}}
	for _, v := range []*op.Param{e.Var, e.Gamma} {
		if v != nil {
			key, _ := Relative(b.site.Module, v.Key)
			c.args = append(c.args, literal(key))
		}
	}
	if by := b.generate(&p, c); by != nil {
		p.expr = op.Scale{By: by}
	}
	return p
}

// normOf finds the vectors of a module that is a batch norm.
func (b *builder) normOf(p *part, module string) (e op.BatchNorm) {
	at := func(name string) string { return Child(module, name) }
	e.Gamma, _ = b.maybe(p, at("weight"))
	e.Beta, _ = b.maybe(p, at("bias"))
	paddle := false
	if e.Mean, paddle = b.maybe(p, at("_mean")); paddle {
		e.Var = b.tensor(p, at("_variance"))
	} else {
		e.Mean = b.tensor(p, at("running_mean"))
		e.Var = b.tensor(p, at("running_var"))
		b.maybe(p, at("num_batches_tracked"))
	}
	switch {
	case e.Gamma != nil && e.Beta == nil:
		p.missing = append(p.missing, b.whole(b.fill(at("bias"))))
	case e.Beta != nil && e.Gamma == nil:
		p.missing = append(p.missing, b.whole(b.fill(at("weight"))))
	}
	return e
}

// repeat makes each channel of a batch norm stand for several in a row, as many as
// the kernel under a key has inputs a group.
func (b *builder) repeat(p *part, e *op.BatchNorm, key string) {
	for _, v := range []**op.Param{&e.Gamma, &e.Beta, &e.Mean, &e.Var} {
		if *v != nil {
			name, _ := Relative(b.site.Module, (*v).Key)
			*v = b.generate(p, &call{name: "repeat", args: []string{literal(name), key}})
		}
	}
}

// build makes an operator of one number a channel, stored or computed, or of one for all,
// which the declaration or an answer gives.
func (n *vectorNode) build(b *builder) part {
	var p part
	var by *op.Param
	v := n.literal
	if n.by.call != nil || n.by.key != "" {
		var err error
		if v, err = strconv.ParseFloat(b.fill(n.by.key), 64); err != nil || !strings.HasPrefix(n.by.key, "<") {
			if v, by = 0, b.source(&p, n.by); by == nil {
				return p
			}
		}
	}
	if p.expr = (op.Scale{By: by, Factor: v}); n.shift {
		p.expr = op.Shift{By: by, Term: v}
	}
	return p
}

// like is the shape of the tensor under a key, of so many axes at least; nil where it is missing.
func (b *builder) like(p *part, key string, axes int) []int {
	t, ok := b.lookup(b.fill(key))
	if !ok || len(t.Shape) < axes {
		p.missing = append(p.missing, b.whole(b.fill(key)))
		return nil
	}
	return t.Shape
}

func (n *poolNode) build(b *builder) part {
	var p part
	k := n.kernel
	if n.like != "" {
		shape := b.like(&p, n.like, 3)
		if shape == nil {
			return p
		}
		k = shape[2:]
	}
	p.expr = op.AvgPool{Kernel: k, Stride: n.stride, Padding: n.padding, Dilation: n.dilation, ExcludesPadding: n.uncounted, Plane: n.plane}
	return p
}

func (n *splitNode) build(b *builder) part {
	var p part
	s := op.Select{Apart: n.apart}
	for k, key := range n.keys {
		shape := b.like(&p, key, 2)
		if shape == nil {
			return p
		}
		if k == n.part {
			s.From, s.To = s.Of, s.Of+shape[1]
		}
		s.Of += shape[1]
	}
	p.expr = s
	return p
}

func (n *channelsNode) build(b *builder) part {
	var p part
	s := op.Select{Of: n.of, Apart: n.apart}
	if n.like != "" {
		shape := b.like(&p, n.like, 2)
		if shape == nil {
			return p
		}
		s.Of = shape[1]
	}
	s.From, s.To, p.err = channelRange(b.fill(n.from), b.fill(n.to), s.Of)
	p.expr = s
	return p
}

func (n *askNode) build(b *builder) part {
	q, ok := b.family.Question(n.name)
	if !ok {
		return part{err: fmt.Errorf("%s asks %q, which its declaration does not explain", b.family.Name, n.name)}
	}
	if len(keysOf(n.expr)) > 0 {
		b.keyed[q.Name] = true
	}
	a := b.answer(q, "yes")
	fact, known := b.fact(q)
	switch v := a.Value; {
	case !isYes(v) && v != "no" && v != "0":
		return part{err: &SettingError{q.Name, v, "yes or no"}}
	case a.By == "said" && known && isYes(fact) != isYes(v):
		return part{err: &SettingError{q.Name, v, fact + ", which the facts say of " + cmp.Or(b.site.Module, ".")}}
	case isYes(v):
		return n.expr.build(b)
	case n.no != nil:
		return n.no.build(b)
	}
	return part{}
}

func (n *optionalNode) build(b *builder) part {
	p := n.expr.build(b)
	if len(p.used) == 0 {
		return part{}
	}
	return p
}

// alternatives takes the one part whose keys are all there; else the one of which
// most is there, as a near miss.
func (b *builder) alternatives(list []Node) part {
	var best part
	before := b.answers
	answers := before // of the best: what the others asked does not matter
	for k, alt := range list {
		b.answers = maps.Clone(before)
		p := alt.build(b)
		if k == 0 || len(p.missing) < len(best.missing) || (len(p.missing) == len(best.missing) && len(p.used) > len(best.used)) {
			best, answers = p, b.answers
		}
	}
	b.answers = answers
	return best
}

// build joins what an expression comes to for every value of vars that keys show; an index in
// a row must count up without a gap.
func (n *overNode) build(b *builder) part {
	p := b.joined(n.sign, func(add func(Node)) {
		b.each(n.vars, n.expr, func() { add(n.expr) })
	})
	first := keysOf(n.expr)[0]
	if p.expr == nil && len(p.missing) == 0 {
		p.missing = append(p.missing, b.whole(plain(first)))
	}
	for k, values := range b.captures(n.vars, n.expr) {
		if n.sign == ">" && len(n.vars) == 1 && values[0] != strconv.Itoa(k) {
			b.env = append(b.env, binding{n.vars[0], strconv.Itoa(k)})
			p.missing = append(p.missing, b.whole(b.fill(first)))
			b.env = b.env[:len(b.env)-1]
			break
		}
	}
	return p
}
