package fuse

import (
	"fmt"
	"math/big"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// The truth that the tests compare with: an expression as a polynomial in the
// shifts, every coefficient a dense matrix of big.Float at 300 bits, each operator
// as op's table states it. Nothing here is shared with the package.
const truthBits = 300

func num(x float64) *big.Float { return new(big.Float).SetPrec(truthBits).SetFloat64(x) }
func zero() *big.Float         { return new(big.Float).SetPrec(truthBits) }

// poly maps a shift, as text, to a matrix of out rows of in coefficients.
type poly struct {
	in, out int
	coef    map[string][]*big.Float
	shift   map[string][]int
	bias    []*big.Float
}

func newPoly(in, out int) *poly {
	p := &poly{in, out, map[string][]*big.Float{}, map[string][]int{}, make([]*big.Float, out)}
	for o := range p.bias {
		p.bias[o] = zero()
	}
	return p
}

func (p *poly) at(shift []int) []*big.Float {
	key := fmt.Sprint(shift)
	if p.coef[key] == nil {
		m := make([]*big.Float, p.out*p.in)
		for i := range m {
			m[i] = zero()
		}
		p.coef[key], p.shift[key] = m, append([]int(nil), shift...)
	}
	return p.coef[key]
}

func (p *poly) plus(q *poly) {
	for k, m := range q.coef {
		to := p.at(q.shift[k])
		for i, v := range m {
			to[i].Add(to[i], v)
		}
	}
	for o, v := range q.bias {
		p.bias[o].Add(p.bias[o], v)
	}
}

// after is q applied to what p gives.
func (q *poly) after(p *poly) *poly {
	r := newPoly(p.in, q.out)
	for kq, mq := range q.coef {
		for kp, mp := range p.coef {
			s := append([]int(nil), q.shift[kq]...)
			for a := range s {
				s[a] += p.shift[kp][a]
			}
			to := r.at(s)
			for o := range q.out {
				for m := range q.in {
					for i := range p.in {
						cell := to[o*p.in+i]
						cell.Add(cell, zero().Mul(mq[o*q.in+m], mp[m*p.in+i]))
					}
				}
			}
		}
		for o := range q.out {
			for m := range q.in {
				r.bias[o].Add(r.bias[o], zero().Mul(mq[o*q.in+m], p.bias[m]))
			}
		}
	}
	for o, v := range q.bias {
		r.bias[o].Add(r.bias[o], v)
	}
	return r
}

// diagonal is diag(s) at no shift.
func diagonal(rank int, s []*big.Float) *poly {
	p := newPoly(len(s), len(s))
	m := p.at(make([]int, rank))
	for c, v := range s {
		m[c*len(s)+c].Set(v)
	}
	return p
}

func values(t *testing.T, p *op.Param, n int, otherwise float64) []*big.Float {
	v := make([]*big.Float, n)
	if p == nil {
		for i := range v {
			v[i] = num(otherwise)
		}
		return v
	}
	f, err := p.Floats()
	if err != nil {
		t.Fatal(err)
	}
	for i := range v {
		v[i] = num(f[i%len(f)])
	}
	return v
}

// truth is e, which has no strides, as a polynomial.
func truth(t *testing.T, e op.Expr, in, rank int) *poly {
	switch e := e.(type) {
	case op.Conv:
		return truthConv(t, e, in, rank)
	case op.BatchNorm:
		s, mean := values(t, e.Gamma, in, 1), values(t, e.Mean, in, 0)
		beta, vari := values(t, e.Beta, in, 0), values(t, e.Var, in, 0)
		for c := range s {
			root := zero().Add(vari[c], num(e.Eps))
			s[c] = zero().Quo(s[c], root.Sqrt(root))
		}
		p := diagonal(rank, s)
		for c := range s {
			p.bias[c].Sub(beta[c], zero().Mul(mean[c], s[c]))
		}
		return p
	case op.Scale:
		return diagonal(rank, values(t, e.By, in, e.Factor))
	case op.Shift:
		p := diagonal(rank, values(t, nil, in, 1))
		p.bias = values(t, e.By, in, e.Term)
		return p
	case op.AvgPool:
		p := newPoly(in, in)
		each(e.Kernel, func(k []int) {
			s := make([]int, rank)
			for a := range s {
				d := or1(e.Dilation, a)
				s[a] = k[a]*d - (e.Kernel[a]-1)*d/2
				if e.Padding != nil {
					s[a] = k[a]*d - e.Padding[a]
				}
			}
			for c := range in {
				p.at(s)[c*in+c].Quo(num(1), num(float64(tensor.Elems(e.Kernel))))
			}
		})
		return p
	case op.Identity:
		p, s := newPoly(in, in), make([]int, rank)
		for a := range e.Padding {
			s[a] = -e.Padding[a]
		}
		for c := range in {
			p.at(s)[c*in+c].SetInt64(1)
		}
		return p
	case op.Select:
		p := newPoly(in, e.To-e.From)
		m := p.at(make([]int, rank))
		for c := range p.out {
			m[c*in+c+e.From].SetInt64(1)
		}
		return p
	case op.Seq:
		p := diagonal(rank, values(t, nil, in, 1))
		for _, part := range e {
			p = truth(t, part, p.out, rank).after(p)
		}
		return p
	case op.Sum:
		e, err := op.Placed(e)
		if err != nil {
			t.Fatal(err)
		}
		var p *poly
		for _, part := range e {
			q := truth(t, part, in, rank)
			if p == nil {
				p = q
			} else {
				p.plus(q)
			}
		}
		return p
	case op.Concat:
		return truthConcat(t, e, in, rank)
	default:
		return diagonal(rank, values(t, nil, in, 1))
	}
}

func or1(list []int, a int) int {
	if list == nil {
		return 1
	}
	return list[a]
}

func truthConcat(t *testing.T, e op.Concat, in, rank int) *poly {
	var parts []*poly
	out := 0
	for _, part := range e {
		parts = append(parts, truth(t, part, in, rank))
		out += parts[len(parts)-1].out
	}
	p, from := newPoly(in, out), 0
	for _, q := range parts {
		for k, m := range q.coef {
			copy(p.at(q.shift[k])[from*in:], m)
		}
		copy(p.bias[from:], q.bias)
		from += q.out
	}
	return p
}

func truthConv(t *testing.T, e op.Conv, in, rank int) *poly {
	form, err := op.CheckFrom(e, in, rank)
	if err != nil {
		t.Fatal(err)
	}
	w := values(t, &e.Weight, e.Weight.Len(), 0)
	p := newPoly(in, form.Out)
	p.bias = values(t, e.Bias, form.Out, 0)
	width, perGroup := e.Weight.Shape[1], e.Weight.Shape[0]/form.Groups
	kernel, i := e.Weight.Shape[2:], 0
	for r := range e.Weight.Shape[0] {
		for c := range width {
			each(kernel, func(k []int) {
				s := make([]int, rank)
				for a := range s {
					s[a] = form.Lo[a] + k[a]*max(form.Step[a], 1)
				}
				other := r/perGroup*width + c
				if e.Transposed {
					p.at(s)[other*in+r] = w[i]
				} else {
					p.at(s)[r*in+other] = w[i]
				}
				i++
			})
		}
	}
	return p
}

// each visits all index tuples of the extents, the last running fastest.
func each(ext []int, visit func(k []int)) {
	k := make([]int, len(ext))
	for range tensor.Elems(ext) {
		visit(k)
		for a := len(k) - 1; a >= 0; a-- {
			if k[a]++; k[a] < ext[a] {
				break
			}
			k[a] = 0
		}
	}
}

// stored is the real value of each element of the kernel as it is to be stored.
func (p *poly) stored(f op.Form) []*big.Float {
	shape := f.WeightShape()
	perGroup := shape[0] / f.Groups
	var all []*big.Float
	for r := range shape[0] {
		for c := range shape[1] {
			other := r/perGroup*shape[1] + c
			each(f.Kernel(), func(k []int) {
				s := make([]int, len(k))
				for a := range s {
					s[a] = f.Lo[a] + k[a]*f.Dilation()[a]
				}
				o, i := r, other
				if f.Transposed {
					o, i = other, r
				}
				all = append(all, p.at(s)[o*p.in+i])
			})
		}
	}
	return all
}
