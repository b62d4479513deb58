package onnx

import (
	"fmt"
	"math"
	"slices"

	"repfuse/internal/tensor"
)

// facts are what is known of a model's values without running it.
type facts struct {
	m      *Model
	shapes map[*Value][]int // nil: not even the rank is known; −1: an unknown extent
	consts map[*Value]*Const
	types  map[*Value]tensor.Type // as far as they are known
	freeze bool
	cached int // elements that are kept
	spent  int // elements that were computed
}

// Const is a value that no input changes: an initializer, or what nodes make of some.
type Const struct {
	// Named is its elements. The key is the initializer's, or the name of the value.
	tensor.Named
	// Rounded says that it was computed in the file's own precision, so that a runtime
	// may find it another by as much.
	Rounded bool
	// Made says that nodes compute it, other than those that only name its shape.
	Made bool

	eval func() (*array, error)
	kept *array // of a short one
	work int    // elements that are computed for it each time
}

// keptElems is how long a constant may be to be kept; all of them together may have
// keptTotal elements.
const (
	keptElems = 4 << 10
	keptTotal = 1 << 20
)

// maxWork bounds the elements that are computed for one constant, maxSpent those that are
// computed to find out what is constant: some seconds.
const (
	maxWork  = 1 << 24
	maxSpent = 1 << 27
)

// newFacts infers the shapes and the constants of the model. With freeze, initializers
// that are inputs count as constants: what they are by default.
func newFacts(m *Model, freeze bool) *facts {
	f := &facts{m: m, shapes: map[*Value][]int{}, consts: map[*Value]*Const{}, types: map[*Value]tensor.Type{}, freeze: freeze}
	f.graph(m.Graph, false)
	return f
}

func (f *facts) graph(g *Graph, body bool) {
	for _, v := range g.Inputs {
		if v.info != nil {
			f.types[v] = elems[v.info.elem]
		}
		if v.info == nil || !v.info.known {
			continue
		}
		f.shapes[v] = append([]int{}, v.info.dims...)
		if body { // what a loop carries may change its extents
			f.shapes[v] = slices.Repeat([]int{-1}, len(v.info.dims))
		}
	}
	f.initializers(g)
	f.ranks(g)
	for _, n := range g.Nodes {
		for _, a := range n.Attrs {
			for _, b := range a.Graphs {
				f.graph(b, true)
			}
		}
		f.node(n)
	}
}

// initializers enters those that are constants, and the shapes of the others.
func (f *facts) initializers(g *Graph) {
	for _, v := range g.given {
		t := v.Tensor
		switch {
		case t == nil:
		case t.Type == tensor.Invalid || f.m.bound[v.Name] || v.Input && f.m.IR >= 4 && !f.freeze:
			f.shapes[v] = t.Shape
		default:
			f.stored(v, t.Tensor, t.Key)
		}
		if t != nil {
			f.types[v] = t.Type
		}
	}
}

// stored makes a value a constant of the file.
func (f *facts) stored(v *Value, t tensor.Tensor, key string) {
	f.shapes[v], f.types[v] = t.Shape, t.Type
	if t.Type == tensor.C64 || t.Type >= tensor.C128 { // there is nothing to compute with
		return
	}
	c := &Const{Named: tensor.Named{Key: key, Tensor: t}, work: t.Len()}
	c.eval = func() (*array, error) { return readArray(t) }
	f.consts[v] = c
	f.keep(c)
}

// keep computes a short constant of integers at once, since shapes are made of them.
func (f *facts) keep(c *Const) error {
	n := tensor.Elems(c.Shape)
	if n > keptElems || f.cached+n > keptTotal || c.Type.IsFloat() {
		return nil
	}
	if f.spent += c.work; f.spent > maxSpent {
		return errFold
	}
	a, err := c.eval()
	if err == nil {
		c.kept, c.work = a, n
		f.cached += n
	}
	return err
}

// array is the constant's elements.
func (c *Const) array() (*array, error) {
	if c.kept != nil {
		return c.kept, nil
	}
	return c.eval()
}

// ranks gives a value that a convolution reads the axes that its weight says it has.
// value_info is not asked: it is often missing, or older than the graph.
func (f *facts) ranks(g *Graph) {
	for _, n := range g.Nodes {
		if n.Op.Domain != "" || n.Op.Name != "Conv" || len(n.In) < 2 || n.In[0] == nil || n.In[1] == nil {
			continue
		}
		if w := f.shapes[n.In[1]]; len(w) > 2 && f.shapes[n.In[0]] == nil && n.In[0].Maker == nil {
			f.shapes[n.In[0]] = slices.Concat([]int{-1, times(w[1], groupOf(n))}, slices.Repeat([]int{-1}, len(w)-2))
		}
	}
}

// node infers the shapes of what a node makes, and computes it if it can.
func (f *facts) node(n *Node) {
	if n.Op.Domain != "" {
		return
	}
	if n.Op.Name == "Constant" {
		f.constant(n)
		return
	}
	shapes, typ := f.infer(n), f.resultType(n)
	for k, v := range n.Out {
		f.types[v] = typ
		switch {
		case v == nil:
		case k < len(shapes) && shapes[k] != nil:
			f.shapes[v] = shapes[k]
		case v.info != nil && v.info.known: // nothing better is known
			f.shapes[v] = slices.Repeat([]int{-1}, len(v.info.dims))
		}
	}
	if len(n.Out) == 1 && n.Out[0] != nil {
		f.fold(n, n.Out[0])
	}
}

// constant enters what a Constant node holds.
func (f *facts) constant(n *Node) {
	v := n.Out[0]
	if v == nil {
		return
	}
	for _, a := range n.Attrs {
		var b *array
		switch a.Name {
		case "value":
			if a.Tensor != nil && a.Tensor.Type != tensor.Invalid {
				f.stored(v, a.Tensor.Tensor, v.Name)
			}
		case "value_float":
			b = &array{tensor.F32, []int{}, []float64{float64(a.Float)}, nil}
		case "value_int":
			b = &array{tensor.I64, []int{}, nil, []int64{a.Int}}
		case "value_ints":
			b = &array{tensor.I64, []int{len(a.Ints)}, nil, a.Ints}
		case "value_floats":
			b = &array{typ: tensor.F32, shape: []int{len(a.Floats)}}
			for _, x := range a.Floats {
				b.f = append(b.f, float64(x))
			}
		}
		if b != nil {
			f.computed(v, b.typ, b.shape, 1, func() (*array, error) { return b, nil })
		}
	}
}

// computed makes a value a constant whose elements eval finds.
func (f *facts) computed(v *Value, t tensor.Type, shape []int, work int, eval func() (*array, error)) *Const {
	open := func() (tensor.Data, error) {
		a, err := eval()
		if err != nil {
			return nil, fmt.Errorf("%q: %w", v.Name, err)
		}
		return tensor.FromBytes(t, shape, a.bytes()).Open()
	}
	c := &Const{Named: tensor.Named{Key: v.Name, Tensor: tensor.Tensor{Type: t, Shape: shape, Open: open}}, eval: eval, work: work}
	if work > maxWork || f.keep(c) != nil {
		return nil
	}
	f.consts[v], f.shapes[v], f.types[v] = c, shape, t
	return c
}

// fold makes a value a constant if all that its node reads is.
func (f *facts) fold(n *Node, v *Value) {
	if n.Op.Name == "Shape" && len(n.In) == 1 {
		f.shapeNode(n, v)
		return
	}
	shape := f.shapes[v]
	eval, rounds := rounders[n.Op.Name]
	if !rounds {
		eval = movers[n.Op.Name]
	}
	if size, err := tensor.Count(shape, tensor.F64); eval == nil || shape == nil || err != nil || size > maxElems && !isView[n.Op.Name] {
		return
	}
	in := make([]*Const, len(n.In))
	work, partial := tensor.Elems(shape), false
	for k, x := range n.In {
		if x == nil {
			continue
		}
		if in[k] = f.consts[x]; in[k] == nil {
			return
		}
		work += in[k].work
		partial = partial || in[k].kept != nil && in[k].kept.partial()
		rounds = rounds || in[k].Rounded
	}
	t := f.types[v]
	if !enough(n, in) || t == tensor.Invalid || partial && (t.IsFloat() || tensor.Elems(shape) > keptElems) {
		return
	}
	if moved := in[0]; isView[n.Op.Name] {
		c := *moved
		if c.work++; c.work > maxWork || tensor.Elems(shape) != tensor.Elems(c.Shape) {
			return
		}
		c.Shape, f.consts[v] = shape, &c
		if c.kept != nil {
			c.kept = &array{c.kept.typ, shape, c.kept.f, c.kept.i}
		}
		c.eval = func() (*array, error) {
			a, err := moved.array()
			if err != nil {
				return nil, err
			}
			return &array{a.typ, shape, a.f, a.i}, nil
		}
		return
	}
	if c := f.computed(v, t, shape, work, func() (*array, error) { return evaluate(n, shape, in, eval) }); c != nil {
		c.Rounded, c.Made = rounds && t.IsFloat(), true
	}
}

// enough reports whether a node has the inputs that its evaluator takes.
func enough(n *Node, in []*Const) bool {
	least, most := 1, len(in)
	switch n.Op.Name {
	case "Neg", "Abs", "Sqrt", "Exp":
		most = 1
	case "Add", "Sub", "Mul", "Div", "Pow", "Equal":
		least, most = 2, 2
	case "Gather", "Expand", "Conv", "MatMul":
		least = 2
	case "Where", "ScatterND", "Range":
		least = 3
	case "Concat":
		least = len(in)
	}
	return least <= len(in) && len(in) <= most && !slices.Contains(in[:least], nil)
}

// isView is the operators that give the elements in the same order.
var isView = map[string]bool{"Identity": true, "Reshape": true, "Flatten": true, "Squeeze": true, "Unsqueeze": true}

func evaluate(n *Node, shape []int, in []*Const, eval evaluator) (*array, error) {
	arrays := make([]*array, len(in))
	for k, c := range in {
		if c == nil {
			continue
		}
		var err error
		if arrays[k], err = c.array(); err != nil {
			return nil, err
		}
	}
	return eval(n, shape, arrays)
}

// resultType is the element type of what a node makes, Invalid where it is not known.
func (f *facts) resultType(n *Node) tensor.Type {
	of := func(k int) tensor.Type {
		if k >= len(n.In) || n.In[k] == nil {
			return tensor.Invalid
		}
		return f.types[n.In[k]]
	}
	switch n.Op.Name {
	case "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Not", "And", "Or":
		return tensor.Bool
	case "Shape", "Size", "ArgMax", "ArgMin", "NonZero":
		return tensor.I64
	case "Cast":
		return castTo(n)
	case "ConstantOfShape":
		if a := n.Attr("value"); a != nil && a.Tensor != nil {
			return a.Tensor.Type
		}
		return tensor.F32
	case "Where":
		return of(1)
	}
	if inferrers[n.Op.Name] == nil {
		return tensor.Invalid
	}
	return of(0)
}

// shapeNode computes a Shape as far as the extents are known.
func (f *facts) shapeNode(n *Node, v *Value) {
	shape := f.shapes[n.In[0]]
	if shape == nil {
		return
	}
	bound := func(name string, otherwise int) int {
		k := int(max(math.MinInt32, min(math.MaxInt32, intAttr(n, name, int64(otherwise)))))
		if k < 0 {
			k += len(shape)
		}
		return min(max(k, 0), len(shape))
	}
	from, to := bound("start", 0), bound("end", len(shape))
	a := &array{typ: tensor.I64, shape: []int{max(0, to-from)}}
	for _, d := range shape[from:max(from, to)] {
		if d < 0 {
			a.i = append(a.i, unknown)
		} else {
			a.i = append(a.i, int64(d))
		}
	}
	f.computed(v, a.typ, a.shape, 1, func() (*array, error) { return a, nil })
}

// ints are the elements of a constant of integers, if all are known.
func (f *facts) ints(v *Value) ([]int64, bool) {
	c := f.consts[v]
	if v == nil || c == nil || c.kept == nil || c.kept.partial() || c.Type.IsFloat() {
		return nil, false
	}
	return c.kept.i, true
}
