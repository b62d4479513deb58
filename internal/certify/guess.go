package certify

import (
	"fmt"
	"math"

	"repfuse/internal/op"
	"repfuse/internal/plan"
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
				list = costlier(list, epsilon(b, variance, other))
			}
		}
	})
	return list, failed
}

func epsilon(b op.BatchNorm, variance []float64, other float64) Epsilon {
	e := Epsilon{Used: b.Eps, Other: other, Key: b.Var.Key}
	for c, v := range variance {
		if change := math.Abs(math.Sqrt((v+b.Eps)/(v+other)) - 1); change > e.Change {
			e.Change, e.Channel = finite(change), c
		}
	}
	return e
}

// costlier adds e to a list that holds the worst for each pair of ε.
func costlier(list []Epsilon, e Epsilon) []Epsilon {
	for k, old := range list {
		if old.Used == e.Used && old.Other == e.Other {
			if e.Change > old.Change {
				list[k] = e
			}
			return list
		}
	}
	return append(list, e)
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
	scale := make([]float64, channels)
	for o := range scale {
		scale[o] = 1
	}
	s, ok := e.(op.Seq)
	if !ok {
		return scale, nil
	}
	branches := -1
	for k, p := range s {
		if _, ok := p.(op.Sum); ok {
			branches = k
		}
	}
	if branches < 0 {
		return scale, nil
	}
	for _, p := range s[branches+1:] {
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
	row, err := c.weight.Slice(o, o+1)
	if err != nil {
		return 0, err
	}
	w, err := row.Floats()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", c.out.Weight, err)
	}
	sum := 0.0
	for _, v := range w {
		sum += math.Abs(v)
	}
	sum *= c.Range
	if c.out.Bias != "" {
		one, err := c.bias.Slice(o, o+1)
		if err != nil {
			return 0, err
		}
		b, err := one.Floats()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", c.out.Bias, err)
		}
		sum += math.Abs(b[0])
	}
	return finite(sum), nil
}
