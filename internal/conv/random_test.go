package conv_test

import (
	"fmt"
	"math/rand/v2"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// generator makes random expressions, edge values weighted: kernels of one tap, one
// channel, ε of 0, γ of 0.
type generator struct {
	*rand.Rand
	rank int
	n    int // tensors made
}

func (g *generator) pick(values ...int) int { return values[g.IntN(len(values))] }

// tensor has values that float32 and float16 hold exactly.
func (g *generator) tensor(positive bool, shape ...int) op.Param {
	g.n++
	v := make([]float64, tensor.Elems(shape))
	for k := range v {
		v[k] = float64(g.IntN(257)-128) / 64
		if positive {
			v[k] = float64(g.IntN(128)+8) / 64
		}
	}
	t := []tensor.Type{tensor.F32, tensor.F32, tensor.F64, tensor.F16, tensor.BF16}[g.IntN(5)]
	return op.Param{Key: fmt.Sprint("t", g.n), Tensor: tensor.Of(t, shape, v)}
}

func (g *generator) vector(n int) *op.Param { p := g.tensor(false, n); return &p }

// expr is a random expression of in channels; how many come out is decided by it,
// or is out where that is not 0.
func (g *generator) expr(in, out, depth int) (op.Expr, int) {
	if depth > 0 {
		switch g.IntN(4) {
		case 0:
			return g.seq(in, out, depth)
		case 1:
			return g.sum(in, out, depth)
		case 2:
			return g.concat(in, out, depth)
		}
	}
	if out != 0 && out != in || g.IntN(2) == 0 {
		return g.conv(in, out)
	}
	return g.point(in), in
}

func (g *generator) seq(in, out, depth int) (op.Expr, int) {
	var s op.Seq
	for range g.IntN(3) {
		var e op.Expr
		e, in = g.expr(in, 0, depth-1)
		s = append(s, e)
	}
	if in > 1 && g.IntN(4) == 0 {
		from := g.IntN(in - 1)
		s = append(s, op.Select{From: from, To: in, Of: in})
		in -= from
	}
	e, last := g.expr(in, out, depth-1)
	return append(s, e), last
}

func (g *generator) sum(in, out, depth int) (op.Expr, int) {
	var s op.Sum
	for range 1 + g.IntN(3) {
		var e op.Expr
		e, out = g.expr(in, out, depth-1)
		s = append(s, e)
	}
	return s, out
}

func (g *generator) concat(in, out, depth int) (op.Expr, int) {
	if out == 1 {
		return g.conv(in, out)
	}
	half := out / 2 // 0 where out is not given
	first, n := g.expr(in, half, depth-1)
	rest, m := g.expr(in, out-half, depth-1)
	return op.Concat{first, rest}, n + m
}

func (g *generator) conv(in, out int) (op.Expr, int) {
	groups := g.pick(1, 1, in, in, 2)
	if in%groups != 0 || out != 0 && out%groups != 0 {
		groups = 1
	}
	if out == 0 {
		out = groups * g.pick(1, 1, 2, 3, 9)
	}
	c := op.Conv{Weight: op.Param{}}
	shape := []int{out, in / groups}
	for range g.rank {
		k, d := g.pick(1, 1, 2, 3, 3, 4, 5), g.pick(1, 1, 1, 2, 3)
		shape = append(shape, k)
		c.Dilation = append(c.Dilation, d)
		c.Origin = append(c.Origin, g.IntN((k-1)*d+2))
	}
	if g.IntN(2) == 0 {
		c.Origin = nil
	}
	if g.IntN(2) == 0 {
		c.Bias = g.vector(out)
	}
	c.Weight = g.tensor(false, shape...)
	return c, out
}

// point is an operator that leaves the number of channels as it is.
func (g *generator) point(in int) op.Expr {
	switch g.IntN(7) {
	case 0:
		return op.Identity{}
	case 1:
		return op.Scale{By: g.vector(in)}
	case 2:
		return op.Shift{By: g.vector(in)}
	case 3:
		return op.Scale{Factor: -0.5}
	case 4:
		return op.Window{}
	case 5:
		var k []int
		for range g.rank {
			k = append(k, g.pick(1, 2, 3))
		}
		return op.AvgPool{Kernel: k}
	default:
		variance := g.tensor(true, in)
		bn := op.BatchNorm{Mean: g.vector(in), Var: &variance, Eps: []float64{0, 1e-5, 1e-3}[g.IntN(3)]}
		if g.IntN(3) > 0 {
			bn.Gamma, bn.Beta = g.vector(in), g.vector(in)
		}
		return bn
	}
}
