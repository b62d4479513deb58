package repfuse

import (
	"cmp"
	"context"

	"repfuse/internal/hint"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

// ConvertOptions say how a checkpoint is read and written.
type ConvertOptions struct {
	Reading
	Destination
	Work
	// DType is the element types of floating tensors, as in PlanOptions.
	DType []string
	// Only and Drop are globs of keys: what fits one of Only is written, all where there is none, except
	// what fits one of Drop.
	Only, Drop []string
}

// Converted is what was done.
type Converted struct {
	// The path that was read.
	Source string `json:"source"`
	// The path that was written.
	Output string `json:"output"`
	// Whether that had been there as it would be written, so that nothing was.
	UpToDate bool `json:"up_to_date,omitempty"`
	// How many tensors were written.
	Tensors int `json:"tensors"`
	// What the written tensors come to.
	Bytes int64 `json:"bytes"`
	// What is worth knowing.
	Notes []Note `json:"notes"`
}

// Convert writes the tensors of src, or those that are asked for, to dst as they are, in their order, in the format of
// dst. Where DType asks for another element type, each element is rounded once.
func Convert(ctx context.Context, src, dst string, o ConvertOptions) (*Converted, error) {
	to, err := parseTypes(o.DType)
	if err != nil {
		return nil, err
	}
	c, err := o.open(ctx, src)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	chosen, err := recognise.Asked(c.Tensors, plan.Selection{Only: o.Only, Without: o.Drop})
	if err != nil {
		return nil, hint.For(err, src)
	}
	r := &Converted{Source: src, Output: dst, Tensors: len(chosen), Notes: notesOf(c)}
	w := writing{Destination: o.Destination, Work: o.Work, items: asTheyAre(chosen, to)}
	if err := to.unused(""); err != nil {
		return nil, err
	}
	r.Bytes = plan.Bytes(w.items)
	if r.UpToDate, err = w.run(ctx, c, dst); err != nil {
		return nil, err
	}
	return r, nil
}

// asTheyAre is tensors that are all kept.
func asTheyAre(tensors []tensor.Named, to types) []plan.Item {
	items := make([]plan.Item, len(tensors))
	for k := range tensors {
		t := &tensors[k]
		items[k] = plan.Item{Spec: t.Spec(), Kept: t, Block: -1}
		if t.Type.IsFloat() {
			items[k].Type = cmp.Or(to.of(t.Key), t.Type)
		}
	}
	return items
}
