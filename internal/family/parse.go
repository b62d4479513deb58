package family

import (
	"errors"
	"fmt"
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
//	atom = "(" expr ")" | "x" | "window" | NAME "(" arguments ")"
func Parse(text string) (Node, error) {
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

// SyntaxError is a mistake in an expression, at a line and column of its text.
type SyntaxError struct {
	Line, Column int
	Msg          string
}

func (e *SyntaxError) Error() string { return e.Msg }

type parser struct {
	text string
	pos  int    // behind tok
	at   int    // where tok begins
	tok  string // "" at the end
	// quoted says that tok is a key in quotes.
	quoted bool
	err    error
}

// next reads a token: a sign, a word, which may hold <n>, or a key in quotes.
func (p *parser) next() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
	p.at, p.quoted = p.pos, false
	if p.pos < len(p.text) && p.text[p.pos] == '"' {
		p.quote()
		return
	}
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		if c == '<' {
			p.variable()
			continue
		}
		if strings.IndexByte(wordChars, c) < 0 {
			break
		}
		p.pos++
	}
	if p.pos == p.at && p.pos < len(p.text) {
		p.pos++
	}
	p.tok = p.text[p.at:p.pos]
}

// variable reads <n> within a word.
func (p *parser) variable() {
	end := strings.IndexByte(p.text[p.pos:], '>')
	if end < 0 {
		p.pos = len(p.text)
		p.fail("want > behind <")
		return
	}
	if strings.Trim(p.text[p.pos+1:p.pos+end], "abcdefghijklmnopqrstuvwxyz_,") != "" {
		p.tok = p.text[p.at : p.pos+end+1]
		p.fail("want small letters between < and >")
	}
	p.pos += end + 1
}

// quote reads a key in quotes.
func (p *parser) quote() {
	quoted, err := strconv.QuotedPrefix(p.text[p.pos:])
	p.tok, p.quoted = quoted, err == nil
	p.pos += len(quoted)
	if err != nil {
		p.pos = len(p.text)
		p.fail(`want a key in quotes, in which \" and \\ stand for those two`)
	}
}

func (p *parser) fail(format string, args ...any) {
	if p.err != nil {
		return
	}
	msg := fmt.Sprintf(format, args...)
	if p.tok == "" {
		msg = "ends, " + msg
	} else {
		msg = fmt.Sprintf("%q: %s", p.tok, msg)
	}
	before := p.text[:p.at]
	line := strings.Count(before, "\n")
	p.err = &SyntaxError{line + 1, p.at - strings.LastIndexByte(before, '\n'), msg}
}

func (p *parser) accept(sign string) bool {
	if p.err != nil || p.tok != sign {
		return false
	}
	p.next()
	return true
}

func (p *parser) expect(sign string) {
	if !p.accept(sign) {
		p.fail("want %s", sign)
	}
}

func (p *parser) word() string {
	w := p.tok
	if p.quoted {
		key, _ := strconv.Unquote(w)
		p.next()
		return literal(key)
	}
	if w == "" || strings.IndexByte(wordChars+"<", w[0]) < 0 {
		p.fail("want a name")
		return ""
	}
	if strings.Contains(w, "..") || w[0] == '.' && w != "." {
		p.fail("want a name between any two dots")
		return ""
	}
	p.next()
	return w
}

func (p *parser) list(sign string, item func() Node) []Node {
	all := []Node{item()}
	for p.accept(sign) {
		all = append(all, item())
	}
	return all
}

func (p *parser) expr() Node {
	all := p.list("|", p.sum)
	if len(all) == 1 {
		return all[0]
	}
	return altNode(all)
}

func (p *parser) sum() Node {
	all := p.list("+", p.seq)
	if len(all) == 1 {
		return all[0]
	}
	return sumNode(all)
}

func (p *parser) seq() Node {
	all := p.list(">", p.part)
	if len(all) == 1 {
		return all[0]
	}
	return seqNode(all)
}

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
	case name == "window" && p.tok != "(":
		return &windowNode{}
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
		p.fail("want conv, kernel, convt, bn, norm, scale, shift, avgpool, split, channels, concat, ask, sum<n>, seq<n>, x or window")
	}
	return n
}

// function parses the arguments of NAME( up to the closing bracket.
func (p *parser) function(name string) Node {
	if vars, ok := strings.CutPrefix(name, "sum<"); ok {
		vars, expr := p.over(vars)
		return &sumOverNode{vars, expr}
	}
	if vars, ok := strings.CutPrefix(name, "seq<"); ok {
		vars, expr := p.over(vars)
		return &seqOverNode{vars, expr}
	}
	switch name {
	case "x":
		return p.x()
	case "window":
		w := &windowNode{axes: []int{}}
		for p.err == nil && p.tok != ")" {
			if w.axes = append(w.axes, p.integer()); p.tok != ")" {
				p.expect(",")
			}
		}
		return w
	case "conv", "convt":
		return p.conv(name == "convt")
	case "kernel":
		return p.kernel()
	case "bn":
		return p.bn()
	case "norm":
		return p.norm()
	case "scale":
		s, v := p.value()
		return &scaleNode{s, v}
	case "shift":
		s, v := p.value()
		return &shiftNode{s, v}
	case "avgpool":
		return p.pool()
	case "split":
		return p.split()
	case "channels":
		return p.channels()
	case "concat":
		return concatNode(p.list(",", p.expr))
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
func (p *parser) over(list string) (vars []string, expr Node) {
	list = strings.TrimSuffix(list, ">")
	vars, expr = strings.Split(list, ","), p.expr()
	if p.err != nil {
		return vars, expr
	}
	shown := func(key string) bool {
		return !slices.ContainsFunc(vars, func(v string) bool { return !slices.Contains(varsOf(key), v) })
	}
	if !slices.ContainsFunc(keysOf(expr), shown) {
		p.fail("no key in it shows <%s>", strings.Join(vars, ">, <"))
	}
	return vars, expr
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
	return c
}

func (p *parser) conv(transposed bool) Node {
	module := p.word()
	c := &convNode{weight: source{key: Child(module, "weight")}, bias: Child(module, "bias"), transposed: transposed, module: module}
	p.options(c)
	return c
}

func (p *parser) kernel() Node {
	c := &convNode{weight: p.source()}
	if p.accept(",") {
		if isOption(p.tok) {
			p.option(c)
		} else {
			c.bias, c.need = p.word(), true
		}
		p.options(c)
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

func (p *parser) epsilon() *float64 {
	v, err := strconv.ParseFloat(p.tok, 64)
	if err != nil || v < 0 {
		p.fail("want a number")
	}
	p.next()
	return &v
}

func isOption(w string) bool {
	switch w {
	case "stride", "padding", "mode", "dilation", "groups", "biased", "unbiased", "transposed":
		return true
	}
	return false
}

func (p *parser) options(c *convNode) {
	for p.accept(",") {
		p.option(c)
	}
}

func (p *parser) option(c *convNode) {
	switch opt := p.word(); opt {
	case "biased":
		c.need = true
	case "unbiased":
		c.deny = true
	case "transposed":
		c.transposed = true
	case "stride":
		c.stride = p.extents()
	case "padding":
		c.padding = p.padding()
	case "mode":
		c.mode = p.word()
	case "dilation":
		c.dilation = strings.Split(p.word(), "x")
	case "groups":
		c.groups = p.integer()
	default:
		p.fail("%s is no option, want biased, unbiased, transposed, stride, padding, mode, dilation or groups", opt)
	}
}

// x parses the options of an identity: padding, which is negative where elements are cut
// off, and stride.
func (p *parser) x() Node {
	n := &xNode{}
	for more := true; more && p.err == nil; more = p.accept(",") {
		switch opt := p.word(); opt {
		case "padding":
			n.padding = p.padding()
		case "stride":
			n.stride = p.extents()
		default:
			p.fail("%s is no option, want padding or stride", opt)
		}
	}
	return n
}

func (p *parser) bn() Node {
	b := &bnNode{module: p.word()}
	for p.accept(",") {
		switch w := p.word(); w {
		case "eps":
			b.eps = p.epsilon()
		case "repeat":
			b.repeat = p.word()
		case "unshifted":
			b.unshifted = true
		default:
			p.fail("%s is no option, want eps, repeat or unshifted", w)
		}
	}
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
	if v, err := strconv.ParseFloat(p.tok, 64); err == nil {
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
	for p.accept(",") {
		switch opt := p.word(); opt {
		case "stride":
			n.stride = p.extents()
		case "padding":
			n.padding = p.padding()
		case "dilation":
			n.dilation = p.extents()
		case "uncounted":
			n.uncounted = true
		default:
			p.fail("%s is no option, want stride, padding, dilation or uncounted", opt)
		}
	}
	return n
}

// extents reads one number an axis, such as 3x3, or one for all.
func (p *parser) extents() []int {
	k, err := parseExtents(p.tok)
	if err != nil {
		p.fail("%v", err)
	}
	p.next()
	return k
}

// padding is extents that may be negative, -1x0.
func (p *parser) padding() []int {
	k, err := parseNumbers(p.tok)
	if err != nil {
		p.fail("%v", err)
	}
	p.next()
	return k
}

func parseExtents(s string) ([]int, error) {
	k, err := parseNumbers(s)
	if err == nil && slices.Min(k) < 0 {
		err = errNumbers
	}
	return k, err
}

var errNumbers = errors.New("want extents such as 3x3")

func parseNumbers(s string) ([]int, error) {
	var k []int
	for _, w := range strings.Split(s, "x") {
		n, err := strconv.Atoi(w)
		if err != nil {
			return nil, errNumbers
		}
		k = append(k, n)
	}
	return k, nil
}

func (p *parser) split() Node {
	s := &splitNode{part: p.integer()}
	for p.accept(",") {
		s.keys = append(s.keys, p.word())
	}
	if s.part < 0 || s.part >= len(s.keys) {
		p.fail("part %d of %d", s.part, len(s.keys))
	}
	return s
}

// channel is a number, end, or what stands for one.
func (p *parser) channel() string {
	if _, err := strconv.Atoi(p.tok); err != nil && p.tok != "end" && !strings.HasPrefix(p.tok, "<") {
		p.fail("want a number or end")
	}
	return p.word()
}

func (p *parser) integer() int {
	n, err := strconv.Atoi(p.tok)
	if err != nil {
		p.fail("want a number")
	}
	p.next()
	return n
}
