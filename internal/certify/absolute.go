package certify

import (
	"math"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// absolute is e, of form f, with the magnitudes of all its tensors, and with μ negative, so that
// nothing cancels: the kernel that it fuses to is Σ|terms| of e's, the bias that of
// e's bias, as β − μ·s becomes |β| + |μ|·|s|.
func absolute(e op.Expr, f op.Form) (op.Expr, error) {
	return op.Fold(magnitudes{}, e, f.In, f.Rank())
}

// magnitudes makes each operator its absolute one.
type magnitudes struct{}

func (magnitudes) Conv(e op.Conv, _ op.Form) (op.Expr, error) {
	if e.Weight.Computed != nil {
		e.Weight = largestOfRow(e.Weight)
	} else {
		e.Weight = signed(e.Weight, plus)
	}
	e.Bias = signedVector(e.Bias, plus)
	return e, nil
}

func (magnitudes) BatchNorm(e op.BatchNorm, _ op.Form) (op.Expr, error) {
	e.Gamma, e.Beta = signedVector(e.Gamma, plus), signedVector(e.Beta, plus)
	e.Mean = signedVector(e.Mean, minus)
	return e, nil
}

func (magnitudes) Scale(e op.Scale, _ op.Form) (op.Expr, error) {
	return op.Scale{By: signedVector(e.By, plus), Factor: math.Abs(e.Factor)}, nil
}

func (magnitudes) Shift(e op.Shift, _ op.Form) (op.Expr, error) {
	return op.Shift{By: signedVector(e.By, plus), Term: math.Abs(e.Term)}, nil
}

func (magnitudes) Identity(e op.Identity, _ op.Form) (op.Expr, error) { return e, nil }
func (magnitudes) AvgPool(e op.AvgPool, _ op.Form) (op.Expr, error)   { return e, nil }
func (magnitudes) Select(e op.Select, _ op.Form) (op.Expr, error)     { return e, nil }
func (magnitudes) Seq(parts []op.Expr) (op.Expr, error)               { return op.Seq(parts), nil }
func (magnitudes) Sum(parts []op.Expr) (op.Expr, error)               { return op.Sum(parts), nil }
func (magnitudes) Concat(parts []op.Expr) (op.Expr, error)            { return op.Concat(parts), nil }

// largestOfRow is a kernel that a generator makes with every element as large as the
// largest of its row. Σ|terms| of its elements is the generator's own affair; but they
// are sums over the same few tensors, and where one is small beside the rest of its
// row it is so because terms as large as those cancelled.
func largestOfRow(p op.Param) op.Param {
	values := p.Floats
	p.Open = tensor.Later(tensor.F64, p.Shape, func() ([]float64, error) {
		v, err := values()
		if err != nil {
			return nil, err
		}
		row := tensor.Elems(p.Shape[1:])
		for o := range p.Shape[0] {
			largest := 0.0
			for _, x := range v[o*row : (o+1)*row] {
				largest = max(largest, math.Abs(x))
			}
			for i := range row {
				v[o*row+i] = largest
			}
		}
		return v, nil
	}).Open
	p.Type = tensor.F64
	return p
}

// The signs that elements are given, as what their last byte's first bit is set to.
const (
	plus  = 0x00
	minus = 0x80
)

func signed(p op.Param, sign byte) op.Param {
	open, size := p.Open, p.Type.Size()
	if !p.Type.IsFloat() {
		return p // which fuse refuses by its key
	}
	p.Open = func() (tensor.Data, error) {
		d, err := open()
		return oneSign{d, size, sign}, err
	}
	return p
}

func signedVector(p *op.Param, sign byte) *op.Param {
	if p == nil {
		return nil
	}
	q := signed(*p, sign)
	return &q
}

// oneSign is floating elements all given one sign, which is the first bit of their
// last byte.
type oneSign struct {
	tensor.Data
	size int
	sign byte
}

func (d oneSign) ReadAt(b []byte, off int64) (int, error) {
	n, err := d.Data.ReadAt(b, off)
	first := d.size - 1 - int(off%int64(d.size))
	for i := first; i < n; i += d.size {
		b[i] = b[i]&0x7f | d.sign
	}
	return n, err
}
