package fuse

import "math"

// dd is a double-double number hi + lo, |lo| ≤ ½ ulp(hi): 106 bits of significand.
// The operations err by less than ddUnit relative to the sum of the operands'
// magnitudes (Joldes, Muller, Popescu, "Tight and rigorous error bounds for basic
// building blocks of double-word arithmetic", 2017, has 2⁻¹⁰² at worst). Every
// product is rounded by itself or by math.FMA, so the bits are the same everywhere.
type dd struct{ hi, lo float64 }

// ddUnit bounds the relative error of one operation.
const ddUnit = 0x1p-102

// twoSum is a+b exactly.
func twoSum(a, b float64) dd {
	s := a + b
	t := s - a
	return dd{s, (a - (s - t)) + (b - t)}
}

// quickTwoSum is a+b exactly where |a| ≥ |b|.
func quickTwoSum(a, b float64) dd {
	s := a + b
	return dd{s, b - (s - a)}
}

// twoProd is a·b exactly, barring underflow.
func twoProd(a, b float64) dd {
	p := float64(a * b)
	return dd{p, math.FMA(a, b, -p)}
}

func (a dd) add(b dd) dd {
	s := twoSum(a.hi, b.hi)
	return quickTwoSum(s.hi, s.lo+(a.lo+b.lo))
}

func (a dd) neg() dd { return dd{-a.hi, -a.lo} }

func (a dd) times(b float64) dd {
	p := twoProd(a.hi, b)
	return quickTwoSum(p.hi, math.FMA(a.lo, b, p.lo))
}

func (a dd) mul(b dd) dd {
	p := twoProd(a.hi, b.hi)
	return quickTwoSum(p.hi, p.lo+math.FMA(a.hi, b.lo, float64(a.lo*b.hi)))
}

func (a dd) div(b dd) dd {
	q := a.hi / b.hi
	r := a.add(b.times(-q))
	p := r.hi / b.hi
	r = r.add(b.times(-p))
	return quickTwoSum(q, p).add(dd{r.hi / b.hi, 0})
}

// sqrt is one step of Newton's iteration from the root of hi.
func (a dd) sqrt() dd {
	x := math.Sqrt(a.hi)
	if x == 0 {
		return dd{}
	}
	r := a.add(twoProd(x, x).neg())
	return quickTwoSum(x, r.hi/(2*x))
}

// odd rounds to float64 so that a further rounding, to 24 bits or fewer, gives what
// one rounding of hi+lo would have: an inexact result gets an odd last bit.
func (a dd) odd() float64 {
	bits := math.Float64bits(a.hi)
	if a.lo == 0 || a.lo != a.lo || bits&1 == 1 {
		return a.hi
	}
	if (a.lo > 0) == (a.hi > 0) {
		return math.Float64frombits(bits + 1)
	}
	return math.Float64frombits(bits - 1)
}
