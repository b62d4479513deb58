// Package unfuse finds values of a trainable block's tensors by which the block computes a
// given convolution, bit for bit once it is fused.
//
// One branch takes the kernel as it is, the last operator behind it that adds a constant takes the bias.
// What stands before and behind is made to pass its input on. Every other branch ends in a factor of zero,
// or takes a small part of the kernel. Of factors that are multiplied one at most is zero, as none would get a gradient
// if two were. Tensors, and channels, that this does not need stay as they are in the model that the block is taken from.
//
// Blocks that no kernel whatever can be given to may be given some, such as those that they came to themselves. Then
// Values gives what may do, and the caller compares.
package unfuse

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// Values gives the tensors of a plan's blocks that change, by the keys that blocks read. deployed finds the weights
// and biases of the blocks' outputs, which have the shapes that the plan gives them. small is how much of each element
// of a kernel the other branches have together, 0 to ½.
func Values(p *plan.Plan, deployed func(key string) tensor.Tensor, small float64) (map[string]tensor.Tensor, error) {
	return values(p, deployed, small, 2)
}

// values is Values with the first of two ways to go about a block, or both: by what gives every kernel back, or some.
func values(p *plan.Plan, deployed func(key string) tensor.Tensor, small float64, ways int) (map[string]tensor.Tensor, error) {
	s := &solver{set: map[string]tensor.Tensor{}, units: map[norm]unit{}, small: small}
	err := p.EachOutput(nil, func(b *plan.Block, o *plan.Output) error {
		w := want{kernel: deployed(o.Weight), form: o.Form}
		s.typ, s.rank = w.kernel.Type, w.form.Rank()
		s.changes = nil
		var err error
		if o.Bias != "" {
			w.bias, err = deployed(o.Bias).Floats()
		}
		if err == nil {
			err = s.first(ways, func(k int) error {
				s.some = k == 1
				return s.place(o.Expr, channels{in: o.Form.In}, w)
			})
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
	typ  tensor.Type // of the kernel at hand
	rank int
	set  map[string]tensor.Tensor
	// changes of set for the output at hand, the last one last.
	changes []change
	// tight has batch norms pass their input on so nearly that it can be taken away from itself.
	tight bool
	// some allows ways by which some kernels come back and others do not.
	some  bool
	small float64
	parts uint64 // that were cut off kernels
	units map[norm]unit
}

// change is what stood under a key of set before, nil being nothing.
type change struct {
	key    string
	before *tensor.Tensor
}

// assign sets a tensor, until first takes it back.
func (s *solver) assign(key string, t tensor.Tensor) {
	c := change{key: key}
	if before, ok := s.set[key]; ok {
		c.before = &before
	}
	s.changes = append(s.changes, c)
	s.set[key] = t
}

// want is what an expression is to compute: a kernel of a form, with a bias added, nil being none, and less times the
// input taken away.
type want struct {
	kernel tensor.Tensor
	form   op.Form
	bias   []float64
	less   float64
	// spare, if it is not nil, is set by who takes the input away in channels beyond those of the form.
	spare *bool
}

// channels is how many come into an operator, and from which on they are what it is to pass on. Where bare, those
// beyond are to be zero. If less is not 0, the channels that many further on are to be subtracted.
type channels struct {
	in, from int
	bare     bool
	less     int
}

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

// first is the first of n ways that succeeds, with nothing set by those before.
func (s *solver) first(n int, try func(k int) error) error {
	worst, before := refusal{0, noKernel}, *s
	for k := range n {
		err := try(k)
		if err == nil {
			return nil
		}
		for _, c := range slices.Backward(s.changes[len(before.changes):]) {
			if c.before == nil {
				delete(s.set, c.key)
			} else {
				s.set[c.key] = *c.before
			}
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

// put sets a tensor: a stored one, or those of which it is computed. What stands in two places has one value.
func (s *solver) put(p op.Param, t tensor.Tensor) error {
	if p.Computed != nil {
		return s.putComputed(p, t)
	}
	if before, twice := s.set[p.Key]; twice {
		same, err := tensor.Equal(before, t)
		if err != nil {
			return err
		}
		if !same {
			return refuse(2, "%s is read in two places, which want two values of it", p.Key)
		}
	}
	s.assign(p.Key, t)
	return nil
}

// putComputed sets the tensors of which one is computed.
func (s *solver) putComputed(p op.Param, t tensor.Tensor) error {
	name, _, _ := strings.Cut(p.Key, "(")
	if p.Computed.Set == nil {
		return refuse(1, "%s(…) computes what would have to be set, and is not inverted", name)
	}
	if p.Computed.Near && !s.some {
		if v, err := t.Floats(); err != nil || !nothing(v) {
			return cmp.Or(err, refuse(1, "%s(…) does not give every kernel back", name))
		}
	}
	stored, err := p.Computed.Set(t, func(q op.Param) tensor.Tensor {
		if t, ok := s.set[q.Key]; ok {
			return t
		}
		return q.Tensor
	})
	if err != nil {
		return refuse(1, "%s(…) %s", name, err)
	}
	for _, q := range stored {
		s.assign(q.Key, q.Tensor)
	}
	if len(stored) > 0 {
		return nil
	}
	is, err := p.Floats()
	if err != nil {
		return err
	}
	to, err := t.Floats()
	if err == nil && !slices.Equal(is, to) {
		err = refuse(1, "%s(…) has no tensor that could be set", name)
	}
	return err
}
