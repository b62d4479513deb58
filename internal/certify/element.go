package certify

import (
	"bytes"
	"math"

	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

// ulps is the unit in the last place of an element type, as tensor.Ulp has it but
// quickly.
type ulps struct {
	typ tensor.Type
	micro.Ulps
}

func ulpsOf(t tensor.Type) ulps {
	return ulps{t, micro.Ulps{Shift: uint64(-math.Ilogb(tensor.Ulp(1, t))), Least: tensor.Ulp(0, t)}}
}

// At is the unit at v, also where it is itself a subnormal number, of which micro gives the least.
func (u ulps) At(v float64) float64 {
	if u.typ == tensor.F64 && math.Abs(v) < 0x1p-960 {
		return tensor.Ulp(v, u.typ)
	}
	return u.Ulps.At(v)
}

// near is how many ulps of the real value an exact element may be off: half of one
// for being rounded once, and the design's 0.001.
const near = 0.501

// value is a real value as fuse knows it: hi + lo, give or take bound.
type value struct{ hi, lo, bound float64 }

// off is |stored − v|, rounded up; what v itself is unsure of is not in it.
func (v value) off(stored float64) float64 {
	return math.Abs((stored-v.hi)-v.lo) * micro.Slack
}

// exact reports whether a stored element is v rounded once.
func (u ulps) exact(v value, stored float64) bool {
	if v.off(stored)+v.bound <= near*u.At(v.hi) {
		return true
	}
	return u.nearest(v, stored)
}

// nearest reports whether stored is what all numbers round to that v may be. The
// bound of a product of matrices alone may be a good part of an ulp.
func (u ulps) nearest(v value, stored float64) bool {
	ends := []float64{v.hi + (v.lo - v.bound), v.hi + (v.lo + v.bound), stored}
	size := u.typ.Size()
	b := make([]byte, 3*size)
	tensor.Encode(b, ends, u.typ)
	return bytes.Equal(b[:size], b[2*size:]) && bytes.Equal(b[size:2*size], b[2*size:]) &&
		!math.IsInf(stored, 0) && !math.IsNaN(stored)
}

// deep is the absolute error, relative to Σ|terms|, that an exact element may have on
// top: where terms cancel to less than that, nothing is left of them to be exact about.
const deep = 0x1p-90

// judge gives a stored element that is not exact at first sight its verdict. terms is
// Σ|terms| of it, gamma its γₙ. What is unsure counts against it.
func (u ulps) judge(v value, stored, terms, gamma float64) Element {
	e := u.element(v, stored)
	off := v.off(stored) + v.bound
	if off <= near*u.At(v.hi)+deep*terms {
		return e
	}
	e.Terms, e.Rounding = finite(terms), near*u.At(max(math.Abs(stored), math.Abs(v.hi)))
	e.Arithmetic = finite(gamma * terms)
	e.Allowed = finite(e.Rounding + e.Arithmetic)
	e.Verdict = Different
	if off <= e.Allowed && e.Allowed < math.MaxFloat64 {
		e.Verdict = Equivalent
	}
	return e
}

// element describes an exact element.
func (u ulps) element(v value, stored float64) Element {
	d := v.off(stored)
	return Element{Verdict: Exact, Stored: finite(stored), Real: v.hi, Difference: finite(d), Own: v.bound, Ulps: finite(d / u.At(v.hi))}
}

// finite is v, or the number of its sign that is largest for what is none: such a
// number can be compared and be written as JSON.
func finite(v float64) float64 {
	switch {
	case math.IsInf(v, -1):
		return -math.MaxFloat64
	case math.IsNaN(v), math.IsInf(v, 1):
		return math.MaxFloat64
	}
	return v
}
