package certify

import (
	"context"
	"fmt"
	"math"

	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// Witness is an input on which the two forms differ by as much as they can.
type Witness struct {
	// Input is the image, [1, C, extents…]; its elements are ±R.
	Input tensor.Tensor
	// Channel and Position are where in the output, at stride 1 and with the padding that
	// the fused convolution needs, Difference is attained.
	Channel    int     `json:"channel"`
	Position   []int   `json:"position"`
	Difference float64 `json:"difference"`
}

// FindWitness makes the input on which the convolution stored under the key weight
// differs most from its branches: R·sign(ΔW)·sign(Δb) where the channel of the block's
// bound looks, and zero elsewhere. It must have been certified by Run.
func FindWitness(ctx context.Context, p *plan.Plan, dst []tensor.Named, weight string, o Options) (*Witness, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &run{Options: o, ctx: ctx, stored: tensor.ByKey(dst)}
	for k := range p.Blocks {
		for j := range p.Blocks[k].Outputs {
			out := &p.Blocks[k].Outputs[j]
			if out.Weight != weight {
				continue
			}
			b, err := r.certify(&p.Blocks[k], out)
			if err == nil && b.Skipped != "" {
				err = fmt.Errorf("nothing to be a witness of: %s", b.Skipped)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", weight, err)
			}
			return r.witness(out, b.Bound)
		}
	}
	return nil, fmt.Errorf("%s: no block of the plan makes it", weight)
}

func (r *run) witness(out *plan.Output, b Bound) (*Witness, error) {
	c, err := r.open(out)
	if err != nil {
		return nil, err
	}
	f := out.Form
	size := make([]int, f.Rank())
	w := &Witness{Channel: b.Channel, Difference: b.Value, Position: make([]int, f.Rank())}
	for a := range size {
		size[a] = f.Span(a)
		if w.Position[a] = max(-f.Lo[a], 0); f.Transposed {
			w.Position[a] = f.Hi[a]
		}
	}
	x := make([]float64, f.In*tensor.Elems(size))
	sign, err := c.biasSign(b.Channel)
	if err != nil {
		return nil, err
	}
	err = c.differences(b.Channel, func(i, tap int, dw float64) {
		if dw != 0 {
			x[i*tensor.Elems(size)+place(f, size, tap)] = math.Copysign(c.Range, dw*sign)
		}
	})
	typ := tensor.F32
	if float64(float32(c.Range)) != c.Range {
		typ = tensor.F64
	}
	w.Input = tensor.Of(typ, append([]int{1, f.In}, size...), x)
	return w, err
}

// place is the element of an image that is as large as the kernel reaches which a tap
// meets; a transposed kernel meets it from behind.
func place(f op.Form, size []int, tap int) int {
	at := 0
	for a, k := range tensor.Place(tap, f.Kernel()) {
		if k *= f.Dilation()[a]; f.Transposed {
			k = size[a] - 1 - k
		}
		at = at*size[a] + k + max(f.Lo[a], 0)
	}
	return at
}

// biasSign is the sign of Δb in a channel.
func (c *certificate) biasSign(o int) (float64, error) {
	if c.out.Bias == "" {
		return 1, nil
	}
	stored, err := c.bias.Floats()
	if err != nil {
		return 0, fmt.Errorf("%s: %w", c.out.Bias, err)
	}
	real, err := c.fused.Constant()
	if err != nil {
		return 0, err
	}
	return math.Copysign(1, (stored[o]-real[o].Hi)-real[o].Lo), nil
}

// differences gives visit the elements of ΔW of output channel o, by input channel of
// the whole image and tap.
func (c *certificate) differences(o int, visit func(i, tap int, dw float64)) error {
	d, err := c.weight.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", c.out.Weight, err)
	}
	defer d.Close()
	var w kernelWorker
	if err := w.begin(c, d); err != nil {
		return err
	}
	defer w.close()
	f := c.out.Form
	width, taps := f.WeightShape()[1], f.Taps()
	delta := func(k int) float64 { return (w.stored[k] - w.hi[k]) - w.lo[k] }
	if !f.Transposed {
		if err := w.read(o, o+1); err != nil {
			return err
		}
		first := o / (f.Out / f.Groups) * width
		for k := range w.stored {
			visit(first+k/taps, k%taps, delta(k))
		}
		return nil
	}
	inputs := f.In / f.Groups
	group := o / width
	for i := group * inputs; i < (group+1)*inputs; i++ {
		if err := w.read(i, i+1); err != nil {
			return err
		}
		for tap := range taps {
			visit(i, tap, delta(o%width*taps+tap))
		}
	}
	return nil
}
