package family

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Parse reads an expression. Errors are *SyntaxError.
//
//	expr = sum { "|" sum }        one of these, by its keys
//	sum  = seq { "+" seq }        side by side
//	seq  = part { ">" part }      one after the other
//	part = atom [ "?" ]           "?": where its keys are
//	atom = "(" expr ")" | "x" | NAME "(" arguments ")"
func Parse(text string) (Node, error) {
	if len(text) > maxText {
		return nil, &SyntaxError{1, 1, fmt.Sprintf("%d bytes, want at most %d", len(text), maxText)}
	}
	p := &parser{text: text}
	p.next()
	n := p.expr()
	if p.err == nil && p.tok != "" {
		p.fail("want an operator (> + | ?) or the end")
	}
	if p.err != nil {
		return nil, p.err
	}
	return n, nil
}

// list is items with signs between them; a single one is itself.
func (p *parser) list(sign string, item func() Node) Node {
	all := []Node{item()}
	for p.accept(sign) {
		all = append(all, item())
	}
	if len(all) == 1 {
		return all[0]
	}
	return &listNode{all, sign}
}

func (p *parser) expr() Node {
	if p.depth++; p.depth > maxDepth {
		p.fail("expressions within one another, want at most %d", maxDepth)
		return nil
	}
	defer func() { p.depth-- }()
	return p.list("|", p.sum)
}

func (p *parser) sum() Node { return p.list("+", p.seq) }

func (p *parser) seq() Node { return p.list(">", p.part) }

func (p *parser) part() Node {
	n := p.atom()
	if p.accept("?") {
		n = &optionalNode{n}
	}
	return n
}

func (p *parser) atom() Node {
	if p.accept("(") {
		n := p.expr()
		p.expect(")")
		return n
	}
	at := *p
	name := p.word()
	switch {
	case p.err != nil:
		return nil
	case name == "x" && p.tok != "(":
		return &xNode{}
	}
	if !p.accept("(") {
		p.fail("want ( behind %s", name)
		return nil
	}
	n := p.function(name)
	if n != nil {
		p.expect(")")
	} else if p.err == nil {
		*p = at
		p.fail("want conv, kernel, convt, bn, norm, scale, shift, avgpool, split, channels, concat, ask, sum<n>, seq<n> or x")
	}
	return n
}

// function parses the arguments of NAME( up to the closing bracket.
func (p *parser) function(name string) Node {
	if vars, ok := strings.CutPrefix(name, "sum<"); ok {
		return p.over("+", vars)
	}
	if vars, ok := strings.CutPrefix(name, "seq<"); ok {
		return p.over(">", vars)
	}
	switch name {
	case "x":
		return p.x()
	case "conv", "convt":
		return p.conv(name == "convt")
	case "kernel":
		return p.kernel()
	case "bn":
		return p.bn()
	case "norm":
		return p.norm()
	case "scale", "shift":
		s, v := p.value()
		return &vectorNode{s, v, name == "shift"}
	case "avgpool":
		return p.pool()
	case "split":
		return p.split()
	case "channels":
		return p.channels()
	case "concat":
		return p.list(",", p.expr)
	case "ask":
		q := p.word()
		p.expect(":")
		n := &askNode{name: q, expr: p.expr()}
		if p.accept(",") {
			n.no = p.expr()
		}
		return n
	default:
		return nil
	}
}

// over parses what is repeated, of which some key must show the numbers.
func (p *parser) over(sign, list string) Node {
	n := &overNode{strings.Split(strings.TrimSuffix(list, ">"), ","), p.expr(), sign}
	shown := func(key string) bool {
		return !slices.ContainsFunc(n.vars, func(v string) bool { return !slices.Contains(varsOf(key), v) })
	}
	if p.err == nil && !slices.ContainsFunc(keysOf(n.expr), shown) {
		p.fail("no key in it shows <%s>", strings.Join(n.vars, ">, <"))
	}
	return n
}

func (p *parser) channels() Node {
	c := &channelsNode{from: p.channel()}
	p.expect(",")
	c.to = p.channel()
	p.expect(",")
	if p.tok != "" && p.tok[0] >= '0' && p.tok[0] <= '9' {
		c.of = p.integer()
	} else {
		c.like = p.word()
	}
	p.options(options{"apart": yes(&c.apart)})
	return c
}

func (p *parser) conv(transposed bool) Node {
	module := p.word()
	c := &convNode{weight: source{key: Child(module, "weight")}, bias: Child(module, "bias"), transposed: transposed, module: module}
	if p.tok == "," { // most convolutions of a plan have none
		p.options(p.convOptions(c))
	}
	return c
}

func (p *parser) kernel() Node {
	c := &convNode{weight: p.source()}
	if p.accept(",") {
		if isOption(p.tok) {
			p.option(p.convOptions(c))
		} else {
			c.bias, c.need = p.word(), true
		}
		p.options(p.convOptions(c))
	}
	c.module = strings.TrimSuffix(c.weight.key, ".weight")
	return c
}

// norm is norm(MEAN, VAR) or norm(MEAN, VAR, WEIGHT, BIAS), and ε behind them.
func (p *parser) norm() Node {
	b := &bnNode{keys: []string{p.word()}}
	for p.accept(",") {
		if p.accept("eps") {
			b.eps = p.epsilon()
			break
		}
		b.keys = append(b.keys, p.word())
	}
	if n := len(b.keys); n != 2 && n != 4 {
		p.fail("%d keys, want a mean and a variance, and perhaps a weight and a bias", n)
	}
	return b
}

// options is what is read behind each NAME of a list of options.
type options = map[string]func()

// options parses what stands behind commas.
func (p *parser) options(known options) {
	for p.accept(",") {
		p.option(known)
	}
}

func (p *parser) option(known options) {
	read := known[p.tok]
	if read == nil {
		p.fail("want one of %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		return
	}
	p.next()
	read()
}

// into reads a value, yes is an option without one.
func into[T any](to *T, read func() T) func() { return func() { *to = read() } }

// mode is plane, or what read reads.
func (p *parser) mode(plane *bool, read func()) func() {
	return func() {
		if *plane = p.accept("plane"); !*plane {
			read()
		}
	}
}

func yes(to *bool) func() { return func() { *to = true } }

func (p *parser) convOptions(c *convNode) options {
	return map[string]func(){
		"biased": yes(&c.need), "unbiased": yes(&c.deny), "transposed": yes(&c.transposed),
		"stride": into(&c.stride, p.extents), "padding": into(&c.padding, p.padding), "mode": p.mode(&c.plane, into(&c.mode, p.word)),
		"dilation": func() { c.dilation = perAxis(p.word()) }, "groups": into(&c.groups, p.count),
	}
}

// perAxis is the words of 2x<r>; an x within <> is a letter of the name.
func perAxis(text string) (words []string) {
	from, named := 0, false
	for at, c := range text {
		if named = c == '<' || named && c != '>'; c == 'x' && !named {
			words, from = append(words, text[from:at]), at+1
		}
	}
	return append(words, text[from:])
}

var convOptions = (&parser{}).convOptions(&convNode{})

func isOption(word string) bool { return convOptions[word] != nil }

// plane reads the only mode that operators without a kernel have.
func (p *parser) plane(to *bool) func() {
	return p.mode(to, func() { p.fail("want plane") })
}

// x parses the options of an identity: padding, which is negative where elements are cut
// off, stride and mode.
func (p *parser) x() Node {
	n := &xNode{}
	known := map[string]func(){"padding": into(&n.padding, p.padding), "stride": into(&n.stride, p.extents), "mode": p.plane(&n.plane)}
	p.option(known)
	p.options(known)
	return n
}

func (p *parser) bn() Node {
	b := &bnNode{module: p.word()}
	p.options(map[string]func(){"eps": into(&b.eps, p.epsilon), "repeat": into(&b.repeat, p.word), "unshifted": yes(&b.unshifted)})
	return b
}

// source is a key or generator(arguments).
func (p *parser) source() source {
	quoted := p.quoted
	name := p.word()
	if quoted || !p.accept("(") {
		return source{key: name}
	}
	c := &call{name: name}
	if generators[name] == nil {
		p.fail("%s is no generator", name)
	}
	for p.err == nil && p.tok != ")" {
		arg := p.word()
		for p.accept("+") {
			arg += "+" + p.word()
		}
		c.args = append(c.args, arg)
		if p.tok != ")" {
			p.expect(",")
		}
	}
	if p.err == nil && len(c.args) < generators[name].least() {
		p.fail("%s has %d arguments, want %d or more", name, len(c.args), generators[name].least())
	}
	p.expect(")")
	return source{call: c}
}

// value is a key, a generator or a number.
func (p *parser) value() (source, float64) {
	if v, err := strconv.ParseFloat(p.tok, 64); err == nil && !math.IsInf(v, 0) && !math.IsNaN(v) {
		p.next()
		if p.tok == "" || p.tok != "." {
			return source{}, v
		}
	}
	return p.source(), 0
}

func (p *parser) pool() Node {
	n := &poolNode{}
	if p.tok != "" && p.tok[0] >= '0' && p.tok[0] <= '9' {
		n.kernel = p.extents()
	} else {
		n.like = p.word()
	}
	p.options(map[string]func(){"stride": into(&n.stride, p.extents), "padding": into(&n.padding, p.padding),
		"dilation": into(&n.dilation, p.extents), "uncounted": yes(&n.uncounted), "mode": p.plane(&n.plane)})
	return n
}

func (p *parser) split() Node {
	s := &splitNode{part: p.integer()}
	for p.accept(",") {
		if s.apart = p.accept("apart"); s.apart {
			break
		}
		s.keys = append(s.keys, p.word())
	}
	if s.part < 0 || s.part >= len(s.keys) {
		p.fail("part %d of %d", s.part, len(s.keys))
	}
	return s
}
