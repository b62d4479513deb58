package trace

import (
	"math"
	"slices"

	"repfuse/internal/graph"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// add adds two values, or one of them and a parameter or a number.
func (c call) add(sign float64) (result, string) {
	a, b := c.of(c.arg(0, "input")), c.of(c.arg(1, "other"))
	if alpha, ok := c.Named["alpha"].(float64); ok {
		sign *= alpha
	}
	if sign != 1 && sign != -1 {
		return result{}, "with a factor"
	}
	if a != nil && b != nil && !a.fixed && !b.fixed {
		if !slices.Equal(a.shape, b.shape) {
			return result{}, "of different shapes"
		}
		return result{kind: graph.Add, minus: []bool{false, sign < 0}}, ""
	}
	x, other := a, c.arg(1, "other")
	if x == nil || x.fixed {
		x, other = b, c.arg(0, "input")
		if sign < 0 {
			return result{}, "subtracted from a constant"
		}
	}
	p, number, axis, why := c.operand(x, other)
	if why != "" {
		return result{}, why
	}
	if sign < 0 {
		if p != nil {
			e := op.Seq{op.Scale{Factor: -1}, op.Shift{By: p}, op.Scale{Factor: -1}}
			return result{kind: graph.Linear, op: e, axis: axis}, ""
		}
		number = -number
	}
	if p == nil && number == 0 { // sum() of Python begins with 0
		return c.identity()
	}
	return result{kind: graph.Linear, op: op.Shift{By: p, Term: number}, axis: axis}, ""
}

func (c call) mul() (result, string) {
	x, other := c.of(c.arg(0, "input")), c.arg(1, "other")
	if x == nil || x.fixed {
		x, other = c.of(other), c.arg(0, "input")
	}
	if v := c.of(other); v != nil && !v.fixed {
		return result{}, "of two values"
	}
	p, number, axis, why := c.operand(x, other)
	if why != "" {
		return result{}, why
	}
	if p == nil && number == 1 {
		return c.identity()
	}
	return result{kind: graph.Linear, op: op.Scale{By: p, Factor: number}, axis: axis}, ""
}

// div is by a power of two alone: another number's inverse would be rounded.
func (c call) div() (result, string) {
	x, by := c.of(c.arg(0, "input")), c.arg(1, "other")
	number, ok := by.(float64)
	if v := c.of(by); v != nil && v.literal != nil {
		number, ok = *v.literal, true
	}
	if frac, _ := math.Frexp(math.Abs(number)); x == nil || x.fixed || !ok || frac != 0.5 {
		return result{}, "by what is no power of two"
	}
	return result{kind: graph.Linear, op: op.Scale{Factor: 1 / number}, axis: graph.AnyAxis}, ""
}

// operand is what a value is multiplied by or added to: a number, or a parameter with
// one element a channel, on the axis that it lies along.
func (c call) operand(x *value, other any) (p *op.Param, number float64, axis int, why string) {
	if number, ok := other.(float64); ok {
		return nil, number, graph.AnyAxis, ""
	}
	v := c.of(other)
	switch {
	case x == nil || x.fixed || v == nil:
		return nil, 0, 0, unknown
	case v.literal != nil && len(v.shape) <= len(x.shape):
		return nil, *v.literal, graph.AnyAxis, ""
	case v.key == nil || v.turned:
		return nil, 0, 0, computed
	case tensor.Elems(v.shape) == 1 && len(v.shape) <= len(x.shape):
		return v.key, 0, graph.AnyAxis, ""
	}
	lead := len(x.shape) - len(v.shape)
	along := -1
	for k, n := range v.shape {
		if n == 1 {
			continue
		}
		if along >= 0 || lead < 0 || n != x.shape[lead+k] {
			return nil, 0, 0, "by a map of its own"
		}
		along = lead + k
	}
	switch {
	case along == 1:
		axis = graph.Channels
	case along == len(x.shape)-1 && along > 1:
		axis = graph.LastAxis
	default:
		return nil, 0, 0, "along another axis than the channels'"
	}
	return v.key, 0, axis, ""
}
