package repfuse

import (
	"context"

	"repfuse/internal/checkpoint"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// ConvertOptions say how a checkpoint is read and written.
type ConvertOptions struct {
	Reading
	Destination
	Work
	// DType is the element type of each floating tensor: float16, bfloat16, float32 or
	// float64; "" leaves it as it came.
	DType string
}

// Converted is what was done.
type Converted struct {
	// The two paths.
	Source string `json:"source"`
	Output string `json:"output"`
	// How many tensors were written, and what they come to.
	Tensors int    `json:"tensors"`
	Bytes   int64  `json:"bytes"`
	Notes   []Note `json:"notes"`
}

// Convert writes the tensors of src to dst as they are, in their order, in the format of
// dst. Where DType asks for another element type, each element is rounded once.
func Convert(ctx context.Context, src, dst string, o ConvertOptions) (*Converted, error) {
	to, err := parseDType(o.DType)
	if err != nil {
		return nil, err
	}
	c, err := o.open(ctx, src)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	r := &Converted{Source: src, Output: dst, Tensors: len(c.Tensors), Notes: notesOf(c)}
	w := writing{Destination: o.Destination, Work: o.Work, items: asTheyAre(c, to)}
	for _, it := range w.items {
		r.Bytes += it.Bytes()
	}
	if err := w.run(ctx, c, dst); err != nil {
		return nil, err
	}
	return r, nil
}

// asTheyAre is every tensor of a checkpoint, kept.
func asTheyAre(c *checkpoint.Checkpoint, to tensor.Type) []plan.Item {
	items := make([]plan.Item, len(c.Tensors))
	for k := range c.Tensors {
		t := &c.Tensors[k]
		items[k] = plan.Item{Spec: t.Spec(), Kept: t, Block: -1}
		if to != tensor.Invalid && t.Type.IsFloat() {
			items[k].Type = to
		}
	}
	return items
}
