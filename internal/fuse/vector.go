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

// store is the memory of an expression's vectors, for the next expression when that is
// freed.
type store struct {
	floats stack[float64]
	pairs  stack[dd]
	spread []float64 // a constant, as the taps of a kernel meet it
}

// free takes back all vectors.
func (m *store) free() { m.floats.top, m.pairs.top = top{}, top{} }

// vector reads a parameter of n elements, or of one that stands for all n.
func (m *store) vector(p *op.Param, n int) ([]float64, error) {
	if p == nil {
		return nil, nil
	}
	if !p.Type.IsFloat() {
		return nil, fmt.Errorf("%s: element type %s, want a floating one", p.Key, p.Type)
	}
	v := m.floats.alloc(n)
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

// filled is a vector of one number.
func (m *store) filled(n int, x float64) []float64 {
	v := m.floats.alloc(n)
	fill(v, x)
	return v
}

func fill(v []float64, x float64) {
	for i := range v {
		v[i] = x
	}
}

func notFinite(key string, i int, x float64) error {
	return fmt.Errorf("%s[%d] is %g, want a finite number", key, i, x)
}

func (m *store) asDD(v []float64) []dd {
	if v == nil {
		return nil
	}
	d := m.pairs.alloc(len(v))
	for i, x := range v {
		d[i] = dd{x, 0}
	}
	return d
}

// batchNorm reads the statistics: s = γ/√(σ²+ε) and t = β − μ·s.
func (m *store) batchNorm(b op.BatchNorm, channels, rank int) (*diag, error) {
	var all [4][]float64
	var kept top
	for k, p := range []*op.Param{b.Gamma, b.Var, b.Beta, b.Mean} {
		v, err := m.vector(p, channels)
		if err != nil {
			return nil, err
		}
		if all[k] = v; k == 1 {
			kept = m.floats.top
		}
	}
	m.floats.top = kept
	gamma, vari, beta, mean := all[0], all[1], all[2], all[3]
	f := &factors{value: m.pairs.alloc(channels), num: gamma, vari: vari, eps: b.Eps}
	term := m.pairs.alloc(channels)
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
func (m *store) scale(e op.Scale, channels, rank int) (*diag, error) {
	v, err := m.vector(e.By, channels)
	if err != nil {
		return nil, err
	}
	if e.By == nil {
		v = m.filled(channels, e.Factor)
	}
	return &diag{box: point(rank), factor: &factors{value: m.asDD(v), num: v}, area: 1}, nil
}

// shift reads a Shift.
func (m *store) shift(e op.Shift, channels, rank int) (*diag, error) {
	v, err := m.vector(e.By, channels)
	if err != nil {
		return nil, err
	}
	if e.By == nil {
		v = m.filled(channels, e.Term)
	}
	return &diag{box: point(rank), term: m.asDD(v), area: 1}, nil
}
