package verify

import (
	"fmt"
	"math"

	"repfuse/internal/conv"
	"repfuse/internal/op"
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

// A bounder makes of an operator what it does to magnitudes. Its tensors are read once.
type bounder struct{ *run }

type bounding = func(in magnitude) (magnitude, error)

// magnitude is that of e's output.
func (r *run) magnitude(e op.Expr, in magnitude, rank int) (magnitude, error) {
	f, err := op.Fold(bounder{r}, e, len(in.of), rank)
	if err != nil {
		return in, err
	}
	return f(in)
}

// Conv is Σ_i Σ_t |W[o,i,t]|·m[i] + |b[o]|.
func (r bounder) Conv(e op.Conv, f op.Form) (bounding, error) {
	return func(in magnitude) (magnitude, error) {
		sum, err := absolute(e.Bias, f.Out, 0)
		if err != nil {
			return magnitude{}, err
		}
		k := absKernel{of: e.Weight, in: in.of, form: f, taps: f.Taps()}
		if err := r.sumKernel(&k, sum); err != nil {
			return magnitude{}, err
		}
		for o, v := range sum {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return magnitude{}, k.find(o)
			}
		}
		inner := f.In / f.Groups
		return magnitude{sum, chain{
			in.chain.wide + conv.Roundings(inner, k.taps, conv.Options{}),
			in.chain.narrow + conv.Roundings(inner, k.taps, conv.Options{Float32: true}),
		}}, nil
	}, nil
}

func (bounder) BatchNorm(e op.BatchNorm, f op.Form) (bounding, error) {
	var v [4][]float64
	for k, p := range []*op.Param{e.Mean, e.Var, e.Gamma, e.Beta} {
		var err error
		if v[k], err = absolute(p, f.Out, []float64{0, 1, 1, 0}[k]); err != nil {
			return nil, err
		}
	}
	mean, variance, gamma, beta := v[0], v[1], v[2], v[3]
	return each(normRoundings, func(c int, m float64) float64 {
		return (m+mean[c])*gamma[c]/math.Sqrt(variance[c]+e.Eps) + beta[c]
	})
}

func (bounder) Scale(e op.Scale, f op.Form) (bounding, error) {
	s, err := absolute(e.By, f.Out, e.Factor)
	if err != nil {
		return nil, err
	}
	return each(scaleRoundings, func(c int, m float64) float64 { return m * s[c] })
}

func (bounder) Shift(e op.Shift, f op.Form) (bounding, error) {
	s, err := absolute(e.By, f.Out, e.Term)
	if err != nil {
		return nil, err
	}
	return each(shiftRoundings, func(c int, m float64) float64 { return m + s[c] })
}

// each is an operator that acts on each element by itself, with so many roundings.
func each(roundings int, do func(c int, m float64) float64) (bounding, error) {
	return func(in magnitude) (magnitude, error) {
		out := magnitude{make([]float64, len(in.of)), in.chain.plus(roundings)}
		for c, m := range in.of {
			out.of[c] = do(c, m)
		}
		return out, nil
	}, nil
}

func (bounder) AvgPool(_ op.AvgPool, f op.Form) (bounding, error) {
	return func(in magnitude) (magnitude, error) { return magnitude{in.of, in.chain.plus(f.Taps())}, nil }, nil
}

func same(in magnitude) (magnitude, error) { return in, nil }

func (bounder) Identity(op.Identity, op.Form) (bounding, error) { return same, nil }

func (bounder) Select(e op.Select, _ op.Form) (bounding, error) {
	return func(in magnitude) (magnitude, error) { return magnitude{in.of[e.From:e.To], in.chain}, nil }, nil
}

func (bounder) Seq(parts []bounding) (bounding, error) {
	return func(in magnitude) (m magnitude, err error) {
		for _, p := range parts {
			if in, err = p(in); err != nil {
				return in, err
			}
		}
		return in, nil
	}, nil
}

// Sum adds the parts up, which rounds once for each but the first.
func (bounder) Sum(parts []bounding) (bounding, error) {
	return beside(parts, func(all, m magnitude) magnitude {
		for o, v := range m.of {
			all.of[o] += v
		}
		return magnitude{all.of, all.chain.or(m.chain)}
	}, len(parts)-1)
}

func (bounder) Concat(parts []bounding) (bounding, error) {
	return beside(parts, func(all, m magnitude) magnitude {
		return magnitude{append(all.of, m.of...), all.chain.or(m.chain)}
	}, 0)
}

// beside joins what parts make of the same input, with so many roundings at the end.
func beside(parts []bounding, join func(all, m magnitude) magnitude, roundings int) (bounding, error) {
	return func(in magnitude) (magnitude, error) {
		var all magnitude
		for k, p := range parts {
			m, err := p(in)
			if err != nil {
				return all, err
			}
			if k == 0 { // of its own memory, as a part may give its input back
				all = magnitude{append([]float64(nil), m.of...), m.chain}
			} else {
				all = join(all, m)
			}
		}
		all.chain = all.chain.plus(roundings)
		return all, nil
	}, nil
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
