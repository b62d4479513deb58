package repfuse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync/atomic"

	"repfuse/internal/checkpoint"
	"repfuse/internal/hint"
	"repfuse/internal/plan"
	"repfuse/internal/planfile"
	"repfuse/internal/stream"
	"repfuse/internal/tensor"
	"repfuse/internal/unfuse"
)

// UnfuseOptions say what to make of a deploy form, and how to write it.
type UnfuseOptions struct {
	// Recognition is of Like; the deploy form has no blocks.
	Recognition
	Destination
	Work
	// Like is the path of a checkpoint of the training form, such as the state dict of a freshly made
	// model: it gives keys and shapes, the element types of what is fused, and the values that the deploy form does not
	// decide.
	Like string
	// Small is how much of each element of a kernel the branches that do not take it have together at most, 0 to ½. A
	// branch that can have no part of a kernel comes to zero.
	Small float64
}

// Unfused is what was done.
type Unfused struct {
	// The path of the deploy form.
	Source string `json:"source"`
	// The path of the checkpoint of the training form.
	Like string `json:"like"`
	// The path that was written.
	Output string `json:"output"`
	// Whether that had been there as it would be written, so that nothing was.
	UpToDate bool `json:"up_to_date,omitempty"`
	// How many tensors were written.
	Tensors int `json:"tensors"`
	// What the written tensors come to.
	Bytes int64 `json:"bytes"`
	// The blocks of the training form that compute what the source does.
	Blocks []Block `json:"blocks"`
	// What was assumed, or is worth knowing.
	Notes []Note `json:"notes"`
	// What the result depends on and nothing in Like shows.
	Conditions []Condition `json:"conditions"`
}

// Unfuse writes to dst a training form that computes what the deploy form src does: one branch of each block has
// the kernel, and the others come to zero or to a small part of it. Fuse of dst gives back the kernels and biases of src
// bit for bit: that is tried before anything is written, and a block that does not give them back is an error.
func Unfuse(ctx context.Context, src, dst string, o UnfuseOptions) (*Unfused, error) {
	like, err := o.like(ctx, dst)
	if err != nil {
		return nil, err
	}
	defer like.Close()
	deploy, err := Reading{BFloat16: o.BFloat16}.open(ctx, src)
	if err != nil {
		return nil, err
	}
	defer deploy.Close()
	if deploy.Model != nil {
		return nil, fmt.Errorf("%s: is a network, want a checkpoint of the deploy form", src)
	}
	r := &Unfused{Source: src, Like: o.Like, Output: dst, Notes: append(like.notes(), notesOf(deploy)...)}
	if r.Conditions, err = like.under(o.Strict); err != nil {
		return nil, err
	}
	w := writing{Destination: o.Destination, Work: o.Work, like: like.Checkpoint}
	w.items, err = like.unfused(ctx, deploy, &o, r)
	if err != nil {
		return nil, err
	}
	r.Blocks = blocksOf(like.plan, planfile.Of(like.plan))
	r.Tensors = len(w.items)
	r.Bytes = plan.Bytes(w.items)
	r.UpToDate, err = w.run(ctx, deploy, dst)
	return r, err
}

// like opens and plans the training form.
func (o *UnfuseOptions) like(ctx context.Context, dst string) (*source, error) {
	if o.Like == "" {
		return nil, hint.Add(errors.New("--like is missing, want a checkpoint of the training form"), "torch.save(model.state_dict(), 'like.pth') of a model that was just made is one")
	}
	if !(o.Small >= 0 && o.Small <= 0.5) {
		return nil, fmt.Errorf("--small %g: want 0 to 0.5, the part of each element of a kernel that the other branches have together", o.Small)
	}
	if len(o.With) > 0 {
		return nil, fmt.Errorf("--with %s: is merged into what is fused, want no adapter here", o.With[0])
	}
	s, err := o.read(ctx, o.Like)
	if err != nil {
		return nil, fmt.Errorf("--like: %w", err)
	}
	switch {
	case s.Model != nil:
		err = fmt.Errorf("--like %s: is a network, want a checkpoint of the training form", o.Like)
	case len(s.plan.Blocks) == 0:
		err = fmt.Errorf("--like %s: is fused already, want the training form", o.Like)
	default:
		err = checkpoint.Apart(dst, append(o.inputs(), s.Paths()...)...)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// unfused is the tensors of a training form like s that fuses to the tensors of deploy.
func (s *source) unfused(ctx context.Context, deploy *checkpoint.Checkpoint, o *UnfuseOptions, r *Unfused) ([]plan.Item, error) {
	stored := tensor.ByKey(deploy.Tensors)
	if err := s.matches(deploy.Path, stored); err != nil {
		return nil, err
	}
	set, err := unfuse.Values(s.plan, func(key string) tensor.Tensor { return stored[key] }, o.Small)
	if err != nil {
		return nil, err
	}
	again := *s
	again.Checkpoint = new(checkpoint.Checkpoint)
	*again.Checkpoint = *s.Checkpoint
	again.Tensors = slices.Clone(s.Tensors)
	stale := 0
	for k, f := range s.plan.Fates { // in the order of the tensors
		t := &again.Tensors[k]
		if value, ok := set[f.Name]; ok {
			t.Tensor = value
			if f.Fate == plan.Kept {
				stale++
			}
		} else if f.Fate == plan.Kept {
			t.Tensor = stored[f.NewKey]
		}
	}
	if again.plan, err = again.recognised(&o.Recognition); err != nil {
		return nil, err
	}
	c := comparison{items: slices.DeleteFunc(again.plan.Items(nil), func(it plan.Item) bool { return it.Kept != nil }), stored: stored}
	if _, err := stream.Run(ctx, c.items, &c, stream.Options{Jobs: o.Jobs}); err != nil {
		return nil, err
	}
	if n := c.negative.Load(); n > 0 {
		r.Notes = append(r.Notes, Note{Where: deploy.Path, Text: fmt.Sprintf("elements that are -0, which come back as 0: %d", n)})
	}
	if stale > 0 {
		r.Notes = append(r.Notes, Note{Where: deploy.Path, Text: fmt.Sprintf("tensors that stay beside what they were fused into, and that nothing reads, get other values: %d", stale)})
	}
	return asTheyAre(again.Tensors, nil), nil
}

// matches is an error where a deploy form has other keys or shapes than s fuses to.
func (s *source) matches(path string, stored map[string]tensor.Tensor) error {
	items := s.plan.Items(nil)
	wanted := map[string]bool{}
	for _, it := range items {
		t, ok := stored[it.Key]
		switch wanted[it.Key] = true; {
		case !ok:
			return fmt.Errorf("%s: has no %s, which %s fuses to", path, it.Key, s.Path)
		case !slices.Equal(t.Shape, it.Shape):
			return fmt.Errorf("%s: %s has shape %v, want %v, which %s fuses to", path, it.Key, t.Shape, it.Shape, s.Path)
		case it.Kept == nil && t.Type != it.Type:
			return hint.Add(fmt.Errorf("%s: %s is %s, want %s, which %s fuses to", path, it.Key, t.Type, it.Type, s.Path),
				"%s, and take DST for it", hint.Command("convert", "--dtype", it.Type.String(), path, "DST"))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(stored)) {
		if !wanted[key] {
			return fmt.Errorf("%s: has %s, and %s does not fuse to it", path, key, s.Path)
		}
	}
	return nil
}

// comparison holds what is written to it to tensors that are there.
type comparison struct {
	items  []plan.Item
	stored map[string]tensor.Tensor
	// negative counts the zeros that lost their sign.
	negative atomic.Int64
}

// WriteAt is an error where p is not what stands at byte off of tensor i.
func (c *comparison) WriteAt(i int, p []byte, off int64) error {
	it := &c.items[i]
	d, err := c.stored[it.Key].Open()
	if err != nil {
		return err
	}
	defer d.Close()
	b := make([]byte, len(p))
	if err := tensor.ReadFull(d, b, off); err != nil || bytes.Equal(b, p) {
		return err
	}
	n := it.Type.Size()
	got, want := make([]float64, len(p)/n), make([]float64, len(p)/n)
	tensor.Decode(got, p, it.Type)
	tensor.Decode(want, b, it.Type)
	for k := range got {
		switch {
		case got[k] == want[k] && math.Signbit(got[k]) != math.Signbit(want[k]):
			c.negative.Add(1)
		case got[k] != want[k]:
			at := tensor.Place(int(off)/n+k, it.Shape)
			return fmt.Errorf("element %v is %g and would come back as %g, as no branch of its block gives it back exactly", at, want[k], got[k])
		}
	}
	return nil
}

// Done is nil: what was wrong has been said.
func (c *comparison) Done(int, uint32) error { return nil }

// Close does nothing.
func (c *comparison) Close() error { return nil }
