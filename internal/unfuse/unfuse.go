// Package unfuse finds values of a trainable block's tensors by which the block computes a
// given convolution, bit for bit once it is fused.
//
// One branch takes the kernel as it is, the last operator behind it that adds a constant takes the bias.
// What stands before and behind is made to pass its input on, and every other branch ends in a factor of zero,
// so that training can bring it back. Tensors that this does not need stay as they are in the model that the block
// is taken from.
package unfuse

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// Values gives the tensors of a plan's blocks that change, by the keys that blocks read. deployed finds the weights
// and biases of the blocks' outputs, which have the shapes that the plan gives them.
func Values(p *plan.Plan, deployed func(key string) tensor.Tensor) (map[string]tensor.Tensor, error) {
	s := &solver{set: map[string]tensor.Tensor{}, units: map[norm]unit{}}
	err := p.EachOutput(nil, func(b *plan.Block, o *plan.Output) error {
		s.form, s.kernel = o.Form, deployed(o.Weight)
		var w want
		var err error
		if o.Bias != "" {
			w.bias, err = deployed(o.Bias).Floats()
		}
		if err == nil {
			err = s.place(o.Expr, channels{in: o.Form.In}, w)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", b.Family, err)
		}
		return nil
	})
	return s.set, err
}

// solver makes expressions compute what is wanted by setting tensors that they read.
type solver struct {
	form   op.Form       // of the output at hand
	kernel tensor.Tensor // and its kernel
	set    map[string]tensor.Tensor
	// tight has batch norms pass their input on so nearly that it can be taken away from itself.
	tight bool
	units map[norm]unit
}

// want is what an expression is to compute beside the kernel: bias is added, nil being none, and less times the input
// taken away.
type want struct {
	bias []float64
	less float64
}

// channels is how many come into an operator, and from which on they are what it is to pass on.
type channels struct{ in, from int }

// refusal is why something cannot be. Of several ways that fail, the reason that weighs most is told.
type refusal struct {
	weight int
	text   string
}

// noKernel is the least that can be said of a block.
const noKernel = "no kernel of it can hold another"

func (r refusal) Error() string { return r.text }

func refuse(weight int, format string, args ...any) error {
	return refusal{weight, fmt.Sprintf(format, args...)}
}

// computed is the refusal of a tensor that a generator makes.
func computed(p op.Param) error {
	name, _, _ := strings.Cut(p.Key, "(")
	return refuse(1, "%s(…) computes what would have to be set, and is not inverted", name)
}

// first is the first of n ways that succeeds, with nothing set by those before.
func (s *solver) first(n int, try func(k int) error) error {
	worst := refusal{0, noKernel}
	for k := range n {
		before := *s
		before.set = maps.Clone(s.set)
		err := try(k)
		if err == nil {
			return nil
		}
		*s = before
		r, ok := err.(refusal)
		if !ok {
			return err
		}
		if r.weight > worst.weight {
			worst = r
		}
	}
	return worst
}

// put sets a stored tensor. What stands in two places has one value.
func (s *solver) put(p op.Param, t tensor.Tensor) error {
	if p.Computed != nil {
		return computed(p)
	}
	if before, twice := s.set[p.Key]; twice {
		a, err := before.ReadAll()
		if err != nil {
			return err
		}
		b, err := t.ReadAll()
		if err != nil {
			return err
		}
		if !bytes.Equal(a, b) {
			return refuse(2, "%s is read in two places, which want two values of it", p.Key)
		}
	}
	s.set[p.Key] = t
	return nil
}

// made is a tensor whose elements are made when it is opened.
func made(p op.Param, values func() []float64) tensor.Tensor {
	return tensor.Tensor{Type: p.Type, Shape: p.Shape, Open: func() (tensor.Data, error) {
		return tensor.Of(p.Type, p.Shape, values()).Open()
	}}
}

// fill sets all of a tensor to one number.
func (s *solver) fill(p op.Param, v float64) error {
	return s.put(p, made(p, func() []float64 { return slices.Repeat([]float64{v}, p.Len()) }))
}

// constant sets what adds a bias, which may have more channels than it; p is nil where nothing does.
func (s *solver) constant(p *op.Param, bias []float64) error {
	switch {
	case p != nil && bias == nil:
		return s.fill(*p, 0)
	case p != nil && len(bias) > p.Len():
		return refuse(2, "%s has %d elements, want %d for the bias", p.Key, p.Len(), len(bias))
	case p != nil:
		values := append(slices.Clone(bias), make([]float64, p.Len()-len(bias))...)
		t := tensor.Of(p.Type, p.Shape, values)
		held, err := t.Floats()
		if err != nil || !slices.EqualFunc(held, values, func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }) {
			return refuse(2, "%s is %s, which does not hold the bias", p.Key, p.Type)
		}
		return s.put(*p, t)
	case slices.ContainsFunc(bias, func(v float64) bool { return v != 0 }):
		return refuse(2, "nothing behind its kernel adds a bias")
	}
	return nil
}
