package repfuse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/health"
	"repfuse/internal/parallel"
	"repfuse/internal/tensor"
)

// InspectOptions say what to inspect.
type InspectOptions struct {
	Reading
	Page
	// Jobs is how many goroutines work; 0 is one for each processor.
	Jobs int
}

// Kernel is a kernel's fitness for low precision; docs/json.md lists its members under
// health.Kernel, and of a Values under health.Values.
type (
	Kernel = health.Kernel
	Values = health.Values
)

// Inspection is what is in a checkpoint.
type Inspection struct {
	// The path that was given.
	Source string `json:"source"`
	// The format of what is there.
	Format string `json:"format"`
	// State is the dict that was read of a file that holds several.
	State string `json:"state,omitempty"`
	// States is the dicts that were not read.
	States []string `json:"states,omitempty"`
	// What a .safetensors file says beside its tensors.
	Metadata map[string]string `json:"metadata,omitempty"`
	// What all tensors come to.
	Bytes int64 `json:"bytes"`
	// Faults is what is wrong with the numbers.
	Faults []Fault `json:"faults"`
	// Tensors is each tensor, in the order of the checkpoint.
	Tensors []Inspected `json:"tensors"`
	// Kernels is those of several elements a row, by fitness for int8, the worst first.
	Kernels []*Kernel `json:"kernels"`
	// Notes is what is worth knowing.
	Notes []string `json:"notes"`
}

// Inspected is one tensor. Values is there for floating types.
type Inspected struct {
	Spec
	Values *Values `json:"values,omitempty"`
}

// Fault is a number that no network can work with.
type Fault struct {
	// The tensor that it is in.
	Key string `json:"key"`
	// Its place in the tensor, one number an axis.
	Index []int `json:"index"`
	// What is wrong with it, in words.
	Text string `json:"text"`
}

// Inspect reads every tensor of a checkpoint, fused or not, and says what is no finite
// number, which variance is negative, and what low precision would leave of its kernels.
func Inspect(ctx context.Context, path string, o InspectOptions) (*Inspection, error) {
	c, err := o.open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := o.check(c.Paths()...); err != nil {
		return nil, err
	}
	r := &Inspection{Source: path, Format: c.Format, State: c.State, States: c.States, Metadata: c.Metadata,
		Faults: []Fault{}, Notes: append([]string{}, c.Notes...), Tensors: make([]Inspected, len(c.Tensors))}
	err = parallel.Each(ctx, o.Jobs, len(c.Tensors), func() func(int) error {
		return func(k int) (err error) {
			r.Tensors[k], err = inspected(c.Tensors[k])
			return err
		}
	})
	if err != nil {
		return nil, err
	}
	var kernels []tensor.Named
	for k, t := range r.Tensors {
		r.Bytes += c.Tensors[k].Bytes()
		f, bad := t.fault()
		switch {
		case bad:
			r.Faults = append(r.Faults, f)
		case !isKernel(c.Tensors[k].Tensor):
		case t.Values.Largest() > 1e150:
			r.Notes = append(r.Notes, fmt.Sprintf("%s: elements up to %g, whose squares are too large to be measured", t.Key, t.Values.Largest()))
		default:
			kernels = append(kernels, c.Tensors[k])
		}
	}
	r.Kernels, err = health.Measure(ctx, kernels, o.Jobs)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(r.Kernels, health.Compare)
	return r, o.writePage(ctx, r, c)
}

// inspected reads a tensor, where it is of a floating type.
func inspected(t tensor.Named) (Inspected, error) {
	i := Inspected{Spec: specOf(t.Spec())}
	if !t.Type.IsFloat() {
		return i, nil
	}
	v, err := health.Scan(t.Tensor)
	i.Values = &v
	if err != nil {
		err = fmt.Errorf("%s: %w", t.Key, err)
	}
	return i, err
}

// variances is what the running variance of a batch norm is called: PyTorch, Paddle,
// TensorFlow.
var variances = []string{"running_var", "_variance", "moving_variance"}

// fault says what is wrong with the numbers of a tensor.
func (t Inspected) fault() (Fault, bool) {
	v := t.Values
	isVariance := slices.ContainsFunc(variances, func(s string) bool { return strings.HasSuffix(t.Key, s) })
	switch {
	case v == nil:
		return Fault{}, false
	case !v.Finite():
		text := fmt.Sprintf("%d NaN and %d infinite among %d elements, want finite numbers", v.NaN, v.Infinite, v.Elements)
		return Fault{t.Key, v.First, text}, true
	case isVariance && v.Min < 0:
		return Fault{t.Key, v.MinAt, fmt.Sprintf("is %g, want a variance of at least 0", v.Min)}, true
	}
	return Fault{}, false
}

// isKernel reports whether a tensor has rows of several elements each.
func isKernel(t tensor.Tensor) bool {
	return t.Type.IsFloat() && len(t.Shape) > 1 && t.Shape[0] > 0 && t.Len() > t.Shape[0]
}
