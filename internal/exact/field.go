package exact

import (
	"math"
	"math/big"
)

// Factors is a scale for each channel, known to any precision: γ/√(σ²+ε) of a batch
// norm, or a vector as it is stored.
type Factors struct {
	Value []DD
	num   []float64 // γ, or the vector itself; nil is 1
	vari  []float64 // σ², nil where there is no batch norm
	eps   float64
	rough bool // some of Value have lost digits
}

// lowest is below what products, their errors in double-double numbers included, may have lost
// digits, as nothing is smaller than 2⁻¹⁰⁷⁴.
const lowest = 0x1p-700

// Lost reports whether a·b, which float64 has as p, may have lost digits. It is asked of every
// product: without its sign, a number's bits are in the order of its magnitude.
func Lost(p, a, b float64) bool {
	return math.Float64bits(p)<<1 < math.Float64bits(lowest)<<1 && a != 0 && b != 0
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
		f.rough = f.rough || v+eps < lowest || Lost(s.Hi, s.Hi, 1) || Lost(f.Value[c].Hi, s.Hi, 1)
	}
	return f
}

// Terms is a constant added to each channel, known to any precision: β − μ·s, s being a batch
// norm's scale, or a vector as it is stored.
type Terms struct {
	Value      []DD
	of         *Factors // s; nil where there is no batch norm
	mean, beta []float64
	rough      bool // some of Value have lost digits
}

// VectorTerms is the terms v; nil stays nil.
func VectorTerms(v []float64) *Terms {
	if v == nil {
		return nil
	}
	return &Terms{Value: Vector(v).Value, beta: v}
}

// Terms is β − μ·f for each channel; β of nil is 0.
func (f *Factors) Terms(beta, mean []float64) *Terms {
	t := &Terms{Value: make([]DD, len(mean)), of: f, mean: mean, beta: beta, rough: f.rough}
	for c := range mean {
		t.Value[c] = f.Value[c].Times(-mean[c])
		t.rough = t.rough || Lost(t.Value[c].Hi, f.Value[c].Hi, mean[c])
		if beta != nil {
			t.Value[c] = t.Value[c].Add(DD{beta[c], 0})
		}
	}
	return t
}

// Field is numbers that a kernel's elements can be computed with.
type Field[T any] interface {
	One() T
	// Term is the term of channel c.
	Term(t *Terms, c int) T
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
type Doubles struct {
	// Low is set where a product was so small that its error may be above Unit.
	Low *bool
}

func (Doubles) One() DD        { return DD{1, 0} }
func (Doubles) Add(a, b DD) DD { return a.Add(b) }
func (Doubles) DD(a DD) DD     { return a }
func (Doubles) Unit() float64  { return 0x1p-102 }

func (d Doubles) Term(t *Terms, c int) DD {
	if t.rough {
		*d.Low = true
	}
	return t.Value[c]
}

func (d Doubles) Scale(a DD, f *Factors, c int) DD {
	p := a.Mul(f.Value[c])
	if f.rough || Lost(p.Hi, a.Hi, f.Value[c].Hi) {
		*d.Low = true
	}
	return p
}

func (d Doubles) Divide(a DD, n int) DD {
	q := a.Div(DD{float64(n), 0})
	if Lost(q.Hi, a.Hi, 1) {
		*d.Low = true
	}
	return q
}

func (d Doubles) MulAdd(dst []DD, a DD, w []float64, step int) {
	for i := range dst {
		p := a.Times(w[i*step])
		if Lost(p.Hi, a.Hi, w[i*step]) {
			*d.Low = true
		}
		dst[i] = dst[i].Add(p)
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

func (r Reals) Term(t *Terms, c int) *big.Float {
	var sum *big.Float
	if t.of != nil {
		sum = r.Scale(real(-t.mean[c]), t.of, c)
	}
	if t.beta != nil {
		sum = r.Add(sum, real(t.beta[c]))
	}
	return sum
}

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
