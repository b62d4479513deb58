package repfuse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/adapter"
	"repfuse/internal/checkpoint"
	"repfuse/internal/hint"
	"repfuse/internal/onnx"
	"repfuse/internal/plan"
	"repfuse/internal/record"
)

// source is an open checkpoint and its plan.
type source struct {
	*checkpoint.Checkpoint
	plan *plan.Plan
	// adapters are merged into it, opened is the checkpoints that they lie in.
	adapters []*adapter.Adapter
	opened   []*checkpoint.Checkpoint
	// already is the modules that the record beside it says are fused; wasFused says that it
	// is a result by that record.
	already  []string
	wasFused bool
	// conditions is those that no note of the plan has.
	conditions []Condition
	// layers is what the plan writes into the network of an .onnx, by its own nodes.
	layers []onnx.Layer
	// rounded says that constants in the layers are as the file computed them.
	rounded bool
}

// read opens a checkpoint and plans it.
func (r *Recognition) read(ctx context.Context, path string) (*source, error) {
	s, err := r.open(ctx, path)
	if err != nil {
		return nil, err
	}
	if s.plan, err = s.recognised(r); err != nil {
		s.Close()
		return nil, ofShard(path, err)
	}
	return s, nil
}

// open opens a checkpoint with what the record beside it says of it, as far as its
// checksums hold.
func (r *Recognition) open(ctx context.Context, path string) (*source, error) {
	if err := r.checkValues(); err != nil {
		return nil, err
	}
	c, err := r.Reading.open(ctx, path)
	if err != nil {
		return nil, err
	}
	s := &source{Checkpoint: c}
	rec, err := record.Read(path)
	if err == nil && rec != nil {
		s.already, s.wasFused, err = rec.Fused(ctx, c.Tensors)
	}
	if err == nil {
		err = s.openAdapters(ctx, r.With)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// recognised plans a source. That nothing is recognised is an error unless it is fused
// already, by its keys or by its record.
func (s *source) recognised(r *Recognition) (*plan.Plan, error) {
	if s.Model != nil {
		return r.model(s)
	}
	p, err := r.recognise(s)
	if err == nil && !s.wasFused && len(p.Blocks)+len(p.Deployed) == 0 {
		err = s.unrecognised(r, p)
	}
	return p, err
}

// unrecognised is the error of a plan without blocks: what was seen all the same, and what to type.
func (s *source) unrecognised(r *Recognition, p *plan.Plan) error {
	text := fmt.Sprintf("%s: no block recognised among its %d tensors", s.Path, len(s.Tensors))
	var how []string
	for _, n := range slices.Backward(p.Notes) { // --fold-bn, which leaves no half of a network, is the last
		text += "; " + n.String()
		if n.Hint != "" {
			how = append(how, n.Hint)
		}
	}
	if len(r.Family)+len(r.Set)+len(r.Identity) == 0 { // else what there is was left, or is none by an answer
		how = append(how, s.command(r, "draft")+" drafts a family file from keys and shapes")
	}
	how = append(how, "repfuse families lists what is known; --family NAME asks for one, --plan FILE names blocks by hand")
	return &hint.Error{Err: errors.New(text), Hint: strings.Join(how, "; ")}
}

// notes is what is noted of the checkpoint and of its plan.
func (s *source) notes() []Note { return append(notesOf(s.Checkpoint), s.plan.Notes...) }

// under is what a claim about the source is under; an error where strict is asked for and
// something is open.
func (s *source) under(asked bool) ([]Condition, error) {
	all := append(plan.Conditions(s.plan.Notes), s.conditions...)
	if !asked {
		return all, nil
	}
	return all, strict(all, s.Facts == nil)
}
