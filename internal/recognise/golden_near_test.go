package recognise_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/golden"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

// without is single keys that a block may lack: it is then another block of the same
// family.
var without = map[string]string{
	"layer_scale":           "use_layer_scale=False",
	"layer_scale.gamma":     "use_layer_scale=False",
	"gamma":                 "layer_scale_init_value=None",
	"bias":                  "a layer without bias",
	"conv.bias":             "a convolution without bias",
	"0.bias":                "a convolution without bias",
	"rbr_reparam.conv.bias": "a convolution without bias",
	"l.bias":                "BN_Linear(bias=False)",
	"linear.bias":           "NormLinear(bias=False)",
	"alpha":                 "use_alpha=False",
	"weight1":               "without incremental weight optimization",
	"attn.qkv.bias":         "qkv_bias=False",
	"e_mhsa.q.bias":         "qkv_bias=False",
	"e_mhsa.k.bias":         "qkv_bias=False",
	"e_mhsa.v.bias":         "qkv_bias=False",
	"branch_1x1.bias":       "use_1x1_bias=False",

	"scale_identity.weight": "a block of stride 2",
}

// A key too few, a key too many, a tensor of other extents: none of them gives a
// block that is not the case's own. Every key of every case is tried.
func TestNearMisses(t *testing.T) {
	set := builtin(t)
	table := expectations()
	for k, name := range golden.Cases(t) {
		e, known := table[name]
		if !known || e.refused != "" || testing.Short() && k%10 > 0 {
			continue
		}
		c := golden.Load(t, name)
		o := options(t, e)
		o.Families = set
		whole, err := recognise.Plan(c.Train, o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		n := near{t, c, o, set, blocks(whole), 0, 0}
		n.deletions(whole)
		n.strays(whole)
		n.reshaped(whole)
		t.Logf("%-30s %4d errors, %3d not taken", name, n.errors, n.left)
	}
}

// near tries variations of a case.
type near struct {
	*testing.T
	c    golden.Case
	o    recognise.Options
	set  *family.Set
	want map[string]string
	// errors and left count the variations that are refused, and those whose block is
	// not taken.
	errors, left int
}

// blocks is what every output of a plan is made of, with its shape.
func blocks(p *plan.Plan) map[string]string {
	m := map[string]string{}
	for _, b := range p.Blocks {
		for _, o := range b.Outputs {
			m[o.Weight] = fmt.Sprint(b.Family, o.Expr, o.Form.WeightShape())
		}
	}
	return m
}

// try plans a variation, which must not make anything that the case does not make.
// It reports whether there was a plan, and which.
func (n *near) try(what string, tensors []tensor.Named) *plan.Plan {
	n.Helper()
	p, err := recognise.Plan(tensors, n.o)
	if err != nil {
		n.errors++
		return nil
	}
	for key, made := range blocks(p) {
		if n.want[key] != made {
			n.Errorf("%s, %s: makes %s of %s, want an error", n.c.Meta.Name, what, key, made)
		}
	}
	n.left++
	return p
}

// saysWhat reports whether a note on one of the modules that a key is in says what it resembles.
func saysWhat(p *plan.Plan, key string) bool {
	return slices.ContainsFunc(p.Notes, func(n plan.Note) bool {
		return strings.Contains(n.Text, "resembles") && slices.ContainsFunc(strings.Split(n.Where, ", "), func(m string) bool { return strings.HasPrefix(key, m+".") })
	})
}

func (n *near) deletions(whole *plan.Plan) {
	for k, gone := range n.c.Train {
		if strings.HasSuffix(gone.Key, "num_batches_tracked") || legal(whole, gone.Key) {
			continue
		}
		p := n.try("without "+gone.Key, slices.Delete(slices.Clone(n.c.Train), k, k+1))
		if p != nil && len(p.Blocks) > 0 && missed(whole, gone.Key) && !saysWhat(p, gone.Key) {
			n.Errorf("%s, without %s: %d other blocks are fused and nothing is said", n.c.Meta.Name, gone.Key, len(p.Blocks))
		}
	}
}

// missed reports whether a block reads the key that would have been found without a
// request. What is taken on request is a pair of names that many modules have, and
// one of the two alone is nothing.
func missed(p *plan.Plan, key string) bool {
	return slices.ContainsFunc(p.Blocks, func(b plan.Block) bool { return !familyOf(b).OnRequest && slices.Contains(b.Used, key) })
}

// legal reports whether a block may lack the key.
func legal(whole *plan.Plan, key string) bool {
	for _, b := range whole.Blocks {
		if rest, ok := strings.CutPrefix(key, b.Path); ok && slices.Contains(b.Used, key) && without[strings.TrimPrefix(rest, ".")] != "" {
			return true
		}
	}
	return false
}

func (n *near) strays(whole *plan.Plan) {
	modules := map[string]bool{}
	for _, f := range n.c.Train {
		for at := strings.LastIndexByte(f.Key, '.'); ; at = strings.LastIndexByte(f.Key[:max(at, 0)], '.') {
			modules[f.Key[:max(at, 0)]] = true
			if at < 0 {
				break
			}
		}
	}
	for m := range modules {
		key := strings.TrimPrefix(m+".stray", ".")
		stray := tensor.Named{Key: key, Tensor: tensor.Of(tensor.F32, []int{1}, []float64{1})}
		p := n.try("with "+key, append(slices.Clone(n.c.Train), stray))
		if p == nil {
			continue
		}
		for _, b := range p.Blocks {
			rest, below := strings.CutPrefix(key, b.Path+".")
			if b.Path == "" {
				rest, below = key, true
			}
			if f := familyOf(b); below && !f.Network && !others(f, rest) {
				n.Errorf("%s: %s is a %s block with %s left over", n.c.Meta.Name, b.Path, b.Family, key)
			}
		}
	}
}

// others reports whether a family says of a key that it is none of the block's.
func others(f *family.Family, key string) bool {
	return slices.ContainsFunc(f.Keep, func(g string) bool { return family.CompileGlob(g).Match(key) }) ||
		slices.ContainsFunc(f.Drop, func(d family.Drop) bool { return family.CompileGlob(d.Glob).Match(key) })
}

// outputAxis is the axis of a tensor that the block's output channels are along.
func outputAxis(b plan.Block, key string) int {
	axis := 0
	for _, o := range b.Outputs {
		op.Walk(o.Expr, func(e op.Expr) {
			if c, ok := e.(op.Conv); ok && c.Transposed && c.Weight.Key == key {
				axis = 1
			}
		})
	}
	return axis
}

// unheld is kernels whose number of outputs nothing else in the case tells.
var unheld = map[string]string{
	"field-yoloe-text": "txt_feats",
	"slab-merging":     "b.reduction.weight",
	"weight-standard":  "b.weight",
	"weight-norm-all":  "b.weight_v",
	"weight-norm-taps": "b.weight_v",
}

// reshaped takes an output channel off every tensor that a block reads.
func (n *near) reshaped(whole *plan.Plan) {
	for _, b := range whole.Blocks {
		for _, key := range b.Used {
			k := slices.IndexFunc(n.c.Train, func(t tensor.Named) bool { return t.Key == key })
			if k < 0 || len(n.c.Train[k].Shape) == 0 || n.c.Train[k].Shape[0] == 1 || unheld[n.c.Meta.Name] == key {
				continue
			}
			shape := slices.Clone(n.c.Train[k].Shape)
			shape[outputAxis(b, key)]--
			list := slices.Clone(n.c.Train)
			list[k].Tensor = tensor.Of(tensor.F32, shape, make([]float64, tensor.Elems(shape)))
			n.try(fmt.Sprintf("with %s of shape %v", key, shape), list)
		}
	}
}
