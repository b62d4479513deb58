package family

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

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
	depth  int // of expressions within one another
	err    error
}

// What an expression may be. DBB's, written out for a block of 9 branches, has 600 bytes, and
// brackets within 3 others; reading and checking it needs stack by its depth.
const (
	maxText  = 1 << 18
	maxDepth = 1000
)

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
		if strings.IndexByte(wordChars, c) < 0 && !(c == '+' && p.inExponent()) {
			break
		}
		p.pos++
	}
	if p.pos == p.at && p.pos < len(p.text) {
		p.pos++
	}
	p.tok = p.text[p.at:p.pos]
}

// inExponent reports whether a sign belongs to a number such as 1e+21.
func (p *parser) inExponent() bool {
	mantissa, ok := strings.CutSuffix(p.text[p.at:p.pos], "e")
	_, err := strconv.ParseFloat(mantissa, 64)
	return ok && err == nil && p.pos+1 < len(p.text) && p.text[p.pos+1] >= '0' && p.text[p.pos+1] <= '9'
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

func (p *parser) epsilon() *float64 {
	v, ok := readEps(p.tok)
	if !ok {
		p.fail("want a number")
	}
	p.next()
	return &v
}

// extents reads one number an axis, such as 3x3, or one for all.
func (p *parser) extents() []int { return p.numbers(parseExtents) }

// padding is extents that may be negative, -1x0.
func (p *parser) padding() []int { return p.numbers(parseNumbers) }

func (p *parser) numbers(parse func(string) ([]int, error)) []int {
	k, err := parse(p.tok)
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

// channel is a number, end, or what stands for one.
func (p *parser) channel() string {
	if _, err := strconv.Atoi(p.tok); err != nil && p.tok != "end" && !strings.HasPrefix(p.tok, "<") {
		p.fail("want a number or end")
	}
	return p.word()
}

// count is a number above 0.
func (p *parser) count() int {
	n, err := strconv.Atoi(p.tok)
	if err != nil || n < 1 {
		p.fail("want a number above 0")
	}
	p.next()
	return n
}

func (p *parser) integer() int {
	n, err := strconv.Atoi(p.tok)
	if err != nil {
		p.fail("want a number")
	}
	p.next()
	return n
}
