package adapter

import (
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// Family is what a layer that no block reads is a block of, once something is added to it.
const Family = "adapter"

// Merge adds what adapters add to what was found in a base: into the expressions that read a
// layer, else a block for it. tensors are those of an adapter that are not left out, one list for
// each. A part without a layer is an error, and nothing is left over.
func Merge(found *plan.Found, base []tensor.Named, adapters []*Adapter, tensors [][]tensor.Named) error {
	x := newIndex(base)
	var targets []string
	sums := map[string][]*addition{}
	for k, a := range adapters {
		all, err := a.additions(tensors[k])
		if err == nil {
			err = a.place(all, x)
		}
		if err != nil {
			return err
		}
		for _, d := range all {
			if err := d.check(x.exact[d.target]); err != nil {
				return err
			}
			if sums[d.target] == nil {
				targets = append(targets, d.target)
			}
			sums[d.target] = append(sums[d.target], d)
		}
	}
	for _, target := range targets {
		if err := merge(found, x.exact[target], sums[target]); err != nil {
			return err
		}
	}
	return nil
}

// place finds the layer that each addition is to.
func (a *Adapter) place(all []*addition, x *index) error {
	var lost, placed []*addition
	at := map[string]string{}
	for _, d := range all {
		switch found := x.find(d.module); len(found) {
		case 0:
			lost = append(lost, d)
			continue
		case 1:
			d.target = found[0]
		default:
			return fmt.Errorf("%s: %s may be %s, want one", a.Path, d.module, strings.Join(found, " or "))
		}
		if other, twice := at[d.target]; twice {
			return fmt.Errorf("%s: %s and %s are both of %s", a.Path, other, d.module, d.target)
		}
		at[d.target] = d.module
		placed = append(placed, d)
	}
	switch {
	case len(all) == 0:
		return fmt.Errorf("%s: holds no tensor that is to be merged", a.Path)
	case len(lost) > 0:
		var names []string
		for _, d := range lost {
			names = append(names, d.name)
		}
		err := fmt.Errorf("%s: no layer of the base goes with %s: %d of %d", a.Path, plan.List(names, shown), len(lost), len(all))
		return a.leave(err, keysOf(lost), keysOf(placed), family.QuoteGlob(a.prefix+names[0])+".**")
	}
	return nil
}

// check is an error where the parts do not come to the layer's shape.
func (d *addition) check(base *tensor.Named) error {
	where := d.from.Path + ": " + d.module
	if d.down == nil || d.up == nil {
		return fmt.Errorf("%s: there is %s alone, want both halves of the product", where, strings.TrimPrefix(d.keys[0], d.from.prefix))
	}
	if d.alpha != nil && (d.alpha.Len() != 1 || !d.alpha.Type.IsFloat()) {
		return fmt.Errorf("%s: alpha is %s %v, want one floating number", where, d.alpha.Type, d.alpha.Shape)
	}
	c := d.from.config
	d.transposed = d.transposed || c != nil && c.Swapped && len(base.Shape) == 2
	got, ok := d.shape()
	if !ok {
		return fmt.Errorf("%s: %s do not multiply, want the first to give as many channels as the next takes", where, d.shapes())
	}
	if !slices.Equal(got, base.Shape) {
		err := fmt.Errorf("%s: %s come to %v, want %v of %s", where, d.shapes(), got, base.Shape, base.Key)
		if swapped := []int{base.Shape[1], base.Shape[0]}; len(base.Shape) == 2 && slices.Equal(got, swapped) && !d.transposed {
			return hint.Add(err, `"fan_in_fan_out": true in %s is for weights that are stored [in, out]`, ConfigFile)
		}
		return hint.Add(err, "it was trained on another base; %s lists its shapes", hint.Command("inspect", "-v", d.from.Path))
	}
	return nil
}

// chain is the factors of the product, first applied first.
func (d *addition) chain() []*tensor.Named {
	if d.mid == nil {
		return []*tensor.Named{d.down, d.up}
	}
	return []*tensor.Named{d.down, d.mid, d.up}
}

func (d *addition) shapes() string {
	var all []string
	for _, t := range d.chain() {
		all = append(all, fmt.Sprintf("%s %v", strings.TrimPrefix(t.Key, d.from.prefix+d.name+"."), t.Shape))
	}
	return strings.Join(all, " and ")
}

// shape is the shape of the product: only one of the factors looks beyond its own place. ok
// reports whether they multiply at all.
func (d *addition) shape() (shape []int, ok bool) {
	chain := d.chain()
	for k, t := range chain {
		if len(t.Shape) < 2 || len(t.Shape) != len(d.down.Shape) || t.Len() == 0 || k > 0 && t.Shape[1] != chain[k-1].Shape[0] {
			return nil, false
		}
		if looks := tensor.Elems(t.Shape[2:]) > 1; looks && t != d.main() {
			return nil, false
		}
	}
	shape = append([]int{d.up.Shape[0], d.down.Shape[1]}, d.main().Shape[2:]...)
	if d.transposed {
		if len(shape) != 2 {
			return nil, false
		}
		shape[0], shape[1] = shape[1], shape[0]
	}
	return shape, true
}

// main is the factor that has the layer's extents: mid, or down.
func (d *addition) main() *tensor.Named {
	if d.mid != nil {
		return d.mid
	}
	return d.down
}

// expr is what is added to a layer, as the layer itself is given.
func (d *addition) expr(layer op.Conv) (op.Expr, error) {
	rank := d.down.Shape[0]
	factor, ok, err := d.from.scaling(d.module, rank)
	switch {
	case err != nil:
		return nil, err
	case d.alpha != nil:
		factor = 1 / float64(rank)
	case !ok:
		return nil, hint.Add(fmt.Errorf("%s: %s: there is no alpha, want a key %s.alpha, or lora_alpha in %s", d.from.Path, d.module, d.module, ConfigFile),
			`echo '{"lora_alpha": %d}' > %s says that it is the rank`, rank, d.from.Config)
	}
	chain := d.chain()
	if d.transposed {
		slices.Reverse(chain)
	}
	var seq op.Seq
	for _, t := range chain {
		c := op.Conv{Weight: *t}
		if d.transposed {
			if c.Weight, err = family.Computed("swapped", *t); err != nil {
				return nil, err
			}
		}
		if t == d.main() {
			c.Stride, c.Padding, c.PaddingMode, c.Dilation = layer.Stride, layer.Padding, layer.PaddingMode, layer.Dilation
		}
		seq = append(seq, c)
	}
	if d.alpha != nil {
		seq = append(seq, op.Scale{By: d.alpha})
	}
	return append(seq, op.Scale{Factor: factor * d.from.Weight}), nil
}

// merge puts additions into the blocks that read a layer, or makes one for it.
func merge(found *plan.Found, base *tensor.Named, all []*addition) error {
	key := base.Key
	if why, dropped := found.Dropped[key]; dropped {
		return fmt.Errorf("%s: %s is for %s, which is dropped: %s", all[0].from.Path, all[0].module, key, why)
	}
	for k := range found.Blocks {
		b := &found.Blocks[k]
		if !slices.Contains(b.Used, key) {
			continue
		}
		if slices.Contains(b.Stale, key) {
			return into(b, key, all, "stays in the result beside what it is fused into")
		}
		return inBlock(b, key, all)
	}
	weight := key
	if to, ok := found.Renamed[key]; ok {
		weight = to
	}
	layer := op.Conv{Weight: *base}
	e, err := sum(layer, all)
	if err != nil {
		return err
	}
	b := plan.Block{Path: tensor.Parent(key), Family: Family, Title: "Layer with what adapters add to it",
		Used: []string{key}, Outputs: []plan.Output{{Weight: weight, Expr: e}}}
	if b.Outputs[0].Form, err = op.Check(e); err != nil {
		return fmt.Errorf("%s: %s: %w", all[0].from.Path, all[0].module, err)
	}
	b.Used = append(b.Used, used(all)...)
	found.Blocks = append(found.Blocks, b)
	return nil
}

// used is the keys of all parts.
func used(all []*addition) (keys []string) {
	for _, d := range all {
		keys = append(keys, d.keys...)
	}
	return keys
}

// sum is a layer and what is added to it.
func sum(layer op.Conv, all []*addition) (op.Expr, error) {
	e := op.Sum{layer}
	for _, d := range all {
		part, err := d.expr(layer)
		if err != nil {
			return nil, err
		}
		e = append(e, part)
	}
	return e, nil
}

// into is the error of an addition to a layer that a block reads in another way than as a kernel.
func into(b *plan.Block, key string, all []*addition, why string) error {
	return hint.Add(fmt.Errorf("%s: %s is for %s, which %s (%s)", all[0].from.Path, all[0].module, key, why, b.Family),
		"%s leaves that block as it is, with the addition", hint.Words("--family", family.ModuleGlob(b.Path)+"=none"))
}

// inBlock adds to a layer before the block that reads it is fused.
func inBlock(b *plan.Block, key string, all []*addition) error {
	for k := range b.Outputs {
		o := &b.Outputs[k]
		direct, reads := 0, 0
		e, err := op.Replace(o.Expr, func(c op.Conv) (op.Expr, error) {
			if c.Weight.Key != key {
				return c, nil
			}
			direct++
			return sum(c, all)
		})
		if err != nil {
			return err
		}
		for p := range op.Params(o.Expr) {
			if p.Key == key || p.Computed != nil { // whose arguments are named as the block sees them
				reads++
			}
		}
		if reads != direct {
			return into(b, key, all, "is no plain kernel of its block")
		}
		form, err := op.Check(e)
		if err == nil && !slices.Equal(form.WeightShape(), o.Form.WeightShape()) {
			err = fmt.Errorf("the layer becomes %v, want %v", form.WeightShape(), o.Form.WeightShape())
		}
		if err != nil {
			return into(b, key, all, "cannot be added to in its block: "+err.Error())
		}
		o.Expr, o.Form = e, form
	}
	b.Used = append(b.Used, used(all)...)
	return nil
}
