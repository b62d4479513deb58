package fuse

import "math/big"

// doubles is the field of double-double numbers.
type doubles struct{}

func (doubles) one() dd                          { return dd{1, 0} }
func (doubles) add(a, b dd) dd                   { return a.add(b) }
func (doubles) scale(a dd, f *factors, c int) dd { return a.mul(f.value[c]) }
func (doubles) divide(a dd, n int) dd            { return a.div(dd{float64(n), 0}) }
func (doubles) axpy(dst []dd, at int, a dd, w []float64, want []int) {
	if want == nil {
		dst = dst[at : at+len(w)]
		for i, v := range w {
			dst[i] = dst[i].add(a.times(v))
		}
		return
	}
	for _, i := range want {
		if k := i - at; k >= 0 && k < len(w) {
			dst[i] = dst[i].add(a.times(w[k]))
		}
	}
}

// reals is the field of big.Float at a precision that stands in for the real
// numbers: the last resort, for terms that all but cancel. nil is zero.
type reals struct{}

// realBits leaves 2⁻⁹⁰ of Σ|terms| a float64's 53 bits, ten for the bound of 0.001
// ulp and a hundred for the roundings on the way.
const realBits = 256

func real(x float64) *big.Float { return new(big.Float).SetPrec(realBits).SetFloat64(x) }

func fresh() *big.Float { return new(big.Float).SetPrec(realBits) }

func (reals) one() *big.Float { return real(1) }

func (reals) add(a, b *big.Float) *big.Float {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	return fresh().Add(a, b)
}

func (reals) scale(a *big.Float, f *factors, c int) *big.Float {
	if a == nil {
		return nil
	}
	if f.num != nil {
		a = fresh().Mul(a, real(f.num[c]))
	}
	if f.vari != nil {
		root := fresh().Add(real(f.vari[c]), real(f.eps))
		a = fresh().Quo(a, root.Sqrt(root))
	}
	return a
}

func (reals) divide(a *big.Float, n int) *big.Float {
	if a == nil {
		return nil
	}
	return fresh().Quo(a, real(float64(n)))
}

func (r reals) axpy(dst []*big.Float, at int, a *big.Float, w []float64, want []int) {
	if a == nil {
		return
	}
	term := func(i, k int) { dst[i] = r.add(dst[i], fresh().Mul(a, real(w[k]))) }
	if want == nil {
		for k := range w {
			term(at+k, k)
		}
		return
	}
	for _, i := range want {
		if k := i - at; k >= 0 && k < len(w) {
			term(i, k)
		}
	}
}

// toDD rounds to a double-double.
func toDD(a *big.Float) dd {
	if a == nil {
		return dd{}
	}
	hi, _ := a.Float64()
	lo, _ := fresh().Sub(a, real(hi)).Float64()
	return dd{hi, lo}
}
