package onnx

import (
	"cmp"
	"slices"

	"repfuse/internal/graph"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// Net is the graph of a model, or a body in it, as package graph sees it.
type Net struct {
	graph.Graph
	// Of is, for each of the Nodes, those of the model that it stands for; the last of them
	// makes its output.
	Of [][]*Node
	// Vals is, for each of the Values, that of the model.
	Vals []*Value
	// Rounded says, for each of the Nodes, that constants in it were computed, or compared,
	// in the file's own precision: a layer made of it is equivalent at best.
	Rounded []bool

	g     *Graph
	facts *facts
	axes  map[*Value]int // that the channels are along
	index map[*Value]int
	whole map[*Node]*border // by the last of its nodes
	part  map[*Node]bool    // the other nodes of borders
}

// Nets translates the model's graph and then its bodies. With freeze, initializers that are
// inputs too count as constants.
func (m *Model) Nets(freeze bool) []*Net {
	m.inline()
	f := newFacts(m, freeze)
	var all []*Net
	m.Graph.walk(func(g *Graph) {
		net := &Net{g: g, facts: f, index: map[*Value]int{}, axes: map[*Value]int{}, whole: map[*Node]*border{}, part: map[*Node]bool{}}
		net.borders()
		for _, n := range g.Nodes {
			net.node(n)
		}
		all = append(all, net)
	})
	return all
}

// value is the index of a value, which is entered when it is first met.
func (t *Net) value(v *Value) int {
	k, known := t.index[v]
	if !known {
		k = len(t.Values)
		t.index[v] = k
		t.Vals = append(t.Vals, v)
		t.Values = append(t.Values, graph.Value{Name: v.Name, Shape: t.facts.shapes[v], Output: v.Output})
	}
	return k
}

// node enters a node, unless what it makes is a constant.
func (t *Net) node(n *Node) {
	if t.part[n] {
		return
	}
	if extents[n.Op.Name] && n.Op.Domain == "" && len(n.In) == 1 && t.facts.consts[n.In[0]] == nil {
		t.Values[t.value(n.In[0])].Measured = true
		return
	}
	if len(n.Out) == 1 && t.facts.consts[n.Out[0]] != nil {
		return
	}
	out, of := graph.Node{Name: n.label(), Type: n.Op.Name}, []*Node{n}
	if b := t.whole[n]; b != nil {
		of, out.Type = b.nodes(), b.pad.Op.Name
	}
	made := slices.DeleteFunc(slices.Clone(n.Out), func(v *Value) bool { return v == nil })
	s, why := t.step(n)
	if s != nil && s.kind != graph.Opaque && (len(made) != 1 || made[0] != n.Out[0]) {
		s, why = nil, "of more than one output"
	}
	if s == nil || slices.ContainsFunc(s.reads, func(v *Value) bool { return t.facts.consts[v] != nil }) {
		s = &step{reads: append(slices.Clone(n.In), captures(n)...)}
		out.Why = why
	}
	out.Kind, out.Op, out.After, out.Axis, out.Minus, out.Border, out.Computed = s.kind, s.op, s.after, s.axis, s.minus, s.border, s.made
	for _, v := range s.reads {
		if v != nil && t.facts.consts[v] == nil {
			out.Inputs = append(out.Inputs, t.value(v))
		}
	}
	out.To = s.to
	for _, v := range made {
		out.Outputs = append(out.Outputs, t.value(v))
	}
	if s.kind != graph.Opaque {
		t.axes[n.Out[0]] = t.axisAfter(n, s)
	}
	t.Nodes, t.Of, t.Rounded = append(t.Nodes, out), append(t.Of, of), append(t.Rounded, s.rounded)
}

// axisAfter is where the channels of a node's output are, as far as the steps before it say;
// graph.AnyAxis where none does.
func (t *Net) axisAfter(n *Node, s *step) int {
	switch {
	case s.kind == graph.Move:
		return s.to
	case s.axis != graph.AnyAxis:
		return s.axis
	}
	return t.axes[s.reads[0]]
}

// label is a node's name, or its first output's.
func (n *Node) label() string {
	for _, v := range n.Out {
		if n.Name == "" && v != nil {
			return v.Name
		}
	}
	return n.Name
}

// captures is what the bodies of a node read from around them, once for each time.
func captures(n *Node) []*Value {
	var all []*Value
	within := map[*Graph]bool{}
	for _, a := range n.Attrs {
		for _, body := range a.Graphs {
			body.walk(func(g *Graph) { within[g] = true })
		}
	}
	for g := range within {
		for _, inner := range g.Nodes {
			for _, v := range inner.In {
				if v != nil && !within[v.graph] {
					all = append(all, v)
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b *Value) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// extents are the operators that ask for a value's shape and for nothing else of it.
var extents = map[string]bool{"Shape": true, "Size": true}

// step is a node that package graph need not take for opaque.
type step struct {
	kind    graph.Kind
	op      op.Expr
	reads   []*Value
	after   []int
	axis    int
	to      int // of a move
	minus   []bool
	border  bool
	made    bool // by other nodes, its constants are
	rounded bool
}

// steps are the operators that are linear under conditions. Each gives the step, or why
// it is none, "" where nobody would ask.
var steps map[string]func(t *Net, n *Node) (*step, string)

func init() {
	steps = map[string]func(t *Net, n *Node) (*step, string){
		"Conv": (*Net).conv, "ConvTranspose": (*Net).conv, "Gemm": (*Net).gemm, "MatMul": (*Net).matMul,
		"BatchNormalization": (*Net).norm, "Add": (*Net).sum, "Sum": (*Net).sum, "Sub": (*Net).sum,
		"Mul": (*Net).scale, "Div": (*Net).scale, "Neg": (*Net).neg, "Identity": (*Net).identity, "Dropout": (*Net).dropout,
		"Transpose": (*Net).transpose, "Reshape": (*Net).reshape, "Flatten": (*Net).reshape,
		"Pad": (*Net).pad, "Slice": (*Net).slice, "AveragePool": (*Net).pool, "MaxPool": (*Net).sample, "Concat": (*Net).concat,
	}
}

// step finds what a node does.
func (t *Net) step(n *Node) (*step, string) {
	if b := t.whole[n]; b != nil {
		return b.step, ""
	}
	find := steps[n.Op.Name]
	switch {
	case find == nil || n.Op.Domain != "" || len(n.In) == 0 || n.In[0] == nil || len(n.Out) == 0 || n.Out[0] == nil:
		return nil, ""
	case t.facts.types[n.In[0]] != tensor.Invalid && !t.facts.types[n.In[0]].IsFloat():
		return nil, ""
	case t.facts.m.Opset < 7 && intAttr(n, "broadcast", 0) != 0:
		return nil, "broadcasts as before opset 7"
	}
	return find(t, n)
}

// constant is an input that is a constant of floating type, else nil.
func (t *Net) constant(n *Node, k int) *Const {
	if k >= len(n.In) || n.In[k] == nil {
		return nil
	}
	if c := t.facts.consts[n.In[k]]; c != nil && c.Type.IsFloat() {
		return c
	}
	return nil
}

// absent reports whether a node leaves an input out.
func absent(n *Node, k int) bool { return k >= len(n.In) || n.In[k] == nil }

// linear is a step of the node's first input alone.
func linear(n *Node, e op.Expr, axis int, of ...*Const) *step {
	s := &step{kind: graph.Linear, op: e, axis: axis, reads: n.In[:1]}
	for _, c := range of {
		s.rounded, s.made = s.rounded || c != nil && c.Rounded, s.made || c != nil && c.Made
	}
	return s
}

// vector is a constant as one of so many elements.
func vector(c *Const, size int) (*op.Param, bool) {
	if c == nil || len(c.Shape) == 0 || c.Shape[len(c.Shape)-1] != size || tensor.Elems(c.Shape) != size {
		return nil, false
	}
	p := c.Named
	p.Shape = []int{size}
	return &p, true
}
