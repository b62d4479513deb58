package onnx

import (
	"errors"
	"math"

	"repfuse/internal/tensor"
)

// evaluator computes the only output of a node over constants. shape is the output's.
type evaluator func(n *Node, shape []int, in []*array) (*array, error)

// movers are the operators that give elements of their first input as they are, and what
// makes new ones without rounding.
var movers, rounders map[string]evaluator

func init() {
	reshape := func(_ *Node, shape []int, in []*array) (*array, error) {
		return &array{in[0].typ, shape, in[0].f, in[0].i}, nil
	}
	movers = map[string]evaluator{
		"Identity": reshape, "Reshape": reshape, "Flatten": reshape, "Squeeze": reshape, "Unsqueeze": reshape,
		"Cast": evalCast, "Expand": evalExpand, "Transpose": evalTranspose, "Slice": evalSlice, "Concat": evalConcat,
		"Gather": evalGather, "ConstantOfShape": evalFill, "Range": evalRange, "Where": evalWhere, "ScatterND": evalScatter,
		"Neg":   each(func(a, _ float64) float64 { return -a }, func(a, _ int64) int64 { return -a }),
		"Equal": evalEqual, "Abs": each(func(a, _ float64) float64 { return math.Abs(a) }, nil),
	}
	rounders = map[string]evaluator{
		"Add":  each(func(a, b float64) float64 { return a + b }, func(a, b int64) int64 { return a + b }),
		"Sub":  each(func(a, b float64) float64 { return a - b }, func(a, b int64) int64 { return a - b }),
		"Mul":  each(func(a, b float64) float64 { return a * b }, func(a, b int64) int64 { return a * b }),
		"Div":  each(func(a, b float64) float64 { return a / b }, quotient),
		"Pow":  each(math.Pow, nil),
		"Sqrt": each(func(a, _ float64) float64 { return math.Sqrt(a) }, nil),
		"Exp":  each(func(a, _ float64) float64 { return math.Exp(a) }, nil),
		"Conv": evalConv, "MatMul": evalMatMul, "ReduceSum": evalReduce, "ReduceMean": evalReduce,
	}
}

var errFold = errors.New("a constant that cannot be computed")

// quotient is a/b rounded towards zero, unknown where there is none.
func quotient(a, b int64) int64 {
	if b == 0 {
		return unknown
	}
	return a / b
}

// each computes one element from one of each input.
func each(f func(a, b float64) float64, i func(a, b int64) int64) evaluator {
	return func(_ *Node, shape []int, in []*array) (*array, error) {
		a, b := in[0], in[len(in)-1]
		out, err := newArray(a.typ, shape)
		if err != nil || a.f == nil && a.len() > 0 && i == nil || (a.f == nil) != (b.f == nil) {
			return nil, errFold
		}
		at, bt := a.spreadTo(shape), b.spreadTo(shape)
		for k := range at {
			switch {
			case a.f != nil:
				out.f[k] = f(a.f[at[k]], b.f[bt[k]])
			case a.i[at[k]] == unknown || b.i[bt[k]] == unknown:
				out.i[k] = unknown
			default:
				out.i[k] = i(a.i[at[k]], b.i[bt[k]])
			}
		}
		return out.rounded(), nil
	}
}

func evalEqual(_ *Node, shape []int, in []*array) (*array, error) {
	out, err := newArray(tensor.Bool, shape)
	if err != nil || in[0].i == nil || in[1].i == nil {
		return nil, errFold
	}
	at, bt := in[0].spreadTo(shape), in[1].spreadTo(shape)
	for k := range at {
		switch a, b := in[0].i[at[k]], in[1].i[bt[k]]; {
		case a == unknown || b == unknown:
			out.i[k] = unknown
		case a == b:
			out.i[k] = 1
		}
	}
	return out, nil
}

func evalWhere(_ *Node, shape []int, in []*array) (*array, error) {
	a, b := in[1].take(shape, in[1].spreadTo(shape)), in[2].take(shape, in[2].spreadTo(shape))
	if in[0].i == nil || a.typ != b.typ || in[0].partial() && a.f != nil {
		return nil, errFold
	}
	for k, from := range in[0].spreadTo(shape) {
		switch yes := in[0].i[from]; {
		case yes == unknown:
			a.i[k] = unknown
		case yes == 0 && a.f != nil:
			a.f[k] = b.f[k]
		case yes == 0:
			a.i[k] = b.i[k]
		}
	}
	return a, nil
}

func evalCast(n *Node, shape []int, in []*array) (*array, error) {
	a := in[0]
	out, err := newArray(castTo(n), shape)
	switch {
	case err != nil || out.typ == tensor.Invalid:
		return nil, errFold
	case out.f != nil && a.f != nil:
		copy(out.f, a.f)
	case out.f != nil:
		for k, v := range a.i {
			out.f[k] = float64(v)
		}
	case a.f != nil:
		for k, v := range a.f {
			if out.i[k] = int64(v); float64(out.i[k]) != math.Trunc(v) {
				return nil, errFold
			}
		}
	default:
		copy(out.i, a.i)
	}
	if out.typ == tensor.Bool {
		for k, v := range out.i {
			if v != 0 && v != unknown {
				out.i[k] = 1
			}
		}
	}
	return out.rounded(), nil
}

func castTo(n *Node) tensor.Type {
	if a := n.Attr("to"); a != nil {
		return elems[int(a.Int)]
	}
	return tensor.Invalid
}

func evalExpand(_ *Node, shape []int, in []*array) (*array, error) {
	return in[0].take(shape, in[0].spreadTo(shape)), nil
}

func evalTranspose(n *Node, shape []int, in []*array) (*array, error) {
	own := tensor.InOrder(in[0].shape, false)
	step := make([]int, len(own))
	for k, from := range permutation(n, len(own)) {
		step[k] = own[from]
	}
	return in[0].take(shape, places(shape, step, 0)), nil
}

func evalSlice(n *Node, shape []int, in []*array) (*array, error) {
	cuts, err := cutsOf(n, in[0].shape, func(k int) ([]int64, bool) { return intsIn(in, k) })
	if err != nil {
		return nil, err
	}
	own, step, off := tensor.InOrder(in[0].shape, false), tensor.InOrder(in[0].shape, false), 0
	for k, c := range cuts {
		off, step[k] = off+c.from*own[k], own[k]*c.step
	}
	return in[0].take(shape, places(shape, step, off)), nil
}

// intsIn are the integers of an input that is there.
func intsIn(in []*array, k int) ([]int64, bool) {
	if k >= len(in) || in[k] == nil {
		return nil, false
	}
	return in[k].i, !in[k].partial()
}

func evalConcat(n *Node, shape []int, in []*array) (*array, error) {
	axis, _ := axisOf(n, len(shape), 1)
	out, err := newArray(in[0].typ, shape)
	if err != nil {
		return nil, err
	}
	step, off := tensor.InOrder(shape, false), 0
	for _, a := range in {
		if a.typ != out.typ {
			return nil, errFold
		}
		for k, to := range places(a.shape, step, off) {
			if a.f != nil {
				out.f[to] = a.f[k]
			} else {
				out.i[to] = a.i[k]
			}
		}
		off += a.shape[axis] * step[axis]
	}
	return out, nil
}

func evalGather(n *Node, shape []int, in []*array) (*array, error) {
	a := in[0]
	axis, ok := axisOf(n, len(a.shape), 0)
	if !ok || in[1].i == nil {
		return nil, errFold
	}
	own := tensor.InOrder(a.shape, false)
	var at []int
	for _, before := range places(a.shape[:axis], own[:axis], 0) {
		for _, v := range in[1].i {
			k, ok := onAxis(v, a.shape[axis])
			if !ok {
				return nil, errFold
			}
			at = append(at, places(a.shape[axis+1:], own[axis+1:], before+k*own[axis])...)
		}
	}
	return a.take(shape, at), nil
}

func evalFill(n *Node, shape []int, _ []*array) (*array, error) {
	value := &array{typ: tensor.F32, f: []float64{0}}
	if a := n.Attr("value"); a != nil && a.Tensor != nil {
		var err error
		if value, err = readArray(a.Tensor.Tensor); err != nil || value.len() != 1 {
			return nil, errFold
		}
	}
	if n, err := tensor.Count(shape, value.typ); err != nil || n > maxElems {
		return nil, errFold
	}
	return value.take(shape, make([]int, tensor.Elems(shape))), nil
}

func evalRange(_ *Node, shape []int, in []*array) (*array, error) {
	out, err := newArray(in[0].typ, shape)
	if err != nil || out.i == nil && out.len() > 0 {
		return nil, errFold
	}
	for k := range out.i {
		out.i[k] = in[0].i[0] + int64(k)*in[2].i[0]
	}
	return out, nil
}

func evalScatter(n *Node, shape []int, in []*array) (*array, error) {
	at, size, err := scattered(n, in)
	if err != nil {
		return nil, err
	}
	out := in[0].take(shape, places(shape, tensor.InOrder(shape, false), 0))
	for k, to := range at {
		for j := range size {
			if out.f != nil {
				out.f[to+j] = in[2].f[k*size+j]
			} else {
				out.i[to+j] = in[2].i[k*size+j]
			}
		}
	}
	return out, nil
}

// scattered lists where a ScatterND node writes, blocks of so many elements each.
func scattered(n *Node, in []*array) (at []int, size int, err error) {
	data, index := in[0], in[1]
	depth := 0
	if len(index.shape) > 0 {
		depth = index.shape[len(index.shape)-1]
	}
	if depth == 0 || depth > len(data.shape) || textAttr(n, "reduction", "none") != "none" {
		return nil, 0, errFold
	}
	own := tensor.InOrder(data.shape, false)
	size = tensor.Elems(data.shape[depth:])
	for k := 0; k+depth <= len(index.i); k += depth {
		to := 0
		for j, v := range index.i[k : k+depth] {
			i, ok := onAxis(v, data.shape[j])
			if !ok {
				return nil, 0, errFold
			}
			to += i * own[j]
		}
		at = append(at, to)
	}
	if in[2].len() != len(at)*size || in[2].typ != data.typ {
		return nil, 0, errFold
	}
	return at, size, nil
}

func evalReduce(n *Node, shape []int, in []*array) (*array, error) {
	a := in[0]
	out, err := newArray(a.typ, shape)
	axes, ok := reducedAxes(n, len(a.shape), func(k int) ([]int64, bool) { return intsIn(in, k) })
	if err != nil || !ok || a.f == nil {
		return nil, errFold
	}
	kept, count := make([]int, len(a.shape)), 1
	n0 := 1
	for k := len(a.shape) - 1; k >= 0; k-- {
		if axes[k] {
			count *= a.shape[k]
		} else {
			kept[k], n0 = n0, n0*a.shape[k]
		}
	}
	for k, to := range places(a.shape, kept, 0) {
		out.f[to] += a.f[k]
	}
	for k := range out.f {
		if n.Op.Name == "ReduceMean" {
			out.f[k] /= float64(count)
		}
	}
	return out.rounded(), nil
}

// maxProducts bounds the multiplications of one constant.
const maxProducts = 1 << 26

func evalMatMul(_ *Node, shape []int, in []*array) (*array, error) {
	a, b := in[0], in[1]
	if len(a.shape) != 2 || len(b.shape) != 2 || a.shape[1] != b.shape[0] || a.f == nil || b.f == nil || tensor.Elems(shape)*b.shape[0] > maxProducts {
		return nil, errFold
	}
	out, err := newArray(a.typ, shape)
	if err != nil {
		return nil, err
	}
	for o := range out.f {
		for k := range a.shape[1] {
			out.f[o] += a.f[o/shape[1]*a.shape[1]+k] * b.f[k*shape[1]+o%shape[1]]
		}
	}
	return out.rounded(), nil
}

// evalConv convolves constants in float64, rounded once: in which order a runtime adds
// is its own business.
func evalConv(n *Node, shape []int, in []*array) (*array, error) {
	x, w := in[0], in[1]
	g, err := slidingOf(n, x.shape, w.shape[2:])
	out, err2 := newArray(x.typ, shape)
	if err != nil || err2 != nil || x.f == nil || w.f == nil || tensor.Elems(shape)*tensor.Elems(w.shape[1:]) > maxProducts {
		return nil, errFold
	}
	groups := int(max(1, min(intAttr(n, "group", 1), int64(shape[1]))))
	bias := len(in) > 2 && in[2] != nil
	if x.shape[1] != w.shape[1]*groups || shape[1]%groups != 0 || bias && len(in[2].f) != shape[1] {
		return nil, errFold
	}
	taps := tensor.Elems(w.shape[2:])
	xs := tensor.InOrder(x.shape, false)
	for o := range out.f {
		at := tensor.Place(o, shape)
		channel := at[1]
		first := channel / (shape[1] / groups) * w.shape[1]
		for t := range taps {
			off, inside := at[0]*xs[0], true
			for a, j := range tensor.Place(t, w.shape[2:]) {
				p := at[2+a]*g.stride[a] - g.begin[a] + j*g.dilation[a]
				inside = inside && p >= 0 && p < x.shape[2+a]
				off += p * xs[2+a]
			}
			for i := 0; inside && i < w.shape[1]; i++ {
				out.f[o] += w.f[(channel*w.shape[1]+i)*taps+t] * x.f[off+(first+i)*xs[1]]
			}
		}
		if bias {
			out.f[o] += in[2].f[channel]
		}
	}
	return out.rounded(), nil
}
