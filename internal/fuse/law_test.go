package fuse_test

import (
	"math"
	"testing"

	"repfuse/internal/conv"
	"repfuse/internal/conv/convtest"
	"repfuse/internal/fuse"
	"repfuse/internal/op"
	"repfuse/internal/op/optest"
	"repfuse/internal/tensor"
)

// TestLaw is the law that carries everything: the collapsed expression runs as the
// expression does, borders included, on images from 1×1 up. Package conv computes
// both and knows nothing of how one was made of the other.
func TestLaw(t *testing.T) {
	for seed := range uint64(600) {
		rank := int(seed % 4)
		e := optest.Random(seed, optest.Options{Rank: rank, Modes: true})
		if seed%10 == 9 {
			e = optest.Transposed(seed, optest.Options{Rank: rank})
		}
		holds(t, seed, e)
	}
}

func holds(t *testing.T, seed uint64, e op.Expr) {
	t.Helper()
	form, err := op.Check(e)
	if err != nil {
		t.Fatal(err)
	}
	c, err := fuse.Collapse(e, tensor.F64)
	if err != nil {
		t.Fatalf("seed %d: %s: %v", seed, e, err)
	}
	size := make([]int, form.Rank())
	for a := range size {
		size[a] = 1 + int(seed/uint64(1+a))%5
	}
	x := conv.Random(form.In, size, 1, seed)
	want, got, scale := run(t, e, x), run(t, c, x), run(t, magnitudes(t, e), magnitude(x))
	for i, y := range want.Data {
		if off := math.Abs(got.Data[i] - y); !(off <= roundings*0x1p-53*scale.Data[i]) {
			t.Fatalf("seed %d: %s on %v: element %d is %g, want %g; Σ|terms| is %g", seed, e, size, i, got.Data[i], y, scale.Data[i])
		}
	}
}

// roundings is more than a term suffers on either way: a convolution of the
// generator's sums at most 6·27 products, and at most seven follow each other.
const roundings = 7 * 6 * 27

func run(t *testing.T, e op.Expr, x conv.Map) conv.Map {
	t.Helper()
	y, err := convtest.Run(e, x)
	if err != nil {
		t.Fatalf("%s: %v", e, err)
	}
	return y
}

func magnitude(x conv.Map) conv.Map {
	y := conv.Zeros(x.Channels, x.Lo, x.Size)
	for i, v := range x.Data {
		y.Data[i] = math.Abs(v)
	}
	return y
}

// magnitudes is e with all its numbers made positive, so that running it gives
// Σ|terms|.
func magnitudes(t *testing.T, e op.Expr) op.Expr {
	all := func(parts []op.Expr) []op.Expr {
		list := make([]op.Expr, len(parts))
		for k, p := range parts {
			list[k] = magnitudes(t, p)
		}
		return list
	}
	switch e := e.(type) {
	case op.Conv:
		e.Weight, e.Bias = *signed(t, &e.Weight, 1), signed(t, e.Bias, 1)
		return e
	case op.BatchNorm:
		e.Gamma, e.Beta, e.Mean = signed(t, e.Gamma, 1), signed(t, e.Beta, 1), signed(t, e.Mean, -1)
		return e
	case op.Scale:
		return op.Scale{By: signed(t, e.By, 1), Factor: math.Abs(e.Factor)}
	case op.Shift:
		return op.Shift{By: signed(t, e.By, 1), Term: math.Abs(e.Term)}
	case op.Seq:
		return op.Seq(all(e))
	case op.Sum:
		return op.Sum(all(e))
	case op.Concat:
		return op.Concat(all(e))
	default:
		return e
	}
}

func signed(t *testing.T, p *op.Param, sign float64) *op.Param {
	if p == nil {
		return nil
	}
	v, err := p.Floats()
	if err != nil {
		t.Fatal(err)
	}
	for i := range v {
		v[i] = math.Copysign(v[i], sign)
	}
	return &op.Param{Key: p.Key, Tensor: tensor.Of(tensor.F64, p.Shape, v)}
}
