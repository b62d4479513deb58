// Package plan decides which blocks a checkpoint holds and what becomes of every
// key. It reads headers only: nothing is computed and no element is looked at, so a
// plan costs the same whatever the checkpoint weighs.
//
// Nothing is guessed in silence. A block is taken when its expression accounts for
// every key below its module; what no key says is a fact, an answer of the user, or
// an assumption that stands on the plan as a note.
package plan

import (
	"repfuse/internal/family"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// Plan is what would be done with a checkpoint.
type Plan struct {
	// Prefix is what was taken off the keys.
	Prefix string
	Blocks []Block
	// Fates is what becomes of each tensor, in the checkpoint's order.
	Fates []Fate
	Notes []Note
	// Deployed lists the modules that are fused already.
	Deployed []string
}

// Block is a block and the convolutions that it becomes.
type Block struct {
	Path, Family, Title string
	Outputs             []Output
	// Used is the whole keys that the block's expressions read.
	Used []string
	// Answers is what no key says and how it was decided.
	Answers []family.Answer
	Rules   *family.Family `json:"-"`
}

// Output is a convolution that a block becomes: the keys it is written under and
// what it computes.
type Output struct {
	Weight, Bias string // Bias is "" where nothing adds a constant
	Expr         op.Expr
	Form         op.Form
}

// What becomes of a tensor.
const (
	Fused   = "fused"   // an expression reads it, and it is gone
	Kept    = "kept"    // it is in the result as it was, perhaps under another key
	Dropped = "dropped" // the deploy model does not have it
)

// Fate is what becomes of one tensor.
type Fate struct {
	tensor.Named
	Fate string
	// Block is the index of the block that uses it, or -1.
	Block int
	// NewKey is the key in the result of a tensor that is kept.
	NewKey string
	// Why is the reason for dropping.
	Why string
}

// Note is something that a reader of the plan should know, and what to type to have
// it otherwise.
type Note struct {
	Where, Text, Hint string
}

// String is the note as one line, without its hint.
func (n Note) String() string {
	if n.Where == "" {
		return n.Text
	}
	return n.Where + ": " + n.Text
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

// Items lists the tensors of the result in the checkpoint's order, a block's own
// where its first key stood. to is the element type of what is fused and of floating
// tensors that are kept; Invalid leaves each as it came.
func (p *Plan) Items(to tensor.Type) []Item {
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
			if to != tensor.Invalid && f.Type.IsFloat() && !isStatistic(f.Key) {
				spec.Type = to
			}
			items = append(items, Item{Spec: spec, Kept: &f.Named, Block: -1})
		}
	}
	return items
}

func (p *Plan) madeBy(block int, to tensor.Type) []Item {
	var items []Item
	b := &p.Blocks[block]
	for k := range b.Outputs {
		o := &b.Outputs[k]
		t := to
		if t == tensor.Invalid {
			t = elementType(o.Expr)
		}
		items = append(items, Item{Spec: tensor.Spec{Key: o.Weight, Type: t, Shape: o.Form.WeightShape()}, Output: o, Block: block})
		if o.Bias != "" {
			items = append(items, Item{Spec: tensor.Spec{Key: o.Bias, Type: t, Shape: []int{o.Form.Out}}, Output: o, Block: block, IsBias: true})
		}
	}
	return items
}

// elementType is the widest type of the stored kernels of e, or, where there is
// none, of its vectors: what came in goes out.
func elementType(e op.Expr) tensor.Type {
	kernels, vectors := tensor.Invalid, tensor.Invalid
	op.Walk(e, func(e op.Expr) {
		switch e := e.(type) {
		case op.Conv:
			if !family.Generated(e.Weight) {
				kernels = wider(kernels, e.Weight.Type)
			}
		case op.BatchNorm:
			vectors = wider(vectors, e.Mean.Type)
		}
	})
	if kernels != tensor.Invalid {
		return kernels
	}
	if vectors != tensor.Invalid {
		return vectors
	}
	return tensor.F32
}

func wider(a, b tensor.Type) tensor.Type {
	switch {
	case a == tensor.Invalid || a == b:
		return b
	case a == tensor.F16 && b == tensor.BF16, a == tensor.BF16 && b == tensor.F16:
		return tensor.F32
	case a.Size() >= b.Size():
		return a
	}
	return b
}
