package graph_test

import (
	"fmt"
	"math"

	"repfuse/internal/graph"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// image is what a value holds in a test: channels of a grid.
type image struct {
	channels int
	size     []int
	data     []float64
}

func zeros(channels int, size []int) image {
	return image{channels, size, make([]float64, channels*tensor.Elems(size))}
}

// at is an element, zero outside the grid.
func (m image) at(c int, p []int) float64 {
	i := c
	for a, n := range m.size {
		if p[a] < 0 || p[a] >= n {
			return 0
		}
		i = i*n + p[a]
	}
	return m.data[i]
}

// each calls visit on all places of a grid.
func each(size []int, visit func(p []int)) {
	p := make([]int, len(size))
	for range tensor.Elems(size) {
		visit(p)
		for a := len(p) - 1; a >= 0; a-- {
			if p[a]++; p[a] < size[a] {
				break
			}
			p[a] = 0
		}
	}
}

func floats(p *op.Param, n int, otherwise float64) []float64 {
	v := make([]float64, n)
	for k := range v {
		v[k] = otherwise
	}
	if p != nil {
		stored, err := p.Floats()
		if err != nil {
			panic(err)
		}
		for k := range v {
			v[k] = stored[k%len(stored)]
		}
	}
	return v
}

// run computes all values of a graph from those it is given, step by step: each node
// pads, steps and sums as its own operator says. It reports false where a size is not
// one that the nodes can have. borders is what those that make a value with one pad with.
func run(g *graph.Graph, borders map[int][]float64, given map[int]image) (values map[int]image, ok bool) {
	values = map[int]image{}
	for v, m := range given {
		values[v] = m
	}
	for k := range g.Nodes {
		n := &g.Nodes[k]
		var y image
		for _, v := range n.Inputs {
			if _, made := values[v]; !made {
				panic(fmt.Sprintf("node %d reads value %d, which is gone", k, v))
			}
		}
		switch x := values[n.Inputs[0]]; n.Kind {
		case graph.Opaque: // a rectifier
			y = image{x.channels, x.size, append([]float64(nil), x.data...)}
			for i := range y.data {
				y.data[i] = max(y.data[i], 0)
			}
		case graph.Linear:
			if n.Border {
				y = bordered(x, n, borders[n.Outputs[0]])
			} else if y, ok = apply(n.Op, x, n.After); !ok {
				return nil, false
			}
		case graph.Add:
			y = zeros(x.channels, x.size)
			for i, v := range n.Inputs {
				x := values[v]
				if x.channels != y.channels || !equal(x.size, y.size) {
					return nil, false
				}
				sign := 1.0
				if n.Minus != nil && n.Minus[i] {
					sign = -1
				}
				for j := range y.data {
					y.data[j] += sign * x.data[j]
				}
			}
		case graph.Concat:
			y.size = x.size
			for _, v := range n.Inputs {
				if !equal(values[v].size, x.size) {
					return nil, false
				}
				y.channels += values[v].channels
				y.data = append(y.data, values[v].data...)
			}
		}
		values[n.Outputs[0]] = y
	}
	return values, true
}

// bordersOf is the borders of a graph, by the values that have them.
func bordersOf(g *graph.Graph) map[int][]float64 {
	all := map[int][]float64{}
	for k, n := range g.Nodes {
		if n.Border {
			all[n.Outputs[0]] = forZeros(g, k)
		}
	}
	return all
}

// forZeros is what the steps before node k, back to a convolution, give for zeros; nil if
// one of them does not act on channels.
func forZeros(g *graph.Graph, k int) []float64 {
	var steps []op.Expr
	v := g.Nodes[k].Inputs[0]
	channels := 0
	for j := k - 1; j >= 0; j-- {
		n := &g.Nodes[j]
		if n.Outputs[0] != v {
			continue
		}
		if n.Kind != graph.Linear {
			break
		}
		if c, ok := n.Op.(op.Conv); ok {
			channels = c.Weight.Shape[0]
			steps = append(steps, op.Shift{By: c.Bias})
			break
		}
		switch e := n.Op.(type) {
		case op.BatchNorm, op.Scale, op.Shift:
		case op.Identity:
			if e.Padding != nil || e.Stride != nil {
				return nil
			}
		default:
			return nil
		}
		steps = append(steps, n.Op)
		v = n.Inputs[0]
	}
	if channels == 0 {
		return nil
	}
	x := zeros(channels, []int{1})
	for j := len(steps) - 1; j >= 0; j-- {
		x, _ = apply(steps[j], x, nil)
	}
	return x.data
}

// bordered is x with a constant for each channel around it.
func bordered(x image, n *graph.Node, border []float64) image {
	minus := affine(x, nil, negative(border))
	y, _ := apply(n.Op, minus, n.After)
	return affine(y, nil, border)
}

func negative(v []float64) []float64 {
	w := make([]float64, len(v))
	for k := range v {
		w[k] = -v[k]
	}
	return w
}

func equal(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if a[k] != b[k] {
			return false
		}
	}
	return true
}

// apply is one operator on an image, with zeros around it.
func apply(e op.Expr, x image, after []int) (image, bool) {
	rank := len(x.size)
	switch e := e.(type) {
	case op.Seq:
		for _, p := range e {
			var ok bool
			if x, ok = apply(p, x, after); !ok {
				return x, false
			}
			after = make([]int, rank)
		}
		return x, true
	case op.Conv:
		w := floats(&e.Weight, e.Weight.Len(), 0)
		y, ok := window(x, e.Weight.Shape[0], e.Weight.Shape[2:], e.Stride, e.Padding, after, e.Dilation,
			func(o, i, t int) float64 {
				outer, inner := e.Weight.Shape[0]/e.Groups, e.Weight.Shape[1]
				if i/inner != o/outer {
					return 0
				}
				return w[(o*inner+i%inner)*tensor.Elems(e.Weight.Shape[2:])+t]
			})
		return affine(y, nil, floats(e.Bias, y.channels, 0)), ok
	case op.AvgPool:
		return window(x, x.channels, e.Kernel, e.Stride, e.Padding, after, nil, func(o, i, _ int) float64 {
			if o != i {
				return 0
			}
			return 1 / float64(tensor.Elems(e.Kernel))
		})
	case op.Identity:
		one := make([]int, rank)
		for a := range one {
			one[a] = 1
		}
		if e.Padding == nil {
			e.Padding = make([]int, rank)
		}
		return window(x, x.channels, one, e.Stride, e.Padding, after, nil, func(o, i, _ int) float64 {
			if o != i {
				return 0
			}
			return 1
		})
	case op.BatchNorm:
		s, b := norm(e)
		return affine(x, s, b), true
	case op.Scale:
		return affine(x, floats(e.By, x.channels, e.Factor), nil), true
	case op.Shift:
		return affine(x, nil, floats(e.By, x.channels, e.Term)), true
	}
	panic("no such operator")
}

func norm(e op.BatchNorm) (scale, shift []float64) {
	n := e.Mean.Len()
	scale, shift = floats(e.Gamma, n, 1), floats(e.Beta, n, 0)
	mean, variance := floats(e.Mean, n, 0), floats(e.Var, n, 0)
	for c := range scale {
		scale[c] /= math.Sqrt(variance[c] + e.Eps)
		shift[c] -= mean[c] * scale[c]
	}
	return scale, shift
}

func affine(x image, scale, shift []float64) image {
	y := zeros(x.channels, x.size)
	n := tensor.Elems(x.size)
	for i, v := range x.data {
		if scale != nil {
			v *= scale[i/n]
		}
		if shift != nil {
			v += shift[i/n]
		}
		y.data[i] = v
	}
	return y
}

// window sums what a kernel of weights w(output channel, input channel, tap) sees.
func window(x image, out int, kernel, stride, before, after, dilation []int, w func(o, i, t int) float64) (image, bool) {
	size := make([]int, len(kernel))
	for a, k := range kernel {
		room := x.size[a] + pick(before, a, 0) + pick(after, a, 0) - (k-1)*pick(dilation, a, 1) - 1
		if room < 0 {
			return image{}, false
		}
		size[a] = room/pick(stride, a, 1) + 1
	}
	y := zeros(out, size)
	from := make([]int, len(kernel))
	j := 0
	for o := range out {
		each(size, func(p []int) {
			t := 0
			each(kernel, func(tap []int) {
				for a := range from {
					from[a] = p[a]*pick(stride, a, 1) - pick(before, a, 0) + tap[a]*pick(dilation, a, 1)
				}
				for i := range x.channels {
					if v := w(o, i, t); v != 0 {
						y.data[j] += v * x.at(i, from)
					}
				}
				t++
			})
			j++
		})
	}
	return y, true
}

func pick(list []int, a, otherwise int) int {
	if list == nil {
		return otherwise
	}
	return list[a]
}
