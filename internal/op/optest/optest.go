// Package optest makes random expressions for tests of what interprets them.
//
// Everything is decided by a seed, which a test prints when it fails. Shapes are
// small, edge values are likely: kernels of one tap and even ones, groups, γ = 0,
// variances next to nothing, numbers that cancel.
package optest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// Options bound what Random makes; the zero value is good for most tests.
type Options struct {
	Rank     int         // axes of the kernels; -1 is any from 0 to 3
	Depth    int         // nesting of Seq, Sum and Concat; 0 is 3
	Channels int         // at most; 0 is 6
	Type     tensor.Type // of all tensors; Invalid is any floating one
	// Mild keeps all magnitudes near 1, for tests that compare sums of many terms.
	Mild bool
	// Modes has some convolutions pad by other than zeros.
	Modes bool
}

// Random is a random expression that op.Check accepts, the same for the same seed.
func Random(seed uint64, o Options) op.Expr {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0x6f7074657374)), Options: o}
	if g.Depth == 0 {
		g.Depth = 3
	}
	if g.Channels == 0 {
		g.Channels = 6
	}
	if o.Rank < 0 {
		g.Rank = g.IntN(4)
	}
	for {
		g.keys, g.mode = 0, ""
		if g.Modes && g.IntN(2) == 0 {
			g.mode = []string{"reflect", "replicate", "circular"}[g.IntN(3)]
		}
		s := g.numbers(1, 2, 4)
		g.unsaid = !strided(s)
		e := g.expr(g.Depth, g.channels(), g.channels(), s)
		if f, err := op.Check(e); err == nil && f.Taps() <= 400 {
			return e
		}
	}
}

// Transposed is a random transposed convolution, or a sum of some, with operators on channels about it.
func Transposed(seed uint64, o Options) op.Expr {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0x6f7074657375)), Options: o}
	groups := 1 + g.IntN(3)
	in, out := groups*(1+g.IntN(3)), groups*(1+g.IntN(3))
	extents := g.numbers(1, 3, 1)
	branch := func() op.Expr {
		c := op.Conv{Weight: *g.tensor("weight", g.value, append([]int{in, out / groups}, extents...)...), Transposed: true, Groups: groups}
		if g.IntN(2) == 0 {
			c.Bias = g.tensor("bias", g.value, out)
		}
		e := op.Seq{c, g.batchNorm(out)}
		switch g.IntN(4) {
		case 0, 1:
			e = append(op.Seq{op.Scale{By: g.tensor("by", g.value, in)}}, e...)
		case 2: // a constant reaches all outputs alike if there are no taps
			if g.Rank == 0 {
				e = append(op.Seq{g.batchNorm(in)}, e...)
			}
		}
		return e
	}
	e := branch()
	if g.IntN(2) == 0 {
		return e
	}
	all := op.Sum{e}
	for range 1 + g.IntN(2) {
		for a, k := range extents { // of which the middles lie over each other
			extents[a] = k%2 + 2*g.IntN(2) + 2*(1-k%2)
		}
		all = append(all, branch())
	}
	return op.Seq{op.Scale{By: g.tensor("by", g.value, in)}, all, g.batchNorm(out)}
}

type generator struct {
	*rand.Rand
	Options
	keys int
	mode string
	// unsaid leaves strides of 1 out by chance: where others are said, the whole would not be known.
	unsaid bool
}

// numbers is one number an axis: low, or one time in odds any up to high.
func (g *generator) numbers(low, high, odds int) []int {
	v := make([]int, g.Rank)
	for a := range v {
		if v[a] = low; g.IntN(odds) == 0 {
			v[a] += g.IntN(high - low + 1)
		}
	}
	return v
}

// said is s, or nil where that is the same.
func (g *generator) said(s []int) []int {
	if g.unsaid && g.IntN(2) == 0 {
		return nil
	}
	return s
}

func strided(s []int) bool { return slices.ContainsFunc(s, func(n int) bool { return n != 1 }) }

// shares is strides whose product is s, for n layers in a row.
func (g *generator) shares(s []int, n int) [][]int {
	all := make([][]int, n)
	for k := range all {
		all[k] = slices.Repeat([]int{1}, len(s))
	}
	for a, v := range s {
		all[g.IntN(n)][a] = v
	}
	return all
}

func (g *generator) channels() int { return 1 + g.IntN(g.Channels) }

// expr makes an expression from in channels to out channels, of stride s.
func (g *generator) expr(depth, in, out int, s []int) op.Expr {
	if depth == 0 {
		return g.leaf(in, out, s)
	}
	by := g.shares(s, 3)
	switch g.IntN(7) {
	case 0, 1:
		mid := g.channels()
		return op.Seq{g.expr(depth-1, in, mid, by[0]), g.leaf(mid, mid, by[1]), g.expr(depth-1, mid, out, by[2])}
	case 2, 3:
		all := op.Sum{}
		for range 1 + g.IntN(3) {
			all = append(all, g.expr(depth-1, in, out, s))
		}
		return all
	case 4:
		if in%2 == 0 && out%2 == 0 && g.IntN(2) == 0 {
			half := func(from int) op.Expr {
				return op.Seq{op.Select{From: from, To: from + in/2, Of: in, Apart: true}, g.expr(depth-1, in/2, out/2, s)}
			}
			return op.Concat{half(0), half(in / 2)}
		}
		if out > 1 {
			k := 1 + g.IntN(out-1)
			return op.Concat{g.expr(depth-1, in, k, s), g.expr(depth-1, in, out-k, s)}
		}
	case 5:
		if in > out && g.IntN(2) == 0 {
			from := g.IntN(in - out + 1)
			return op.Seq{op.Select{From: from, To: from + out, Of: in}, g.expr(depth-1, out, out, s)}
		}
		from := g.IntN(3)
		mid := out + from + g.IntN(2)
		by = g.shares(s, 2)
		return op.Seq{g.expr(depth-1, in, mid, by[0]), op.Select{From: from, To: from + out, Of: mid}, g.leaf(out, out, by[1])}
	case 6:
		by = g.shares(s, 2)
		return op.Seq{g.leaf(in, in, by[0]), g.expr(depth-1, in, out, by[1]), g.batchNorm(out)}
	}
	return g.leaf(in, out, s)
}

// leaf makes a single operator; a convolution where the channels differ.
func (g *generator) leaf(in, out int, s []int) op.Expr {
	if in != out {
		return g.conv(in, out, s)
	}
	n := g.IntN(8)
	if strided(s) {
		n = []int{0, 5, 7}[g.IntN(3)]
	}
	switch n {
	case 0:
		x := op.Identity{}
		if strided(s) || g.IntN(4) == 0 {
			x.Stride = s
		}
		if g.IntN(3) == 0 {
			x.Padding = g.numbers(-1, 1, 1)
		}
		return x
	case 1:
		return op.Scale{By: g.tensor("by", g.value, in)}
	case 2:
		return op.Scale{Factor: []float64{-1, 0.5, 0.1}[g.IntN(3)]}
	case 3:
		return op.Shift{By: g.tensor("add", g.value, 1)}
	case 4:
		return g.batchNorm(in)
	case 5:
		return g.pool(s)
	default:
		return g.conv(in, out, s)
	}
}

func (g *generator) pool(s []int) op.Expr {
	p := op.AvgPool{}
	for range g.Rank {
		p.Kernel = append(p.Kernel, 1+2*g.IntN(2))
	}
	if g.IntN(2) == 0 {
		p.Dilation = g.numbers(1, 2, 3)
	}
	switch g.IntN(3) {
	case 0:
		p.Padding = g.numbers(-1, 2, 1)
	case 1:
		p.Padding, p.ExcludesPadding = make([]int, g.Rank), true
	}
	p.Stride = g.said(s)
	return p
}

func (g *generator) conv(in, out int, s []int) op.Expr {
	groups := 1
	for k := 2; k <= min(in, out); k++ {
		if in%k == 0 && out%k == 0 && g.IntN(2) == 0 {
			groups = k
		}
	}
	shape := []int{out, in / groups}
	c := op.Conv{Stride: g.said(s), PaddingMode: g.mode, Dilation: g.numbers(1, 2, 3), Padding: g.numbers(-1, 3, 1)}
	for a := range g.Rank {
		k := 1 + g.IntN(3)
		shape = append(shape, k)
		if g.IntN(4) > 0 {
			c.Padding[a] = (k - 1) * c.Dilation[a] / 2
		}
	}
	if g.IntN(4) == 0 {
		c.Groups = groups
	}
	c.Weight = *g.tensor("weight", g.value, shape...)
	if g.IntN(2) == 0 {
		c.Bias = g.tensor("bias", g.value, out)
	}
	return c
}

func (g *generator) batchNorm(n int) op.BatchNorm {
	b := op.BatchNorm{
		Mean: g.tensor("mean", g.value, n),
		Var:  g.tensor("var", g.variance, n),
		Eps:  []float64{1e-5, 1e-3, 1e-6}[g.IntN(3)],
	}
	if g.IntN(4) > 0 {
		b.Gamma, b.Beta = g.tensor("gamma", g.value, n), g.tensor("beta", g.value, n)
	}
	return b
}

// tensor is a parameter of random values under a key of its own.
func (g *generator) tensor(role string, value func() float64, shape ...int) *op.Param {
	g.keys++
	t := g.Type
	if t == tensor.Invalid {
		t = []tensor.Type{tensor.F32, tensor.F32, tensor.F32, tensor.F16, tensor.BF16, tensor.F64}[g.IntN(6)]
	}
	v := make([]float64, tensor.Elems(shape))
	for i := range v {
		v[i] = value()
	}
	return &op.Param{Key: fmt.Sprintf("%s%d", role, g.keys), Tensor: tensor.Of(t, shape, v)}
}

// value is mostly a normal one, often an edge.
func (g *generator) value() float64 {
	if g.Mild {
		return g.NormFloat64()
	}
	switch g.IntN(16) {
	case 0:
		return 0
	case 1:
		return float64(g.IntN(5) - 2)
	case 2:
		return 1 + 0x1p-10*float64(g.IntN(3)-1)
	case 3:
		return g.NormFloat64() * 0x1p-14 // subnormal in float16
	case 4:
		return g.NormFloat64() * 30
	default:
		return g.NormFloat64()
	}
}

func (g *generator) variance() float64 {
	v := g.ExpFloat64()
	if g.Mild {
		return 0.5 + v
	}
	switch g.IntN(8) {
	case 0:
		return 0
	case 1:
		return v * 0x1p-20
	default:
		return v
	}
}
