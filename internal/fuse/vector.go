package fuse

import (
	"fmt"
	"math"

	"repfuse/internal/exact"
	"repfuse/internal/op"
)

// vector reads a parameter of n elements, or of one that stands for all n.
func vector(p *op.Param, n int) ([]float64, error) {
	if p == nil {
		return nil, nil
	}
	if !p.Type.IsFloat() {
		return nil, fmt.Errorf("%s: element type %s, want a floating one", p.Key, p.Type)
	}
	v := make([]float64, n)
	own := v[:p.Len()]
	if err := p.ReadFloats(own); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Key, err)
	}
	for i, x := range own {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, notFinite(p.Key, i, x)
		}
	}
	if len(own) < n {
		fill(v, own[0])
	}
	return v, nil
}

// vectorOr is vector, and x for every channel where there is no parameter.
func vectorOr(p *op.Param, n int, x float64) ([]float64, error) {
	if p != nil {
		return vector(p, n)
	}
	v := make([]float64, n)
	fill(v, x)
	return v, nil
}

func fill(v []float64, x float64) {
	for i := range v {
		v[i] = x
	}
}

// batchNorm reads the statistics: s = γ/√(σ²+ε) and t = β − μ·s.
func batchNorm(b op.BatchNorm, channels int) (*exact.Factors, *exact.Terms, error) {
	var all [4][]float64
	for k, p := range []*op.Param{b.Gamma, b.Var, b.Beta, b.Mean} {
		var err error
		if all[k], err = vector(p, channels); err != nil {
			return nil, nil, err
		}
	}
	gamma, vari, beta, mean := all[0], all[1], all[2], all[3]
	for c, v := range vari {
		if v < 0 {
			return nil, nil, fmt.Errorf("%s[%d] is %g, want a variance of at least 0", b.Var.Key, c, v)
		}
		if v+b.Eps <= 0 {
			return nil, nil, fmt.Errorf("%s[%d] is %g and ε %g, want a sum above 0", b.Var.Key, c, v, b.Eps)
		}
	}
	f := exact.Norm(gamma, vari, b.Eps)
	return f, f.Terms(beta, mean), nil
}
