package plan

import (
	"cmp"
	"fmt"
	"strings"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// Bytes is what the elements of items come to.
func Bytes(items []Item) (n int64) {
	for k := range items {
		n += items[k].Bytes()
	}
	return n
}

// Item is one tensor of the result: a source tensor that is kept, or the weight or
// the bias of an output of a block.
type Item struct {
	tensor.Spec
	Kept *tensor.Named
	*Output
	Block  int
	IsBias bool
}

// Types is the element type that a floating tensor of the result is asked to have, by its key: Invalid
// where it is to be as it came. nil is Invalid for all.
type Types func(key string) tensor.Type

// Of is the type of a key.
func (t Types) Of(key string) tensor.Type {
	if t == nil {
		return tensor.Invalid
	}
	return t(key)
}

// Items lists the tensors of the result in the checkpoint's order, a block's own
// where its first key stood. to is asked of floating tensors that are kept, except of statistics, and
// of the weights that are fused, whose biases follow.
func (p *Plan) Items(to Types) []Item {
	var items []Item
	made := map[int]bool{}
	for k := range p.Fates {
		f := &p.Fates[k]
		if f.Block >= 0 && !made[f.Block] {
			made[f.Block] = true
			items = append(items, p.madeBy(f.Block, to)...)
		}
		if f.Fate == Kept {
			spec := tensor.Spec{Key: f.NewKey, Type: f.Type, Shape: f.Shape}
			if f.Type.IsFloat() && !isStatistic(f.Key) {
				spec.Type = cmp.Or(to.Of(spec.Key), f.Type)
			}
			items = append(items, Item{Spec: spec, Kept: &f.Named, Block: -1})
		}
	}
	for k := range p.Blocks { // of which others read every key first
		if !made[k] {
			items = append(items, p.madeBy(k, to)...)
		}
	}
	return items
}

func (p *Plan) madeBy(block int, to Types) []Item {
	var items []Item
	b := &p.Blocks[block]
	for k := range b.Outputs {
		o := &b.Outputs[k]
		t := cmp.Or(to.Of(o.Weight), elementType(o.Expr))
		items = append(items, Item{Spec: tensor.Spec{Key: o.Weight, Type: t, Shape: o.Form.WeightShape()}, Output: o, Block: block})
		if o.Bias != "" {
			items = append(items, Item{Spec: tensor.Spec{Key: o.Bias, Type: t, Shape: []int{o.Form.Out}}, Output: o, Block: block, IsBias: true})
		}
	}
	return items
}

// elementType is the widest type of the stored kernels of e, or, where there is
// none, of its batch norms, or of what its kernels are computed of: what came in goes out. What
// an adapter adds takes the type of what it is added to.
func elementType(e op.Expr) tensor.Type {
	kernels, vectors, computed := tensor.Invalid, tensor.Invalid, tensor.Invalid
	op.Walk(e, func(e op.Expr) {
		switch e := e.(type) {
		case op.Conv:
			if c := e.Weight.Computed; IsAdapterKey(e.Weight.Key) {
				break
			} else if c != nil {
				computed = tensor.Wider(computed, c.Type)
			} else {
				kernels = tensor.Wider(kernels, e.Weight.Type)
			}
		case op.BatchNorm:
			vectors = tensor.Wider(vectors, e.Mean.Type)
		}
	})
	return cmp.Or(kernels, vectors, computed, tensor.F32)
}

// isStatistic reports whether a key is a batch norm's running statistic, which
// keeps its element type when others change theirs.
func isStatistic(key string) bool {
	name := key[strings.LastIndexByte(key, '.')+1:]
	switch name {
	case "running_mean", "running_var", "_mean", "_variance", "num_batches_tracked":
		return true
	}
	return false
}

// EachOutput calls do for the fused convolutions, block by block, until one fails. progress, where it is
// not nil, is called after each with how many are done and how many there are.
func (p *Plan) EachOutput(progress func(done, total int), do func(*Block, *Output) error) error {
	total, done := 0, 0
	for _, b := range p.Blocks {
		total += len(b.Outputs)
	}
	for k := range p.Blocks {
		b := &p.Blocks[k]
		for j := range b.Outputs {
			if err := do(b, &b.Outputs[j]); err != nil {
				return fmt.Errorf("%s: %w", b.Outputs[j].Weight, err)
			}
			if done++; progress != nil {
				progress(done, total)
			}
		}
	}
	return nil
}
