package exact

import "math/big"

// Factors is a scale for each channel, known to any precision: γ/√(σ²+ε) of a batch
// norm, or a vector as it is stored.
type Factors struct {
	Value []DD
	num   []float64 // γ, or the vector itself; nil is 1
	vari  []float64 // σ², nil where there is no batch norm
	eps   float64
}

// Vector is the factors v.
func Vector(v []float64) *Factors {
	f := &Factors{Value: make([]DD, len(v)), num: v}
	for c, x := range v {
		f.Value[c].Hi = x
	}
	return f
}

// Norm is the factors γ/√(σ²+ε), σ²+ε being above zero; γ of nil is 1.
func Norm(gamma, vari []float64, eps float64) *Factors {
	f := &Factors{Value: make([]DD, len(vari)), num: gamma, vari: vari, eps: eps}
	for c, v := range vari {
		s := DD{1, 0}
		if gamma != nil {
			s.Hi = gamma[c]
		}
		f.Value[c] = s.Div(TwoSum(v, eps).Sqrt())
	}
	return f
}

// Field is numbers that a kernel's elements can be computed with.
type Field[T any] interface {
	One() T
	Add(a, b T) T
	// Scale is a·f of channel c.
	Scale(a T, f *Factors, c int) T
	// Divide is a/n.
	Divide(a T, n int) T
	// MulAdd adds a·w[i·step] to dst[i], for all i.
	MulAdd(dst []T, a T, w []float64, step int)
	// DD is a to 106 bits.
	DD(a T) DD
	// Unit bounds the relative error of an operation.
	Unit() float64
}

// Doubles is the field of double-double numbers.
type Doubles struct{}

func (Doubles) One() DD                          { return DD{1, 0} }
func (Doubles) Add(a, b DD) DD                   { return a.Add(b) }
func (Doubles) Scale(a DD, f *Factors, c int) DD { return a.Mul(f.Value[c]) }
func (Doubles) Divide(a DD, n int) DD            { return a.Div(DD{float64(n), 0}) }
func (Doubles) DD(a DD) DD                       { return a }
func (Doubles) Unit() float64                    { return 0x1p-102 }
func (Doubles) MulAdd(dst []DD, a DD, w []float64, step int) {
	for i := range dst {
		dst[i] = dst[i].Add(a.Times(w[i*step]))
	}
}

// Reals is the field of big.Float with 256 bits, which stand in for the real numbers: the
// last resort, for terms that all but cancel. They leave a float64's 53 bits, and ten for
// the bound of 0.001 ulp, to a sum of 2⁻⁹⁰ of Σ|terms| after a hundred roundings. nil is
// zero.
type Reals struct{}

const realBits = 256

func real(x float64) *big.Float { return fresh().SetFloat64(x) }

func fresh() *big.Float { return new(big.Float).SetPrec(realBits) }

func (Reals) One() *big.Float { return real(1) }

func (Reals) Add(a, b *big.Float) *big.Float {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return fresh().Add(a, b)
}

func (Reals) Scale(a *big.Float, f *Factors, c int) *big.Float {
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

func (Reals) Divide(a *big.Float, n int) *big.Float {
	if a == nil {
		return nil
	}
	return fresh().Quo(a, real(float64(n)))
}

func (r Reals) MulAdd(dst []*big.Float, a *big.Float, w []float64, step int) {
	if a == nil {
		return
	}
	for i := range dst {
		dst[i] = r.Add(dst[i], fresh().Mul(a, real(w[i*step])))
	}
}

func (Reals) DD(a *big.Float) DD {
	if a == nil {
		return DD{}
	}
	hi, _ := a.Float64()
	lo, _ := fresh().Sub(a, real(hi)).Float64()
	return DD{hi, lo}
}

// Unit is generous: one rounding at 256 bits errs by 2⁻²⁵⁶.
func (Reals) Unit() float64 { return 0x1p-250 }
