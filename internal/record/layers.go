package record

import (
	"slices"
	"strings"

	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// Layer is a fused layer as a living model needs it, whose modules still have the training
// form: what to build, and which modules it takes the place of.
type Layer struct {
	Weight string `json:"weight"`
	Bias   string `json:"bias,omitempty"`
	// Module is the path of the block, Reads the keys that the layer was made of.
	Module string   `json:"module,omitempty"`
	Reads  []string `json:"reads"`
	// Branches is the modules of each branch in the order in which they run, the first
	// that which the layer takes the place of; an empty branch is the input itself. Nil
	// where the block is no sum of sequences of modules.
	Branches [][]string `json:"branches,omitempty"`
	// What the layer has besides its tensors, a number for each axis; no Stride is the one
	// that the modules have.
	Stride      []int  `json:"stride,omitempty"`
	Padding     []int  `json:"padding,omitempty"`
	Dilation    []int  `json:"dilation,omitempty"`
	Groups      int    `json:"groups"`
	Transposed  bool   `json:"transposed,omitempty"`
	PaddingMode string `json:"padding_mode,omitempty"`
}

// Layers lists the fused layers of a plan, less those that a living model has as they are, as
// only an adapter was added to their weight.
func Layers(p *plan.Plan) []Layer {
	var all []Layer
	for _, b := range p.Blocks {
		if merged(b) {
			continue
		}
		for _, o := range b.Outputs {
			f := o.Form
			all = append(all, Layer{Weight: o.Weight, Bias: o.Bias, Module: b.Path, Reads: reads(b, o.Expr), Branches: branches(o.Expr, f.Kernel(), b.Path), Stride: f.Stride, Padding: f.Padding(),
				Dilation: f.Dilation(), Groups: f.Groups, Transposed: f.Transposed, PaddingMode: f.PaddingMode})
		}
	}
	return all
}

// merged reports whether a block is a layer of the source with what adapters add to it.
func merged(b plan.Block) bool {
	return len(b.Used) > 1 && !slices.ContainsFunc(b.Used, func(key string) bool {
		return key != b.Outputs[0].Weight && !plan.IsAdapterKey(key)
	}) && slices.Contains(b.Used, b.Outputs[0].Weight)
}

// reads is the keys of a block that an expression reads, each once, with those that a
// computed tensor such as normed(weight_v, weight_g) is made of.
func reads(b plan.Block, e op.Expr) []string {
	var keys []string
	for p := range op.Params(e) {
		if slices.Contains(b.Used, p.Key) {
			keys = append(keys, p.Key)
			continue
		}
		for _, word := range strings.FieldsFunc(p.Key, func(r rune) bool { return strings.ContainsRune("(), ", r) }) {
			for _, key := range b.Used {
				if word == key || word == strings.TrimPrefix(key, b.Path+".") {
					keys = append(keys, key)
				}
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// branches is the modules of an expression's branches, that with the largest kernel first,
// where modules are all that they are: what a function does between them still runs in the
// living model, so that it may only be a padding of a kernel that stays as it was.
func branches(e op.Expr, kernel []int, path string) [][]string {
	owner := func(key string) string {
		if strings.Contains(key, "(") { // computed, of tensors of the block's own module
			return path
		}
		return tensor.Parent(key)
	}
	parts, ok := e.(op.Sum)
	if !ok {
		parts = op.Sum{e}
	}
	var all [][]string
	main, largest := 0, -1
	for k, part := range parts {
		modules, extents, padded, known := []string{}, [][]int{}, false, true
		op.Walk(part, func(e op.Expr) {
			switch e := e.(type) {
			case op.Conv:
				modules, extents = append(modules, owner(e.Weight.Key)), append(extents, e.Weight.Shape[2:])
			case op.BatchNorm:
				modules = append(modules, owner(e.Mean.Key))
			case op.Shift: // a layer's own bias, added behind its product
				known = known && e.By != nil && len(modules) > 0 && owner(e.By.Key) == modules[len(modules)-1]
			case op.Identity:
				padded = padded || e.Padding != nil
				known = known && e.Stride == nil
			case op.Seq:
			default:
				known = false
			}
		})
		if !known || padded && !(len(extents) == 1 && slices.Equal(extents[0], kernel)) {
			return nil
		}
		taps := 0
		for _, k := range extents {
			taps = max(taps, tensor.Elems(k))
		}
		if taps > largest {
			main, largest = k, taps
		}
		all = append(all, modules)
	}
	first := all[main]
	return slices.Insert(slices.Delete(all, main, main+1), 0, first)
}
