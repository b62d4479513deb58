package regions

import (
	"strings"
	"testing"

	"repfuse/internal/graph"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

func named(key string, shape ...int) tensor.Named {
	return tensor.Named{Key: key, Tensor: tensor.Tensor{Type: tensor.F32, Shape: shape}}
}

// chain is a graph of linear steps, each on the value of one before it.
type chain struct {
	Network
	tensors []tensor.Named
}

func newChain() *chain {
	c := &chain{Network: Network{Graph: &graph.Graph{}, Source: "test", Elsewhere: map[string]bool{}}}
	c.value("x")
	return c
}

func (c *chain) value(name string) int {
	c.Values = append(c.Values, graph.Value{Name: name, Shape: []int{1, 8, 9, 9}})
	return len(c.Values) - 1
}

func (c *chain) conv(key string, from, k int) int {
	w := named(key+".weight", 8, 8, k, k)
	c.tensors = append(c.tensors, w)
	return c.step(op.Conv{Weight: w, Stride: []int{1, 1}, Padding: []int{k / 2, k / 2}}, []int{k / 2, k / 2}, from)
}

func (c *chain) norm(key string, from int) int {
	mean, variance := named(key+".running_mean", 8), named(key+".running_var", 8)
	c.tensors = append(c.tensors, mean, variance, named(key+".num_batches_tracked"))
	return c.step(op.BatchNorm{Mean: &mean, Var: &variance, Eps: 1e-5}, nil, from)
}

func (c *chain) step(e op.Expr, after []int, from int) int {
	to := c.value("v")
	c.Nodes = append(c.Nodes, graph.Node{Name: "n", Kind: graph.Linear, Op: e, After: after, Axis: graph.Channels, Inputs: []int{from}, Outputs: []int{to}})
	return to
}

func (c *chain) opaque(from int) int {
	to := c.value("v")
	c.Nodes = append(c.Nodes, graph.Node{Name: "relu", Type: "Relu", Inputs: []int{from}, Outputs: []int{to}})
	return to
}

func (c *chain) out(v int) *chain { c.Values[v].Output = true; return c }

// TestBlocks: what a region is written under, what it uses, and what keeps it from being fused.
func TestBlocks(t *testing.T) {
	pair := newChain()
	pair.out(pair.norm("a.bn", pair.conv("a.conv", 0, 3)))

	twice := newChain() // one layer, run twice
	w := twice.conv("conv", 0, 3)
	v := twice.opaque(twice.norm("bn", w))
	twice.step(twice.Nodes[0].Op, []int{1, 1}, v)
	twice.out(twice.step(twice.Nodes[1].Op, nil, len(twice.Values)-1))

	shared := newChain() // one layer under two norms
	w = shared.conv("conv", 0, 3)
	v = shared.norm("one", w)
	shared.step(shared.Nodes[0].Op, []int{1, 1}, shared.opaque(v))
	shared.out(shared.norm("two", len(shared.Values)-1))

	read := newChain()
	read.out(read.norm("bn", read.conv("conv", 0, 3)))
	read.Elsewhere["conv.weight"] = true

	taken := newChain() // a bias that the layer does not have and the checkpoint does
	taken.out(taken.norm("bn", taken.conv("conv", 0, 3)))
	taken.tensors = append(taken.tensors, named("conv.bias", 8))

	for name, row := range map[string]struct {
		*chain
		weight, bias, path string // "" is no block
		used               int
		note               string
	}{
		"a layer and its norm":   {pair, "a.conv.weight", "a.conv.bias", "a", 4, ""},
		"run twice":              {twice, "conv.weight", "conv.bias", "", 4, ""},
		"under two norms":        {shared, "", "", "", 0, "conv.weight is used elsewhere too"},
		"read by something else": {read, "", "", "", 0, "conv.weight is used elsewhere too"},
		"a bias there already":   {taken, "", "", "", 0, "conv.bias is there already"},
	} {
		found, err := Blocks(row.Network, row.tensors, graph.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if row.weight == "" {
			if len(found.Blocks) > 0 || len(found.Notes) == 0 || !strings.Contains(found.Notes[0].Text, row.note) || found.Kept["conv.weight"] == "" {
				t.Errorf("%s: %d blocks, notes %v, want none and %q", name, len(found.Blocks), found.Notes, row.note)
			}
			continue
		}
		if len(found.Blocks) != 1 {
			t.Errorf("%s: %d blocks, want one", name, len(found.Blocks))
			continue
		}
		b := found.Blocks[0]
		if o := b.Outputs[0]; o.Weight != row.weight || o.Bias != row.bias || b.Path != row.path || len(b.Used) != row.used {
			t.Errorf("%s: %s, %s in %q of %v", name, o.Weight, o.Bias, b.Path, b.Used)
		}
	}
}
