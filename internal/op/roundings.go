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
	c, err := checker{f.Rank()}.count(e, f.In)
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

func (c checker) count(e Expr, in int) (counted, error) {
	switch e := e.(type) {
	case Seq:
		return c.countSeq(withTransposedGroups(e), in)
	case Sum:
		return c.countBeside(e, in, true)
	case Concat:
		return c.countBeside(e, in, false)
	}
	f, err := c.form(e, in)
	n := counted{Form: f}
	switch e.(type) {
	case BatchNorm:
		n.kernel.Steps, n.bias.Steps = scaleSteps, biasSteps
	case AvgPool:
		n.kernel.Steps = poolSteps
	case Identity, Window, Select, Shift:
		n.unit = true
	}
	return n, err
}

func (c checker) countSeq(e Seq, in int) (counted, error) {
	all := counted{Form: c.point(in, in, in), unit: true}
	for _, part := range e {
		n, err := c.count(part, all.Out)
		if err != nil {
			return all, err
		}
		all = all.then(n)
	}
	return all, nil
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

// countBeside is the count of a Sum, whose parts are added up, or of a Concat.
func (c checker) countBeside(parts []Expr, in int, added bool) (counted, error) {
	var all counted
	biased := 0
	for k, part := range parts {
		n, err := c.count(part, in)
		if err != nil {
			return all, err
		}
		if n.Form.Bias {
			biased++
		}
		if k == 0 {
			all = n
			continue
		}
		all = counted{kernel: all.kernel.most(n.kernel), bias: all.bias.most(n.bias)}
	}
	var err error
	if added {
		all.kernel.Steps += len(parts) - 1
		all.bias.Steps += max(biased-1, 0)
		all.Form, err = c.sum(parts, in)
	} else {
		all.Form, err = c.concat(parts, in)
	}
	all.unit = all.unit && len(parts) == 1
	return all, err
}
