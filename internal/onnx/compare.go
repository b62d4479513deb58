package onnx

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"repfuse/internal/tensor"
)

// Difference is where a model is not what it should be.
type Difference struct{ Where, Got, Want string }

// Compare holds a fused model to what the layers make of m: the same nodes with the same
// attributes between the same values, and each layer in the place of what it replaces. It goes by
// the names of values, so that it is all the same who fused the model. keys is, for the
// tensors that the layers bring, their keys in fused.
func (m *Model) Compare(layers []Layer, fused *Model) (keys map[string]string, found []Difference, err error) {
	s, err := m.sweep(layers)
	if err != nil {
		return nil, nil, err
	}
	c := &comparison{m: m, fused: fused, swept: s, layers: layers, keys: map[string]string{}}
	if !slices.Equal(m.opsets, fused.opsets) {
		c.differ("the model", fmt.Sprint(fused.opsets), fmt.Sprint(m.opsets))
	}
	if !maps.Equal(m.Metadata, fused.Metadata) {
		c.differ("the model's metadata", "others", "those of the source")
	}
	c.graphs(m.Graph, fused.Graph)
	for op, d := range fused.Functions {
		f := m.Functions[op]
		if f == nil || len(f.Nodes) != len(d.Nodes) || !slices.Equal(f.In, d.In) || !slices.Equal(f.Out, d.Out) || !slices.Equal(f.opsets, d.opsets) {
			c.differ("function "+op.Name, "another", "the source's")
			continue
		}
		for k := range f.Nodes {
			c.nodes(f.Nodes[k], d.Nodes[k])
		}
	}
	return c.keys, c.found, nil
}

type comparison struct {
	m, fused *Model
	swept    *sweep
	layers   []Layer
	keys     map[string]string
	found    []Difference
}

func (c *comparison) differ(where, got, want string) {
	c.found = append(c.found, Difference{where, got, want})
}

// graphs compares two graphs, or bodies.
func (c *comparison) graphs(g, h *Graph) {
	inputs := func(g *Graph) []string {
		var names []string
		for _, v := range g.Inputs {
			if v.Tensor == nil { // those of initializers go with them
				names = append(names, v.Name)
			}
		}
		return names
	}
	if got, want := inputs(h), inputs(g); !slices.Equal(got, want) {
		c.differ("graph "+g.Name, fmt.Sprintf("inputs %q", got), fmt.Sprintf("%q", want))
	}
	if !slices.Equal(h.outputs, g.outputs) {
		c.differ("graph "+g.Name, fmt.Sprintf("outputs %q", h.outputs), fmt.Sprintf("%q", g.outputs))
	}
	made := map[string]*Node{}
	for _, n := range h.Nodes {
		if label := firstOut(n.out); label != "" {
			made[label] = n
		}
	}
	seen := map[*Node]bool{}
	for _, n := range g.Nodes {
		d := made[firstOut(n.out)]
		switch {
		case c.swept.nodes[n]:
		case n.call != nil: // of a function, whose call is there if nothing in it was replaced
			if d != nil {
				seen[d] = true
			}
			if d != nil && d.Op == n.Op {
				c.nodes(n, d)
			}
		case d == nil:
			c.differ(n.String(), "no node that makes "+firstOut(n.out), "it")
		default:
			seen[d] = true
			c.nodes(n, d)
		}
	}
	for _, l := range c.layers {
		for _, n := range l.Nodes {
			if n.At.graph == g || n.At.call != nil && n.At.call.graph == g {
				c.layer(n, l.Tensors, made, seen)
			}
		}
	}
	for _, d := range h.Nodes {
		if !seen[d] && !c.constant(d) {
			c.differ(d.String(), "a node", "none")
		}
	}
}

// constant reports whether a node of the fused model only holds a constant.
func (c *comparison) constant(d *Node) bool { return d.Op.Name == "Constant" && d.Op.Domain == "" }

func firstOut(names []string) string {
	for _, name := range names {
		if name != "" {
			return name
		}
	}
	return ""
}

// nodes compares a node that stays.
func (c *comparison) nodes(n, d *Node) {
	switch {
	case n.Op != d.Op:
		c.differ(n.String(), d.Op.Name, n.Op.Name)
	case !slices.Equal(n.in, d.in):
		c.differ(n.String(), fmt.Sprintf("reads %q", d.in), fmt.Sprintf("%q", n.in))
	case !slices.Equal(n.out, d.out):
		c.differ(n.String(), fmt.Sprintf("makes %q", d.out), fmt.Sprintf("%q", n.out))
	default:
		c.attributes(n, d)
	}
}

func (c *comparison) attributes(n, d *Node) {
	if len(n.Attrs) != len(d.Attrs) {
		c.differ(n.String(), fmt.Sprintf("%d attributes", len(d.Attrs)), fmt.Sprint(len(n.Attrs)))
		return
	}
	for _, a := range n.Attrs {
		b := d.Attr(a.Name)
		if b == nil || !c.same(a, b) {
			c.differ(n.String(), "another attribute "+a.Name, "the source's")
			continue
		}
		for k := range a.Graphs {
			c.graphs(a.Graphs[k], b.Graphs[k])
		}
	}
}

// same compares two attributes, except for the graphs in them.
func (c *comparison) same(a, b *Attr) bool {
	if a.Kind != b.Kind || a.Ref != b.Ref || a.Int != b.Int || a.Float != b.Float || a.Text != b.Text ||
		!slices.Equal(a.Ints, b.Ints) || !slices.Equal(a.Floats, b.Floats) || len(a.Graphs) != len(b.Graphs) || (a.Tensor == nil) != (b.Tensor == nil) {
		return false
	}
	switch a.Kind {
	case KindFloat, KindInt, KindGraph, KindGraphs, KindFloats, KindInts:
		return true
	case KindTensor:
		return sameTensor(a.Tensor, b.Tensor)
	}
	x, errX := read(c.m, a.span)
	y, errY := read(c.fused, b.span)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func sameTensor(a, b *Tensor) bool {
	if a == nil || b == nil {
		return a == b
	}
	same, err := tensor.Equal(a.Tensor, b.Tensor)
	return same && err == nil
}

func read(m *Model, s span) ([]byte, error) {
	b := make([]byte, s.to-s.from)
	return b, tensor.ReadFull(m.file.in, b, s.from)
}

// layer holds the node that makes what a layer makes to being that layer, and notes what
// its tensors are called.
func (c *comparison) layer(n NewNode, fresh []tensor.Spec, made map[string]*Node, seen map[*Node]bool) {
	d := made[firstOut(n.Outs)]
	if d == nil {
		c.differ(fmt.Sprintf("%s node that makes %q", n.Op, firstOut(n.Outs)), "none", "it")
		return
	}
	seen[d] = true
	if d.Op.Name != n.Op || d.Op.Domain != n.Domain {
		c.differ(d.String(), d.Op.Name, n.Op)
		return
	}
	if len(d.in) != len(n.In) {
		c.differ(d.String(), fmt.Sprintf("%d inputs", len(d.in)), fmt.Sprint(len(n.In)))
		return
	}
	for k, name := range n.In {
		switch {
		case slices.ContainsFunc(fresh, func(s tensor.Spec) bool { return s.Key == name }):
			if v := d.In[k]; v == nil || v.Tensor == nil {
				c.differ(d.String(), fmt.Sprintf("input %d is no constant", k), "a tensor")
			} else {
				c.keys[name] = v.Tensor.Key
			}
		case d.in[k] != name:
			c.differ(d.String(), fmt.Sprintf("reads %q", d.in[k]), fmt.Sprintf("%q", name))
		}
	}
	if n.Like != nil {
		c.attributes(n.Like, d)
		return
	}
	for _, a := range n.Attrs {
		if got := intsOf(d.Attr(a.Name)); !slices.Equal(got, a.Ints) && !(got == nil && usual(a)) {
			c.differ(d.String(), fmt.Sprintf("%s %v", a.Name, got), fmt.Sprint(a.Ints))
		}
	}
	if n.Op == "Gemm" && !plainGemm(n, d) {
		c.differ(d.String(), "other attributes", "those of the layer")
	}
	if auto := textAttr(d, "auto_pad", "NOTSET"); auto != "NOTSET" {
		c.differ(d.String(), "auto_pad "+auto, "pads")
	}
}

// plainGemm reports whether a Gemm is a product and a sum and no more, transposed as the
// layer says.
func plainGemm(n NewNode, d *Node) bool {
	one := func(name string) bool { a := d.Attr(name); return a == nil || a.Float == 1 }
	turned := slices.ContainsFunc(n.Attrs, func(a NewAttr) bool { return a.Name == "transB" })
	return intAttr(d, "transA", 0) == 0 && one("alpha") && one("beta") && (turned || intAttr(d, "transB", 0) == 0)
}

// usual reports whether an attribute says what is so without it.
func usual(a NewAttr) bool {
	usual := 1
	switch a.Name {
	case "kernel_shape": // the weight has it
		return true
	case "transB", "broadcast":
		return false
	case "pads":
		usual = 0
	}
	return !slices.ContainsFunc(a.Ints, func(n int) bool { return n != usual })
}

func intsOf(a *Attr) []int {
	if a == nil {
		return nil
	}
	if a.Kind == KindInt {
		return []int{int(a.Int)}
	}
	list := make([]int, len(a.Ints))
	for k, n := range a.Ints {
		list[k] = int(n)
	}
	return list
}
