package npy

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
)

// dict is the three entries of a header, which is a Python literal such as
//
//	{'descr': '<f4', 'fortran_order': False, 'shape': (64, 32, 3, 3), }
//
// The keys may stand in any order.
type dict struct {
	descr   string
	fortran bool
	shape   []int
}

// parseDict reads the part of Python's grammar that headers use: strings without
// escapes, True and False, tuples of decimal integers. Versions 1 and 2 may have
// Python 2's long integers (3L) as well.
func parseDict(text []byte, version byte) (dict, error) {
	p := parser{rest: text, long: version < 3}
	d, err := p.dict()
	if err == nil && len(p.peek()) > 0 {
		err = p.want("nothing after the dict")
	}
	return d, err
}

type parser struct {
	rest []byte
	long bool // whether 3L is an integer
}

func (p *parser) dict() (d dict, err error) {
	if !p.take("{") {
		return d, p.want("{")
	}
	var met []string
	for !p.take("}") {
		key, err := p.string()
		if err != nil {
			return d, err
		}
		if slices.Contains(met, key) {
			return d, fmt.Errorf("key %q twice", key)
		}
		met = append(met, key)
		if !p.take(":") {
			return d, p.want(": after key %q", key)
		}
		if err := p.entry(key, &d); err != nil {
			return d, err
		}
		if !p.take(",") && !bytes.HasPrefix(p.peek(), []byte("}")) {
			return d, p.want(", or } after the value of %q", key)
		}
	}
	if len(met) < 3 {
		return d, fmt.Errorf("keys %q, want descr, fortran_order and shape", met)
	}
	return d, nil
}

func (p *parser) entry(key string, d *dict) (err error) {
	switch key {
	case "descr":
		d.descr, err = p.descr()
	case "fortran_order":
		d.fortran, err = p.bool()
	case "shape":
		d.shape, err = p.shape()
	default:
		err = fmt.Errorf("key %q, want descr, fortran_order and shape alone", key)
	}
	return err
}

// peek is what is left after white space.
func (p *parser) peek() []byte {
	p.rest = bytes.TrimLeft(p.rest, " \t\r\n\f")
	return p.rest
}

// take steps over token if it comes next.
func (p *parser) take(token string) bool {
	rest, ok := bytes.CutPrefix(p.peek(), []byte(token))
	p.rest = rest
	return ok
}

// want says what comes next and what should.
func (p *parser) want(format string, args ...any) error {
	next := p.peek()
	met := "the end"
	if len(next) > 0 {
		met = fmt.Sprintf("%q", next[:min(len(next), 20)])
	}
	return fmt.Errorf("%s, want "+format, append([]any{met}, args...)...)
}

func (p *parser) string() (string, error) {
	for _, quote := range []string{"'", `"`} {
		if !p.take(quote) {
			continue
		}
		s, rest, ok := bytes.Cut(p.rest, []byte(quote))
		if !ok || bytes.ContainsAny(s, "\\\n") {
			return "", p.want("a string without escapes")
		}
		p.rest = rest
		return string(s), nil
	}
	return "", p.want("a string in quotes")
}

func (p *parser) descr() (string, error) {
	if next := p.peek(); len(next) > 0 && (next[0] == '[' || next[0] == '(') {
		return "", errors.New("structured elements (descr is a list), want numbers")
	}
	return p.string()
}

func (p *parser) bool() (bool, error) {
	switch {
	case p.take("True"):
		return true, nil
	case p.take("False"):
		return false, nil
	}
	return false, p.want("True or False for fortran_order")
}

// shape reads a tuple: (), (3,) and (3, 4) are, (3) is not.
func (p *parser) shape() ([]int, error) {
	if !p.take("(") {
		return nil, p.want("a tuple for the shape")
	}
	shape, comma := []int{}, true
	for !p.take(")") {
		if !comma {
			return nil, p.want(", or ) in the shape")
		}
		if len(shape) == maxRank {
			return nil, fmt.Errorf("shape of more than %d dimensions", maxRank)
		}
		n, err := p.int()
		if err != nil {
			return nil, err
		}
		shape = append(shape, n)
		comma = p.take(",")
	}
	if len(shape) == 1 && !comma {
		return nil, fmt.Errorf("shape (%d), want the tuple (%d,)", shape[0], shape[0])
	}
	return shape, nil
}

func (p *parser) int() (int, error) {
	next := p.peek()
	digits := len(next) - len(bytes.TrimLeft(next, "0123456789"))
	switch {
	case digits == 0 && bytes.HasPrefix(next, []byte("-")):
		return 0, p.want("a dimension that is not negative")
	case digits == 0 || digits > 1 && next[0] == '0':
		return 0, p.want("a decimal integer in the shape")
	}
	n := 0
	for _, c := range next[:digits] {
		if n > (math.MaxInt-9)/10 {
			return 0, p.want("a dimension that an int holds")
		}
		n = 10*n + int(c-'0')
	}
	p.rest = next[digits:]
	if p.long {
		p.rest = bytes.TrimPrefix(p.rest, []byte("L"))
	}
	return n, nil
}
