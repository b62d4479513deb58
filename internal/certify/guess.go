package certify

import (
	"fmt"
	"math"
	"slices"

	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// usual is the ε of the frameworks and projects whose checkpoints there are: PyTorch
// and Paddle; TensorFlow, and detectors of the YOLO line; VanillaNet and some others.
var usual = []float64{1e-5, 1e-3, 1e-6}

// epsilons works out, for each ε in e, what each other usual one would change at worst:
// the relative change of γ/√(σ²+ε) is |√((σ²+ε)/(σ²+ε′)) − 1|.
func epsilons(e op.Expr) ([]Epsilon, error) {
	var list []Epsilon
	var failed error
	op.Walk(e, func(e op.Expr) {
		b, ok := e.(op.BatchNorm)
		if !ok || failed != nil {
			return
		}
		variance, err := b.Var.Floats()
		if err != nil {
			failed = fmt.Errorf("%s: %w", b.Var.Key, err)
			return
		}
		for _, other := range usual {
			if other != b.Eps {
				list = append(list, epsilon(b, variance, other))
			}
		}
	})
	return costliest(list, Epsilon.pair, Epsilon.change), failed
}

func (e Epsilon) pair() [2]float64 { return [2]float64{e.Used, e.Other} }
func (e Epsilon) change() float64  { return e.Change }

func epsilon(b op.BatchNorm, variance []float64, other float64) Epsilon {
	e := Epsilon{Used: b.Eps, Other: other, Key: b.Var.Key}
	for c, v := range variance {
		if change := math.Abs(math.Sqrt((v+b.Eps)/(v+other)) - 1); change > e.Change {
			e.Change, e.Channel = finite(change), c
		}
	}
	return e
}

// Guesses is, of each kind of assumption in all blocks, what it would cost most if it were wrong.
func (r *Report) Guesses() ([]Epsilon, []Identity) {
	var eps []Epsilon
	var ids []Identity
	for _, b := range r.Blocks {
		eps, ids = append(eps, b.Epsilons...), append(ids, b.Identities...)
	}
	return costliest(eps, Epsilon.pair, Epsilon.change),
		costliest(ids, func(i Identity) string { return i.Name + " " + i.Value }, func(i Identity) float64 { return i.Change })
}

// costliest is the item of each kind that changes most, kinds in the order in which
// they come.
func costliest[T any, K comparable](all []T, kind func(T) K, change func(T) float64) []T {
	var most []T
	place := map[K]int{}
	for _, item := range all {
		k, seen := place[kind(item)]
		switch {
		case !seen:
			place[kind(item)] = len(most)
			most = append(most, item)
		case change(item) > change(most[k]):
			most[k] = item
		}
	}
	return most
}

// identity is what families call the question whether a block adds its own input.
const identity = "identity"

// identities works out what the other answer would change, for each question of the
// block about a branch that is the input itself.
func (c *certificate) identities(of *plan.Block) ([]Identity, error) {
	var list []Identity
	for _, a := range of.Answers {
		if a.Name != identity || c.out.Form.In != c.out.Form.Out || c.out.Form.Transposed {
			continue
		}
		scale, err := behind(c.out.Expr, c.out.Form.Out)
		if err != nil || scale == nil {
			return nil, err
		}
		id := Identity{Name: a.Name, Value: a.Value, By: a.By}
		for o, s := range scale {
			if change := finite(c.Range * math.Abs(s)); change > id.Change {
				id.Change, id.Channel = change, o
			}
		}
		if id.Output, err = c.largest(id.Channel); err != nil {
			return nil, err
		}
		list = append(list, id)
	}
	return list, nil
}

// behind is what each channel of the block's sum of branches is scaled by on its way
// out, or nil where something else than a scale stands behind it.
func behind(e op.Expr, channels int) ([]float64, error) {
	scale := slices.Repeat([]float64{1}, channels)
	s, _ := e.(op.Seq)
	var after op.Seq // the last sum
	for k, p := range s {
		if _, ok := p.(op.Sum); ok {
			after = s[k+1:]
		}
	}
	for _, p := range after {
		if ok, err := through(p, scale); err != nil || !ok {
			return nil, err
		}
	}
	return scale, nil
}

// through multiplies scale by what e scales by, where that is all that it does.
func through(e op.Expr, scale []float64) (bool, error) {
	times := func(p *op.Param, of func(v float64) float64) error {
		if p == nil {
			return nil
		}
		v, err := p.Floats()
		if err != nil {
			return fmt.Errorf("%s: %w", p.Key, err)
		}
		for o := range scale {
			scale[o] *= of(v[min(o, len(v)-1)])
		}
		return nil
	}
	itself := func(v float64) float64 { return v }
	switch e := e.(type) {
	case op.BatchNorm:
		if err := times(e.Gamma, itself); err != nil {
			return false, err
		}
		return true, times(e.Var, func(v float64) float64 { return 1 / math.Sqrt(v+e.Eps) })
	case op.Scale:
		if e.By == nil {
			for o := range scale {
				scale[o] *= e.Factor
			}
		}
		return true, times(e.By, itself)
	case op.Identity:
		return e.Padding == nil && e.Stride == nil, nil
	case op.Shift:
		return true, nil
	default:
		return false, nil
	}
}

// largest is R·Σ|W| + |b| of one output channel as stored: the most that it can be.
func (c *certificate) largest(o int) (float64, error) {
	total := 0.0
	for _, t := range []struct {
		tensor.Named
		times float64
	}{{tensor.Named{Key: c.out.Weight, Tensor: c.weight}, c.Range}, {tensor.Named{Key: c.out.Bias, Tensor: c.bias}, 1}} {
		if t.Key == "" {
			continue
		}
		row, err := t.Slice(o, o+1)
		if err != nil {
			return 0, err
		}
		v, err := row.Floats()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", t.Key, err)
		}
		sum := 0.0
		for _, x := range v {
			sum += math.Abs(x)
		}
		total += sum * t.times
	}
	return finite(total), nil
}
