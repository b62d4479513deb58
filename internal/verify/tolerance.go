package verify

import (
	"errors"
	"fmt"
	"math"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// limit is what is tolerated in one output channel. With R·Σ|w| + |b| over the
// stored elements as M, and the magnitude of all terms of the branches as A,
//
//	rounding    u·M       every stored element is within half an ulp of its value
//	arithmetic  γₙ·A      that value was computed in the element type, by any program
//	slack       γ·(A+M)   the two float64 runs that are compared, and 2⁻¹⁰⁷⁴ for each product
//
// where n counts the roundings of a fused element (op.FusingRoundings) and slack has
// the longest chain of a run. float32 is slack for float32 runs.
type limit struct {
	rounding, arithmetic, slack, float32 float64
	terms                                float64
	// Where requested is set, atol + rtol·|b| takes the place of all that.
	requested  bool
	atol, rtol float64
}

// own covers the roundings of computing the limits themselves: sums of at most 2³²
// terms, each of which errs by less than 2⁻⁵³ of the sum.
const own = 1 + 0x1p-20

func (l limit) derived() float64 { return (l.rounding + l.arithmetic + l.slack) * own }

// at is the tolerance where the branches' output is b.
func (l limit) at(b float64) float64 {
	if l.requested {
		return l.atol + l.rtol*math.Abs(b)
	}
	return l.derived()
}

// limits works out the tolerance of every channel. A stored element that is no finite
// number is a finding.
func (c *comparison) limits() (*Finding, error) {
	f, t := c.out.Form, c.stored.Weight.Type
	kernel, bias, err := op.FusingRoundings(c.out.Expr, f)
	if err != nil {
		return nil, err
	}
	c.count = op.Roundings{Steps: max(kernel.Steps, bias.Steps), Sums: max(kernel.Sums, bias.Sums)}
	image := magnitude{of: make([]float64, f.In)}
	for i := range image.of {
		image.of[i] = c.Range
	}
	terms, err := c.magnitude(c.out.Expr, image, f.Rank())
	if err != nil {
		return nil, err
	}
	stored, err := c.magnitude(c.stored, image, f.Rank())
	var bad *notFinite
	if errors.As(err, &bad) {
		return &Finding{Kind: Value, Key: bad.key, Index: bad.index, Got: fmt.Sprint(bad.value), Want: "a finite number"}, nil
	} else if err != nil {
		return nil, err
	}
	c.chain = terms.chain.or(stored.chain)
	c.limit = make([]limit, f.Out)
	γ, u := c.count.Gamma(t), tensor.Ulp(1, t)/2
	// Below the smallest normal half an ulp no longer shrinks with the element.
	least := tensor.Ulp(0, t) / 2 * (c.Range*float64(f.In/f.Groups*f.Taps()) + 1)
	// A product that ends where float64 does errs by that much, whatever its size.
	cost, _ := costOf(c.out.Expr, f)
	under := math.SmallestNonzeroFloat64 * float64(cost.MultiplyAdds+int64(f.In/f.Groups*f.Taps()))
	for o := range c.limit {
		a, m := finite(terms.of[o]), finite(stored.of[o])
		c.limit[o] = limit{
			rounding: u*m + least, arithmetic: finite(γ * a), terms: a,
			slack:   finite(gamma(terms.chain.wide, tensor.F64)*a + gamma(stored.chain.wide, tensor.F64)*m + under),
			float32: finite(gamma(terms.chain.narrow, tensor.F32)*a + gamma(stored.chain.narrow, tensor.F32)*m),
		}
	}
	c.request(t)
	return nil, nil
}

// gamma is γₙ for n roundings in t, a number where nothing can be said.
func gamma(n int, t tensor.Type) float64 { return finite(op.Roundings{Steps: n}.Gamma(t)) }

// closeness is the rtol and atol of torch.testing.assert_close for an element type.
var closeness = map[tensor.Type][2]float64{
	tensor.F16:  {1e-3, 1e-5},
	tensor.BF16: {1.6e-2, 1e-5},
	tensor.F32:  {1.3e-6, 1e-5},
	tensor.F64:  {1e-7, 1e-7},
}

// request puts the tolerance that the user asked for in the place of the derived one.
func (c *comparison) request(t tensor.Type) {
	if c.Atol == nil && c.Rtol == nil {
		return
	}
	rtol, atol := closeness[t][0], closeness[t][1]
	if c.Atol != nil {
		atol = *c.Atol
	}
	if c.Rtol != nil {
		rtol = *c.Rtol
	}
	for o := range c.limit {
		c.limit[o].requested, c.limit[o].atol, c.limit[o].rtol = true, atol, rtol
	}
}

// tolerance is the one that holds at a place.
func (c *comparison) tolerance(p Place) Tolerance {
	l := c.limit[p.Channel]
	t := Tolerance{Rule: Derived, Value: finite(l.at(p.Branches)), Rounding: l.rounding, Arithmetic: l.arithmetic,
		Roundings: c.count, Terms: l.terms, Slack: l.slack}
	if l.requested {
		t.Rule, t.Atol, t.Rtol = Requested, l.atol, l.rtol
	}
	return t
}
