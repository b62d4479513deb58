package onnx

import (
	"fmt"
	"math"
	"slices"

	"repfuse/internal/graph"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

const noConstant = "its weight is no constant"

func (t *Net) conv(n *Node) (*step, string) {
	w, b := t.constant(n, 1), t.constant(n, 2)
	switch {
	case w == nil:
		return nil, noConstant
	case b == nil && !absent(n, 2):
		return nil, "its bias is no constant"
	case len(w.Shape) < 3 || slices.Min(w.Shape) < 1 || groupOf(n) == 0:
		return nil, fmt.Sprintf("its weight has the shape %v", w.Shape)
	}
	kernel := w.Shape[2:]
	if k := kernelOf(n); n.Attr("kernel_shape") != nil && !slices.Equal(k, kernel) {
		return nil, fmt.Sprintf("its kernel_shape is not that of its weight, %v", w.Shape)
	}
	c := op.Conv{Weight: w.Named, Transposed: n.Op.Name == "ConvTranspose", Groups: groupOf(n)}
	if b != nil {
		out := w.Shape[0]
		if c.Transposed {
			out = w.Shape[1] * c.Groups
		}
		p, ok := vector(b, out)
		if !ok {
			return nil, fmt.Sprintf("its bias has the shape %v", b.Shape)
		}
		c.Bias = p
	}
	g, err := slidingOf(n, t.facts.shape(n, 0), kernel)
	s := linear(n, c, graph.Channels, w, b)
	switch {
	case c.Transposed: // its own attributes stay
	case err != nil:
		return nil, err.Error()
	default:
		c.Stride, c.Padding, c.Dilation, s.after = g.stride, g.begin, g.dilation, g.end
		s.op = c
	}
	return s, ""
}

// matrix is a layer of x·w, or x·wᵀ where rows is true.
func matrix(w *Const, rows bool) op.Conv { return op.Conv{Weight: w.Named, Transposed: !rows} }

func (t *Net) gemm(n *Node) (*step, string) {
	w, b := t.constant(n, 1), t.constant(n, 2)
	switch {
	case w == nil:
		return nil, noConstant
	case len(w.Shape) != 2 || slices.Min(w.Shape) < 1:
		return nil, fmt.Sprintf("its weight has the shape %v", w.Shape)
	case intAttr(n, "transA", 0) != 0:
		return nil, "its input is transposed"
	case b == nil && !absent(n, 2):
		return nil, "its bias is no constant"
	}
	rows := intAttr(n, "transB", 0) != 0
	c := matrix(w, rows)
	out := w.Shape[1]
	if rows {
		out = w.Shape[0]
	}
	e := op.Seq{c}
	alpha, beta := floatAttr(n, "alpha"), floatAttr(n, "beta")
	if alpha != 1 {
		e = append(e, op.Scale{Factor: alpha})
	}
	s := linear(n, nil, graph.Channels, w, b)
	if b != nil && beta != 0 {
		p, ok := vector(b, out)
		if !ok {
			return nil, fmt.Sprintf("its bias has the shape %v", b.Shape)
		}
		if alpha == 1 && beta == 1 {
			c.Bias = p
			e[0] = c
		} else {
			p = t.times(p, beta, s)
			e = append(e, op.Shift{By: p})
		}
	}
	s.op = e
	if len(e) == 1 {
		s.op = e[0]
	}
	return s, ""
}

func floatAttr(n *Node, name string) float64 {
	if a := n.Attr(name); a != nil {
		return float64(a.Float)
	}
	return 1
}

// times is a vector times a number, which float64 holds exactly unless the vector has
// that type itself.
func (t *Net) times(p *op.Param, by float64, s *step) *op.Param {
	if by == 1 {
		return p
	}
	s.rounded = s.rounded || p.Type == tensor.F64
	return computedParam(p, fmt.Sprintf("%s · %g", p.Key, by), func(v float64) float64 { return v * by })
}

// computedParam is a vector in float64 that is made of another, element by element.
func computedParam(p *op.Param, key string, f func(float64) float64) *op.Param {
	from := p.Tensor
	return &op.Param{Key: key, Tensor: tensor.Later(tensor.F64, from.Shape, func() ([]float64, error) {
		v, err := from.Floats()
		for k := range v {
			v[k] = f(v[k])
		}
		return v, err
	})}
}

func (t *Net) matMul(n *Node) (*step, string) {
	w := t.constant(n, 1)
	switch {
	case w == nil:
		return nil, "" // two values
	case len(w.Shape) != 2 || slices.Min(w.Shape) < 1:
		return nil, fmt.Sprintf("its weight has the shape %v", w.Shape)
	case t.facts.consts[n.In[0]] != nil:
		return nil, ""
	}
	axis := graph.LastAxis
	switch x := t.facts.shape(n, 0); {
	case len(x) == 2:
		axis = graph.Channels
	case len(x) == 1:
		return nil, "its input is one vector"
	}
	return linear(n, matrix(w, false), axis, w), ""
}

func (t *Net) norm(n *Node) (*step, string) {
	opset := t.facts.m.Opset
	extra := slices.ContainsFunc(n.Out[1:], func(v *Value) bool { return v != nil })
	switch {
	case intAttr(n, "training_mode", 0) != 0 || opset < 7 && intAttr(n, "is_test", 0) == 0 || extra:
		return nil, "in training mode"
	case intAttr(n, "spatial", 1) == 0:
		return nil, "statistics for each position (spatial=0)"
	}
	var p [4]*op.Param
	var c [4]*Const
	for k := range p {
		if c[k] = t.constant(n, k+1); c[k] == nil {
			return nil, "its statistics are no constants"
		}
		var ok bool
		if p[k], ok = vector(c[k], tensor.Elems(c[0].Shape)); !ok || len(c[k].Shape) != 1 {
			return nil, fmt.Sprintf("its statistics have the shapes %v and %v", c[0].Shape, c[k].Shape)
		}
	}
	eps := float64(float32(1e-5)) // the default is stored as a float32 too
	if a := n.Attr("epsilon"); a != nil {
		eps = float64(a.Float)
	}
	return linear(n, op.BatchNorm{Gamma: p[0], Beta: p[1], Mean: p[2], Var: p[3], Eps: eps}, graph.Channels, c[:]...), ""
}

// sum is an addition of values, or of a value and a constant.
func (t *Net) sum(n *Node) (*step, string) {
	var values []*Value
	var c *Const
	at := 0 // of the value that a constant is added to
	for k, v := range n.In {
		switch {
		case v == nil:
			return nil, ""
		case t.facts.consts[v] == nil:
			values, at = append(values, v), k
		default:
			c = t.constant(n, k)
		}
	}
	minus := n.Op.Name == "Sub"
	switch {
	case len(values) == len(n.In):
		return t.addition(n, values, minus)
	case len(values) != 1 || len(n.In) != 2 || c == nil:
		return nil, "" // of constants, or of integers
	}
	by, axis, why := t.perChannel(c, values[0])
	if why != "" {
		return nil, "adds a constant " + why
	}
	shift := op.Expr(op.Shift{By: by.p, Term: by.number})
	if minus {
		shift = op.Seq{op.Scale{Factor: -1}, shift}
		if at == 0 {
			shift = op.Seq{op.Scale{Factor: -1}, op.Shift{By: by.p, Term: by.number}, op.Scale{Factor: -1}}
		}
	}
	s := linear(n, shift, axis, c)
	s.reads = values
	return s, ""
}

// addition is one of values alone, which may not broadcast.
func (t *Net) addition(n *Node, values []*Value, minus bool) (*step, string) {
	if len(values) == 1 {
		return linear(n, op.Identity{}, graph.AnyAxis), ""
	}
	first := t.facts.shapes[values[0]]
	for _, v := range values[1:] {
		s := t.facts.shapes[v]
		if s == nil || first == nil {
			return nil, "the number of axes of what it adds is unknown"
		}
		if len(s) != len(first) {
			return nil, "broadcasts"
		}
		for a, d := range s {
			if d >= 0 && first[a] >= 0 && d != first[a] || (d == 1) != (first[a] == 1) {
				return nil, "broadcasts"
			}
		}
	}
	s := &step{kind: graph.Add, reads: values, axis: graph.AnyAxis}
	if minus {
		s.minus = []bool{false, true}
	}
	return s, ""
}

// factor is a constant that acts on channels: a vector of the file, or a number.
type factor struct {
	p      *op.Param
	number float64
}

// perChannel says whether a constant, laid over a value, is one number or one for each
// channel, and along which axis. Shapes are aligned at their ends: [C] alone lies along
// the last axis.
func (t *Net) perChannel(c *Const, v *Value) (by factor, axis int, why string) {
	shape, n := t.facts.shapes[v], tensor.Elems(c.Shape)
	if shape == nil && (n != 1 || len(c.Shape) > 1) {
		return by, 0, "to a value whose number of axes is unknown"
	}
	if shape != nil && len(c.Shape) > len(shape) {
		return by, 0, fmt.Sprintf("of the shape %v, which has more axes than the value", c.Shape)
	}
	if n == 1 {
		if t.facts.m.listed[c.Key] {
			by.p, _ = vector(&Const{Named: tensor.Named{Key: c.Key, Tensor: tensor.Tensor{Type: c.Type, Shape: []int{1}, Open: c.Open}}}, 1)
			return by, graph.AnyAxis, ""
		}
		a, err := c.array()
		if err != nil || len(a.f) != 1 {
			return by, 0, "that cannot be computed"
		}
		by.number = a.f[0]
		return by, graph.AnyAxis, ""
	}
	along := slices.IndexFunc(c.Shape, func(d int) bool { return d != 1 })
	a := len(shape) - len(c.Shape) + along
	switch {
	case c.Shape[along] != n || n == 0 || a == 0:
		return by, 0, fmt.Sprintf("of the shape %v, not one for each channel", c.Shape)
	case a == 1:
		axis = graph.Channels
	case a == len(shape)-1:
		axis = graph.LastAxis
	default:
		return by, 0, fmt.Sprintf("of the shape %v, not one for each channel", c.Shape)
	}
	if shape[a] >= 0 && shape[a] != n {
		return by, 0, fmt.Sprintf("of the shape %v to a value of the shape %v", c.Shape, shape)
	}
	p := c.Named
	p.Shape = []int{n}
	by.p = &p
	return by, axis, ""
}

// scale is a multiplication or a division by a constant.
func (t *Net) scale(n *Node) (*step, string) {
	if len(n.In) != 2 || n.In[1] == nil {
		return nil, ""
	}
	k := 1 // of the constant
	if t.facts.consts[n.In[0]] != nil {
		k = 0
	}
	c, div := t.constant(n, k), n.Op.Name == "Div"
	if c == nil || t.facts.consts[n.In[1-k]] != nil || div && k == 0 {
		return nil, ""
	}
	by, axis, why := t.perChannel(c, n.In[1-k])
	if why != "" {
		return nil, "multiplies by a constant " + why
	}
	s := linear(n, nil, axis, c)
	switch {
	case div && by.p != nil: // a reciprocal is rounded
		by.p, s.rounded = computedParam(by.p, "1/"+by.p.Key, func(v float64) float64 { return 1 / v }), true
	case div:
		f, _ := math.Frexp(by.number)
		by.number, s.rounded = 1/by.number, s.rounded || math.Abs(f) != 0.5
	}
	if math.IsInf(by.number, 0) || math.IsNaN(by.number) {
		return nil, "divides by 0"
	}
	s.op, s.reads = op.Scale{By: by.p, Factor: by.number}, n.In[1-k:2-k]
	return s, ""
}

func (t *Net) neg(n *Node) (*step, string) {
	return linear(n, op.Scale{Factor: -1}, graph.AnyAxis), ""
}

func (t *Net) identity(n *Node) (*step, string) {
	return linear(n, op.Identity{}, graph.AnyAxis), ""
}

// dropout is nothing but in training.
func (t *Net) dropout(n *Node) (*step, string) {
	training := t.facts.m.Opset < 7 && intAttr(n, "is_test", 0) == 0
	if !absent(n, 2) {
		mode, known := t.facts.ints(n.In[2])
		training = training || !known || len(mode) != 1 || mode[0] != 0
	}
	if training || len(n.Out) > 1 && n.Out[1] != nil {
		return nil, "in training mode"
	}
	return t.identity(n)
}
