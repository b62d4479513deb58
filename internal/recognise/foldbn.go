package recognise

import (
	"fmt"
	"slices"

	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/op"
	"repfuse/internal/pairs"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// foldName is the family of a layer and the batch norm behind it, of any network.
const foldName = "fold-bn"

// loose is what no block reads, in the order of the checkpoint.
func (r *recogniser) loose(tensors []tensor.Named) []tensor.Spec {
	var specs []tensor.Spec
	for _, t := range tensors {
		if _, free := r.keys.Lookup("", t.Key); free && !r.isDeployed(t.Key) {
			specs = append(specs, tensor.Spec{Key: t.Key, Type: t.Type, Shape: t.Shape})
		}
	}
	return specs
}

// layers is loose with the layers whose weight is computed of what is stored, as if the weight itself were.
func (r *recogniser) layers(tensors []tensor.Named) []tensor.Spec {
	computed := map[string]tensor.Spec{}
	for _, b := range r.found.Blocks {
		if isComputed(b) {
			o := b.Outputs[0]
			computed[b.Used[0]] = tensor.Spec{Key: o.Weight, Type: tensor.F64, Shape: o.Form.WeightShape()}
		}
	}
	if len(computed) == 0 {
		return r.loose(tensors)
	}
	var specs []tensor.Spec
	for k := range tensors {
		if s, ok := computed[tensors[k].Key]; ok {
			specs = append(specs, s)
		}
		specs = append(specs, r.loose(tensors[k:k+1])...)
	}
	return specs
}

// isComputed reports whether a block is a layer whose weight is computed, and nothing else.
func isComputed(b plan.Block) bool {
	if len(b.Outputs) != 1 || b.Outputs[0].Weight != family.Whole(b.Path, "weight") {
		return false
	}
	c, ok := b.Outputs[0].Expr.(op.Conv)
	return ok && c.Weight.Computed != nil
}

// release gives the keys of a computed layer back, for a block with the norm behind it; undo takes them again.
func (r *recogniser) release(layer string) (undo func()) {
	at := slices.IndexFunc(r.found.Blocks, func(b plan.Block) bool { return b.Path == layer && isComputed(b) })
	if at < 0 {
		return func() {}
	}
	b := r.found.Blocks[at]
	r.found.Blocks = slices.Delete(slices.Clone(r.found.Blocks), at, at+1)
	r.keys.mark(b.Used, false)
	return func() {
		r.found.Blocks = slices.Insert(r.found.Blocks, at, b)
		r.keys.mark(b.Used, true)
	}
}

// foldNorms takes every batch norm that stands behind a layer by names, order and
// channels, and notes those that it leaves. That nothing without keys stands between the
// two is the user's word.
func (r *recogniser) foldNorms(tensors []tensor.Named, ordered bool) error {
	found, left := pairs.Find(r.layers(tensors), ordered)
	if len(found) == 0 && len(r.found.Blocks) == 0 {
		return &hint.Error{Err: fmt.Errorf("--fold-bn: no batch norm stands behind a layer%s", reasons(left)), Hint: "repfuse plan without --fold-bn shows what is there"}
	}
	var folded []string
	for _, p := range found {
		if r.leaves(p.Layer) != nil || r.leaves(p.Norm) != nil {
			continue
		}
		undo := r.release(p.Layer)
		c, err := r.foldPair(p)
		if err == nil {
			err = r.contradicted(p, c)
		}
		if err != nil {
			return err
		}
		if c.problem != nil {
			undo()
			left = append(left, pairs.Left{Norm: p.Norm, Why: c.problem.Error()})
			continue
		}
		c.kept = nil // no declaration's word
		r.take(c)
		r.note(assumptions(c, r.facts != nil)...)
		folded = append(folded, p.Norm)
	}
	if len(folded) > 0 {
		r.note(plan.Note{Where: foldName, Text: fmt.Sprintf("%s: your word, of %d pairs", between, len(folded)),
			Condition: &plan.Condition{If: between, By: plan.YourWord, Flag: "--fold-bn", Modules: folded},
			Hint:      "export.export(model, \"weights\", x) of repfuse exporter records what stands there"})
	}
	r.leaveNorms(left)
	return nil
}

// leaveNorms says of each norm that is left why it is, in the plan of its keys.
func (r *recogniser) leaveNorms(left []pairs.Left) {
	if len(left) == 0 {
		return
	}
	var names []string
	for _, l := range left {
		names = append(names, plan.Shown(l.Norm))
		var keys []string
		for _, name := range r.keys.Below(l.Norm) {
			keys = append(keys, family.Whole(l.Norm, name))
		}
		r.keep("", keys, "a batch norm that is not folded: "+l.Why)
	}
	r.note(plan.Note{Where: list(names), Text: "batch norms that are not folded", Hint: "repfuse plan -v says why"})
}

// offerFold notes how many norms --fold-bn would fold.
func (r *recogniser) offerFold(tensors []tensor.Named, ordered bool) {
	if found, _ := pairs.Find(r.layers(tensors), ordered); len(found) > 0 {
		r.note(plan.Note{Text: foldable(len(found)), Hint: "--fold-bn folds them, where nothing stands between"})
	}
}

// foldable says how many norms --fold-bn would fold; "" of none.
func foldable(norms int) string {
	switch norms {
	case 0:
		return ""
	case 1:
		return "a batch norm stands behind a layer"
	}
	return fmt.Sprintf("%d batch norms stand behind layers", norms)
}

// foldPair matches a pair as any block is, so that ε, groups and facts are found as always.
func (r *recogniser) foldPair(p pairs.Pair) (candidate, error) {
	parent := tensor.Common(p.Layer, p.Norm)
	layer := "conv"
	if known := r.facts.Of(p.Layer); known.Transposed || len(known.Kernel) == 0 && p.Transposed {
		layer = "convt"
	}
	of, _ := family.Relative(parent, p.Layer)
	norm, _ := family.Relative(parent, p.Norm)
	text := fmt.Sprintf("%s(%s) > bn(%s)", layer, family.QuoteKey(of), family.QuoteKey(norm))
	expr, err := family.Parse(text)
	if err != nil {
		return candidate{}, fmt.Errorf("%s: %w", plan.Shown(p.Layer), err)
	}
	out := family.NewOutput(family.Child(of, "weight"), family.Child(of, "bias"), text)
	out.Expr = expr
	return r.match(&family.Family{Name: foldName, Title: "Batch norms behind layers", Keep: []string{"**"}, Make: []family.Output{out}, Eps: r.offer.epsAt(p.Norm)}, parent), nil
}

// reasons is why the first norm is left, and how many more are.
func reasons(left []pairs.Left) string {
	if len(left) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s: %s%s)", plan.Shown(left[0].Norm), left[0].Why, plan.More(len(left)-1))
}
