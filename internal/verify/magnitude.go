package verify

import (
	"fmt"
	"math"

	"repfuse/internal/conv"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// A magnitude is, for every channel of a map, the largest |value| that all terms
// together could come to if none cancelled: what an expression of the absolute values
// of its tensors makes of an image that is R everywhere. It bounds what the channel
// holds, and rounding errors are proportional to it.
type magnitude struct {
	of    []float64
	chain chain
}

// A chain is the most roundings that one term suffers when an expression is run, in
// float64 and in float32.
type chain struct{ wide, narrow int }

func (c chain) plus(n int) chain { return chain{c.wide + n, c.narrow + n} }

func (c chain) or(d chain) chain { return chain{max(c.wide, d.wide), max(c.narrow, d.narrow)} }

// The roundings of running operators on one element. A stored value may have to be
// rounded to the element type that is computed in, which counts as one.
const (
	normRoundings  = 11 // the term μ meets all of μ, −, σ², ε, +, √, 1/, ·, γ, ·, +
	scaleRoundings = 2
	shiftRoundings = 2
)

// magnitude works through e, reading its tensors once.
func (r *run) magnitude(e op.Expr, in magnitude, rank int) (magnitude, error) {
	switch e := e.(type) {
	case op.Seq:
		return r.inSequence(e, in, rank)
	case op.Sum:
		return r.added(e, in, rank)
	case op.Concat:
		var all magnitude
		for _, p := range e {
			m, err := r.magnitude(p, in, rank)
			if err != nil {
				return all, err
			}
			all.of, all.chain = append(all.of, m.of...), all.chain.or(m.chain)
		}
		return all, nil
	case op.Conv:
		return r.convolved(e, in, rank)
	case op.Select:
		return magnitude{in.of[e.From:e.To], in.chain}, nil
	case op.AvgPool:
		return magnitude{in.of, in.chain.plus(tensor.Elems(e.Kernel))}, nil
	default:
		return pointwise(e, in)
	}
}

func (r *run) inSequence(e op.Seq, in magnitude, rank int) (magnitude, error) {
	for k, p := range e {
		if c, ok := p.(op.Conv); ok && c.Transposed && c.Groups == 0 {
			f, err := op.CheckFrom(e[k:], len(in.of), rank) // what follows says how many groups
			if err != nil {
				return in, err
			}
			c.Groups = f.Groups
			p = c
		}
		var err error
		if in, err = r.magnitude(p, in, rank); err != nil {
			return in, err
		}
	}
	return in, nil
}

func (r *run) added(e op.Sum, in magnitude, rank int) (magnitude, error) {
	var all magnitude
	for k, p := range e {
		m, err := r.magnitude(p, in, rank)
		if err != nil {
			return all, err
		}
		if k == 0 {
			all = magnitude{append([]float64(nil), m.of...), m.chain}
			continue
		}
		for o, v := range m.of {
			all.of[o] += v
		}
		all.chain = all.chain.or(m.chain)
	}
	all.chain = all.chain.plus(len(e) - 1)
	return all, nil
}

// pointwise is the magnitude behind an operator that acts on each element by itself.
func pointwise(e op.Expr, in magnitude) (magnitude, error) {
	out := magnitude{make([]float64, len(in.of)), in.chain}
	var err error
	vector := func(p *op.Param, literal float64) []float64 {
		v, e := absolute(p, len(in.of), literal)
		if err == nil {
			err = e
		}
		return v
	}
	switch e := e.(type) {
	case op.BatchNorm:
		mean, variance, gamma, beta := vector(e.Mean, 0), vector(e.Var, 1), vector(e.Gamma, 1), vector(e.Beta, 0)
		for c, v := range in.of {
			out.of[c] = (v+mean[c])*gamma[c]/math.Sqrt(variance[c]+e.Eps) + beta[c]
		}
		out.chain = out.chain.plus(normRoundings)
	case op.Scale:
		for c, s := range vector(e.By, e.Factor) {
			out.of[c] = in.of[c] * s
		}
		out.chain = out.chain.plus(scaleRoundings)
	case op.Shift:
		for c, s := range vector(e.By, e.Term) {
			out.of[c] = in.of[c] + s
		}
		out.chain = out.chain.plus(shiftRoundings)
	default: // Identity, Window
		return in, nil
	}
	return out, err
}

// absolute is the magnitudes of a vector's elements, one a channel. An element that is
// no finite number is an error.
func absolute(p *op.Param, channels int, literal float64) ([]float64, error) {
	v := []float64{literal}
	if p != nil {
		var err error
		if v, err = p.Floats(); err != nil {
			return make([]float64, channels), fmt.Errorf("%s: %w", p.Key, err)
		}
	}
	all := make([]float64, channels)
	for c := range all {
		x := v[min(c, len(v)-1)]
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return all, &notFinite{p.Key, []int{min(c, len(v)-1)}, x}
		}
		all[c] = math.Abs(x)
	}
	return all, nil
}

// notFinite says that an element is no finite number.
type notFinite struct {
	key   string
	index []int
	value float64
}

func (e *notFinite) Error() string {
	return fmt.Sprintf("%s%v is %g, want a finite number", e.key, e.index, e.value)
}

// convolved is Σ_i Σ_t |W[o,i,t]|·m[i] + |b[o]|.
func (r *run) convolved(e op.Conv, in magnitude, rank int) (magnitude, error) {
	f, err := op.CheckFrom(e, len(in.of), rank)
	if err != nil {
		return magnitude{}, err
	}
	bias, err := absolute(e.Bias, f.Out, 0)
	if err != nil {
		return magnitude{}, err
	}
	k := absKernel{of: e.Weight, in: in.of, form: f, taps: f.Taps()}
	if err := r.sumKernel(&k, bias); err != nil {
		return magnitude{}, err
	}
	for o, v := range bias {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return magnitude{}, k.find(o)
		}
	}
	inner := f.In / f.Groups
	return magnitude{bias, chain{
		in.chain.wide + conv.Roundings(inner, k.taps, conv.Options{}),
		in.chain.narrow + conv.Roundings(inner, k.taps, conv.Options{Float32: true}),
	}}, nil
}
