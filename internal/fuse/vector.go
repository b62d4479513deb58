package fuse

import (
	"fmt"
	"math"

	"repfuse/internal/op"
)

// factors is a scale for each channel: γ/√(σ²+ε) of a batch norm, or a vector as
// it is stored. Beside the double-double values stand what they are made of, for
// the elements that need more.
type factors struct {
	value []dd
	num   []float64 // γ, or the vector itself; nil is 1
	vari  []float64 // σ², nil where there is no batch norm
	eps   float64
}

// vector reads a parameter of n elements, or of one that stands for all n.
func vector(p *op.Param, n int) ([]float64, error) {
	if p == nil {
		return nil, nil
	}
	v, err := p.Floats()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Key, err)
	}
	for i, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, notFinite(p.Key, i, x)
		}
	}
	if len(v) == 1 && n > 1 {
		return filled(n, v[0]), nil
	}
	return v, nil
}

func filled(n int, x float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = x
	}
	return v
}

func notFinite(key string, i int, x float64) error {
	return fmt.Errorf("%s[%d] is %g, want a finite number", key, i, x)
}

func asDD(v []float64) []dd {
	if v == nil {
		return nil
	}
	d := make([]dd, len(v))
	for i, x := range v {
		d[i].hi = x
	}
	return d
}

// batchNorm reads the statistics: s = γ/√(σ²+ε) and t = β − μ·s.
func batchNorm(b op.BatchNorm, channels, rank int) (*diag, error) {
	var all [4][]float64
	for k, p := range []*op.Param{b.Gamma, b.Beta, b.Mean, b.Var} {
		v, err := vector(p, channels)
		if err != nil {
			return nil, err
		}
		all[k] = v
	}
	gamma, beta, mean, vari := all[0], all[1], all[2], all[3]
	f := &factors{value: make([]dd, channels), num: gamma, vari: vari, eps: b.Eps}
	term := make([]dd, channels)
	for c := range term {
		if vari[c] < 0 {
			return nil, fmt.Errorf("%s[%d] is %g, want a variance of at least 0", b.Var.Key, c, vari[c])
		}
		if vari[c]+b.Eps <= 0 {
			return nil, fmt.Errorf("%s[%d] is %g and ε %g, want a sum above 0", b.Var.Key, c, vari[c], b.Eps)
		}
		s := dd{1, 0}
		if gamma != nil {
			s.hi = gamma[c]
		}
		s = s.div(twoSum(vari[c], b.Eps).sqrt())
		f.value[c] = s
		term[c] = s.times(-mean[c])
		if beta != nil {
			term[c] = term[c].add(dd{beta[c], 0})
		}
	}
	return &diag{box: point(rank), factor: f, term: term, area: 1}, nil
}

// scale reads a Scale.
func scale(e op.Scale, channels, rank int) (*diag, error) {
	v, err := vector(e.By, channels)
	if err != nil {
		return nil, err
	}
	if e.By == nil {
		v = filled(channels, e.Factor)
	}
	return &diag{box: point(rank), factor: &factors{value: asDD(v), num: v}, area: 1}, nil
}

// shift reads a Shift.
func shift(e op.Shift, channels, rank int) (*diag, error) {
	v, err := vector(e.By, channels)
	if err != nil {
		return nil, err
	}
	if e.By == nil {
		v = filled(channels, e.Term)
	}
	return &diag{box: point(rank), term: asDD(v), area: 1}, nil
}
