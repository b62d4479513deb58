// Package exact computes what float64 cannot: sums of products in double-double numbers
// (106 bits) and at 256 bits, and it decides which elements need which. Package fuse
// computes every element in float64 with a bound on its error, asks a Test whether the
// rounded element can be trusted, and computes it again in the next Field if not.
package exact

import "math"

// DD is a double-double number Hi + Lo, |Lo| ≤ ½ ulp(Hi): 106 bits of significand. Its
// operations err by less than UnitDD relative to the sum of the operands' magnitudes
// (Joldes, Muller, Popescu, "Tight and rigorous error bounds for basic building blocks of
// double-word arithmetic", 2017, has 2⁻¹⁰² at worst). Every product is rounded by itself
// or by math.FMA, so the bits are the same on every processor.
type DD struct{ Hi, Lo float64 }

// TwoSum is a+b exactly.
func TwoSum(a, b float64) DD {
	s := a + b
	t := s - a
	return DD{s, (a - (s - t)) + (b - t)}
}

// QuickTwoSum is a+b exactly where |a| ≥ |b|.
func QuickTwoSum(a, b float64) DD {
	s := a + b
	return DD{s, b - (s - a)}
}

// twoProd is a·b exactly, barring underflow.
func twoProd(a, b float64) DD {
	p := float64(a * b)
	return DD{p, math.FMA(a, b, -p)}
}

// Add is a+b.
func (a DD) Add(b DD) DD {
	s := TwoSum(a.Hi, b.Hi)
	return QuickTwoSum(s.Hi, s.Lo+(a.Lo+b.Lo))
}

// Times is a·b for a float64.
func (a DD) Times(b float64) DD {
	p := twoProd(a.Hi, b)
	return QuickTwoSum(p.Hi, math.FMA(a.Lo, b, p.Lo))
}

// Mul is a·b.
func (a DD) Mul(b DD) DD {
	p := twoProd(a.Hi, b.Hi)
	return QuickTwoSum(p.Hi, p.Lo+math.FMA(a.Hi, b.Lo, float64(a.Lo*b.Hi)))
}

// Div is a/b.
func (a DD) Div(b DD) DD {
	q := a.Hi / b.Hi
	r := a.Add(b.Times(-q))
	p := r.Hi / b.Hi
	r = r.Add(b.Times(-p))
	return QuickTwoSum(q, p).Add(DD{r.Hi / b.Hi, 0})
}

// Sqrt is √a: one step of Newton's iteration from the root of Hi.
func (a DD) Sqrt() DD {
	x := math.Sqrt(a.Hi)
	if x == 0 {
		return DD{}
	}
	p := twoProd(x, x)
	r := a.Add(DD{-p.Hi, -p.Lo})
	return QuickTwoSum(x, r.Hi/(2*x))
}

// Odd rounds to a float64 that a further rounding, to 24 bits or fewer, turns into what
// one rounding of Hi+Lo gives: an inexact result gets an odd last bit.
func (a DD) Odd() float64 {
	bits := math.Float64bits(a.Hi)
	if a.Lo == 0 || a.Lo != a.Lo || bits&1 == 1 {
		return a.Hi
	}
	if (a.Lo > 0) == (a.Hi > 0) {
		return math.Float64frombits(bits + 1)
	}
	return math.Float64frombits(bits - 1)
}
