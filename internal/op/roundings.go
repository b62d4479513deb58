package op

import (
	"math"

	"repfuse/internal/tensor"
)

// Roundings is how often a term of a fused element is rounded, at most, on its way
// through an ordinary program that merges the branches of a block step by step: the
// n of the forward error bound γₙ·Σ|terms| (Higham, "Accuracy and stability of
// numerical algorithms", §3.1).
type Roundings struct {
	// Steps is the operations on whole kernels and vectors, each of which leaves its
	// result in the element type: the few of a batch norm's scale, products, branches
	// added up.
	Steps int `json:"steps"`
	// Sums is the additions within sums of products, which libraries accumulate in
	// float32 or wider whatever the element type is.
	Sums int `json:"sums"`
}

// Gamma is γₙ = n·u/(1−n·u) for a program whose element type is t; where n·u
// reaches 1 nothing can be said, and it is infinite.
func (r Roundings) Gamma(t tensor.Type) float64 {
	u := tensor.Ulp(1, t) / 2
	nu := float64(r.Steps)*u + float64(r.Sums)*min(u, tensor.Ulp(1, tensor.F32)/2)
	if nu >= 1 {
		return math.Inf(1)
	}
	return nu / (1 - nu)
}

func (r Roundings) plus(s Roundings) Roundings { return Roundings{r.Steps + s.Steps, r.Sums + s.Sums} }

// most is the larger of each.
func (r Roundings) most(s Roundings) Roundings {
	return Roundings{max(r.Steps, s.Steps), max(r.Sums, s.Sums)}
}

// FusingRoundings counts the roundings of the fused kernel and of the fused bias of
// an expression that Check finds to have the form f.
func FusingRoundings(e Expr, f Form) (kernel, bias Roundings, err error) {
	c, err := Fold(counter{}, e, f.In, f.Rank())
	return c.kernel, c.bias, err
}

// counted is a form with the roundings of its kernel and its bias. unit marks a
// kernel that only copies, so that a product with it costs nothing.
type counted struct {
	Form
	kernel, bias Roundings
	unit         bool
}

// scaleSteps is what γ/√(σ²+ε) takes: ε in the element type, the sum, the root, its
// inverse and the product. biasSteps is β − μ·s after that.
const (
	scaleSteps = 5
	biasSteps  = scaleSteps + 2
	poolSteps  = 1 // 1/k²
)

type counter struct{}

// computing is the roundings of a tensor that is no stored one.
func computing(p *Param) Roundings {
	if p == nil || p.Computed == nil {
		return Roundings{}
	}
	return Roundings{p.Computed.Steps, p.Computed.Sums}
}

func (counter) Conv(c Conv, f Form) (counted, error) {
	return counted{Form: f, kernel: computing(&c.Weight)}, nil
}
func (counter) Scale(s Scale, f Form) (counted, error) {
	return counted{Form: f, kernel: computing(s.By)}, nil
}
func (counter) Shift(_ Shift, f Form) (counted, error) { return counted{Form: f, unit: true}, nil }
func (counter) Identity(_ Identity, f Form) (counted, error) {
	return counted{Form: f, unit: true}, nil
}
func (counter) Select(_ Select, f Form) (counted, error) { return counted{Form: f, unit: true}, nil }

func (counter) BatchNorm(_ BatchNorm, f Form) (counted, error) {
	return counted{Form: f, kernel: Roundings{Steps: scaleSteps}, bias: Roundings{Steps: biasSteps}}, nil
}

func (counter) AvgPool(_ AvgPool, f Form) (counted, error) {
	return counted{Form: f, kernel: Roundings{Steps: poolSteps}}, nil
}

func (counter) Seq(parts []counted) (counted, error) {
	all := parts[0]
	for _, n := range parts[1:] {
		all = all.then(n)
	}
	return all, nil
}

// Sum adds the parts up.
func (counter) Sum(parts []counted) (counted, error) {
	all, biased := besides(parts), 0
	for _, n := range parts {
		if n.Form.Bias {
			biased++
		}
	}
	all.kernel.Steps += len(parts) - 1
	all.bias.Steps += max(biased-1, 0)
	return all, nil
}

func (counter) Concat(parts []counted) (counted, error) {
	all, each := besides(parts), make([]Form, len(parts))
	for k, n := range parts {
		each[k] = n.Form
	}
	var err error
	all.Form, err = stacked(all.Form, each)
	return all, err
}

// besides is the most of each for branches.
func besides(parts []counted) counted {
	all := parts[0]
	for _, n := range parts[1:] {
		all = counted{Form: beside(all.Form, n.Form), kernel: all.kernel.most(n.kernel), bias: all.bias.most(n.bias)}
	}
	return all
}

// then is the count of g applied to what f gives: an element of the product of two
// kernels is a sum over the channels between them that both touch, and over the
// pairs of taps that fall on it.
func (f counted) then(g counted) counted {
	h := counted{Form: after(f.Form, g.Form), unit: f.unit && g.unit, kernel: f.kernel.plus(g.kernel)}
	if !f.unit && !g.unit {
		terms := min(g.In/g.Groups, f.Out/f.Groups) * min(f.Taps(), g.Taps())
		h.kernel = h.kernel.plus(Roundings{1, terms - 1})
	}
	h.bias = g.bias
	if f.Form.Bias {
		h.bias = f.bias.plus(g.kernel)
		if !g.unit {
			h.bias = h.bias.plus(Roundings{1, g.In/g.Groups*g.Taps() - 1})
		}
		if g.Form.Bias {
			h.bias = h.bias.most(g.bias).plus(Roundings{Steps: 1})
		}
	}
	return h
}
