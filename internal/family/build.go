package family

import (
	"cmp"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"repfuse/internal/op"
)

// build turns a node into an expression over the tensors that are there.
func (b *builder) build(n Node) part {
	switch n := n.(type) {
	case *xNode:
		return part{expr: op.Identity{Padding: n.padding, Stride: n.stride, Plane: n.plane}}
	case *convNode:
		return b.conv(n)
	case *bnNode:
		return b.bn(n)
	case *scaleNode:
		return b.vector(n.by, n.factor, func(p *op.Param, v float64) op.Expr { return op.Scale{By: p, Factor: v} })
	case *shiftNode:
		return b.vector(n.by, n.term, func(p *op.Param, v float64) op.Expr { return op.Shift{By: p, Term: v} })
	case *poolNode:
		return b.pool(n)
	case *splitNode:
		return b.split(n)
	case *channelsNode:
		return b.channels(n)
	case *askNode:
		return b.ask(n)
	case *optionalNode:
		return b.optional(n)
	case altNode:
		return b.alternatives(n)
	case *sumOverNode:
		return b.over(n.vars, n.expr, flatSum)
	case *seqOverNode:
		return b.inARow(n)
	case seqNode:
		parts, p := b.all(n)
		return p.as(parts, func() op.Expr { return flatSeq(parts) })
	case sumNode:
		parts, p := b.all(n)
		return p.as(parts, func() op.Expr { return flatSum(parts) })
	case concatNode:
		parts, p := b.all(n)
		return p.as(parts, func() op.Expr { return op.Concat(parts) })
	default:
		panic(fmt.Sprintf("family: no expression for %T", n))
	}
}

// as makes the expression of several parts: nothing of none, of one the part
// itself.
func (p part) as(parts []op.Expr, join func() op.Expr) part {
	switch len(parts) {
	case 0:
	case 1:
		p.expr = parts[0]
	default:
		p.expr = join()
	}
	return p
}

func (b *builder) all(nodes []Node) ([]op.Expr, part) {
	var parts []op.Expr
	var whole part
	for _, n := range nodes {
		p := b.build(n)
		whole.add(p)
		if p.expr != nil {
			parts = append(parts, p.expr)
		}
	}
	return parts, whole
}

func flatSeq(parts []op.Expr) op.Expr {
	var flat op.Seq
	for _, e := range parts {
		if s, ok := e.(op.Seq); ok {
			flat = append(flat, s...)
		} else {
			flat = append(flat, e)
		}
	}
	return flat
}

func flatSum(parts []op.Expr) op.Expr {
	var flat op.Sum
	for _, e := range parts {
		if s, ok := e.(op.Sum); ok {
			flat = append(flat, s...)
		} else {
			flat = append(flat, e)
		}
	}
	return flat
}

func (b *builder) conv(n *convNode) part {
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
	if err := b.dilate(&c, n.dilation); err != nil {
		p.err = err
	}
	if err := b.convSaid(&c); err != nil {
		p.err = err
	}
	if n.weight.call == nil { // a generator's kernel is no module's
		if err := b.convFacts(&c, b.whole(b.fill(n.module))); err != nil {
			p.err = err
		}
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

func (b *builder) bn(n *bnNode) part {
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
		return b.unshifted(p, n, e)
	}
	return p
}

// unshifted is the scale of a batch norm without its shift.
func (b *builder) unshifted(p part, n *bnNode, e op.BatchNorm) part {
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

// vector is an operator of one number a channel, stored or computed, or of one for all,
// which the declaration or an answer gives.
func (b *builder) vector(s source, literal float64, operator func(*op.Param, float64) op.Expr) part {
	var p part
	if s.call == nil && s.key == "" {
		p.expr = operator(nil, literal)
		return p
	}
	if v, err := strconv.ParseFloat(b.fill(s.key), 64); err == nil && strings.HasPrefix(s.key, "<") {
		p.expr = operator(nil, v)
		return p
	}
	if t := b.source(&p, s); t != nil {
		p.expr = operator(t, 0)
	}
	return p
}

func (b *builder) pool(n *poolNode) part {
	var p part
	k := n.kernel
	if n.like != "" {
		t, ok := b.lookup(b.fill(n.like))
		if !ok || len(t.Shape) < 3 {
			p.missing = append(p.missing, b.whole(b.fill(n.like)))
			return p
		}
		k = t.Shape[2:]
	}
	p.expr = op.AvgPool{Kernel: k, Stride: n.stride, Padding: n.padding, Dilation: n.dilation, ExcludesPadding: n.uncounted, Plane: n.plane}
	return p
}

func (b *builder) split(n *splitNode) part {
	var p part
	s := op.Select{}
	for k, key := range n.keys {
		t, ok := b.lookup(b.fill(key))
		if !ok || len(t.Shape) < 2 {
			p.missing = append(p.missing, b.whole(b.fill(key)))
			return p
		}
		if k == n.part {
			s.From, s.To = s.Of, s.Of+t.Shape[1]
		}
		s.Of += t.Shape[1]
	}
	p.expr = s
	return p
}

func (b *builder) channels(n *channelsNode) part {
	var p part
	s := op.Select{Of: n.of}
	if n.like != "" {
		t, ok := b.lookup(b.fill(n.like))
		if !ok || len(t.Shape) < 2 {
			p.missing = append(p.missing, b.whole(b.fill(n.like)))
			return p
		}
		s.Of = t.Shape[1]
	}
	s.From, s.To, p.err = channelRange(b.fill(n.from), b.fill(n.to), s.Of)
	p.expr = s
	return p
}

func (b *builder) ask(n *askNode) part {
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
		return b.build(n.expr)
	case n.no != nil:
		return b.build(n.no)
	}
	return part{}
}

func (b *builder) optional(n *optionalNode) part {
	p := b.build(n.expr)
	if len(p.used) == 0 {
		return part{}
	}
	return p
}

// alternatives takes the one part whose keys are all there; else the one of which
// most is there, as a near miss.
func (b *builder) alternatives(n altNode) part {
	var best part
	before := b.answers
	answers := before // of the best: what the others asked does not matter
	for k, alt := range n {
		b.answers = maps.Clone(before)
		p := b.build(alt)
		if k == 0 || len(p.missing) < len(best.missing) || (len(p.missing) == len(best.missing) && len(p.used) > len(best.used)) {
			best, answers = p, b.answers
		}
	}
	b.answers = answers
	return best
}

// over joins what an expression comes to for every value of vars that keys show.
func (b *builder) over(vars []string, expr Node, join func([]op.Expr) op.Expr) part {
	var parts []op.Expr
	var whole part
	b.each(vars, expr, func() {
		p := b.build(expr)
		whole.add(p)
		if p.expr != nil {
			parts = append(parts, p.expr)
		}
	})
	if len(parts) == 0 && len(whole.missing) == 0 {
		for _, key := range keysOf(expr)[:1] {
			whole.missing = append(whole.missing, b.whole(plain(key)))
		}
	}
	return whole.as(parts, func() op.Expr { return join(parts) })
}

// inARow is a sequence over an index, which must count up without a gap.
func (b *builder) inARow(n *seqOverNode) part {
	p := b.over(n.vars, n.expr, flatSeq)
	for k, values := range b.captures(n.vars, n.expr) {
		if len(n.vars) == 1 && values[0] != strconv.Itoa(k) {
			b.env = append(b.env, binding{n.vars[0], strconv.Itoa(k)})
			p.missing = append(p.missing, b.whole(b.fill(keysOf(n.expr)[0])))
			b.env = b.env[:len(b.env)-1]
			break
		}
	}
	return p
}
