package certify_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"repfuse/internal/certify"
	"repfuse/internal/conv/convtest"
	"repfuse/internal/fuse"
	"repfuse/internal/op"
	"repfuse/internal/op/optest"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
	"repfuse/internal/verify"
)

// planOf is the plan of one block that is the expression.
func planOf(t *testing.T, e op.Expr) *plan.Plan {
	t.Helper()
	f, err := op.Check(e)
	if err != nil {
		t.Fatal(err)
	}
	out := plan.Output{Weight: "fused.weight", Expr: e, Form: f}
	if f.Bias {
		out.Bias = "fused.bias"
	}
	return &plan.Plan{
		Blocks: []plan.Block{{Outputs: []plan.Output{out}}},
		Fates:  []plan.Fate{{Fate: plan.Fused, Block: 0}},
	}
}

// collapse is what repfuse would store for the one block of a plan.
func collapse(t *testing.T, p *plan.Plan, typ tensor.Type) []tensor.Named {
	t.Helper()
	c, err := fuse.Collapse(p.Blocks[0].Outputs[0].Expr, typ)
	if over := (*fuse.OverflowError)(nil); errors.As(err, &over) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	dst := []tensor.Named{{Key: "fused.weight", Tensor: c.Weight.Tensor}}
	if c.Bias != nil {
		dst = append(dst, tensor.Named{Key: "fused.bias", Tensor: c.Bias.Tensor})
	}
	return dst
}

// certified certifies the one block of a plan.
func certified(t *testing.T, p *plan.Plan, dst []tensor.Named, o certify.Options) certify.Block {
	t.Helper()
	r, err := certify.Run(context.Background(), p, dst, o)
	if err != nil {
		t.Fatal(err)
	}
	if b := r.Blocks[0]; b.Skipped != "" {
		t.Fatal(b.Skipped)
	}
	return r.Blocks[0]
}

func measured(t *testing.T, p *plan.Plan, dst []tensor.Named, o verify.Options) verify.Block {
	t.Helper()
	r, err := verify.Run(context.Background(), p, dst, o)
	if err != nil {
		t.Fatal(err)
	}
	return r.Blocks[0]
}

// spoil changes some stored elements, each by up to a few ulps or a good part of it.
func spoil(dst []tensor.Named, seed uint64) []tensor.Named {
	spoilt := make([]tensor.Named, len(dst))
	r := rand.New(rand.NewPCG(seed, 1))
	for k, n := range dst {
		v, _ := n.Floats()
		for i := range v {
			switch r.IntN(4) {
			case 0:
				v[i] += tensor.Ulp(v[i], n.Type) * float64(r.IntN(7)-3)
			case 1:
				v[i] *= 1 + (r.Float64()-0.5)/16
			}
		}
		spoilt[k] = tensor.Named{Key: n.Key, Tensor: tensor.Of(n.Type, n.Shape, v)}
	}
	return spoilt
}

var types = []tensor.Type{tensor.F32, tensor.F16, tensor.BF16, tensor.F64}

// expression is a random one, every fourth of them transposed.
func expression(seed uint64) op.Expr {
	if seed%4 == 3 {
		return optest.Transposed(seed, optest.Options{Rank: int(seed/4) % 3})
	}
	return optest.Random(seed, optest.Options{Rank: -1, Mild: seed%8 < 4})
}

// What is measured never exceeds what is certified, by more than the two runs err by,
// whatever was stored; and what package fuse stored is exact.
func TestMeasuredBelowCertified(t *testing.T) {
	for seed := range uint64(400) {
		p := planOf(t, expression(seed))
		typ := types[seed/4%4]
		t.Run(fmt.Sprint(seed, typ), func(t *testing.T) {
			dst := collapse(t, p, typ)
			own := certified(t, p, dst, certify.Options{Jobs: 2})
			if own.Verdict != certify.Exact {
				t.Errorf("what was fused is %s: %+v", own.Verdict, own.Worst)
			}
			wantBelow(t, p, dst, own)
			bad := spoil(dst, seed)
			wantBelow(t, p, bad, certified(t, p, bad, certify.Options{Jobs: 2}))
			if t.Failed() {
				t.Logf("%s", p.Blocks[0].Outputs[0].Expr)
			}
		})
	}
}

func wantBelow(t *testing.T, p *plan.Plan, dst []tensor.Named, c certify.Block) {
	t.Helper()
	m := measured(t, p, dst, verify.Options{Seed: 7, Size: []int{5}})
	for _, at := range []verify.Place{m.Largest, m.Nearest} {
		if bound := c.Channels[at.Channel] + at.Slack; !(at.Difference <= bound) {
			t.Errorf("channel %d differs by %g, and at most %g is certified", at.Channel, at.Difference, bound)
		}
	}
	if f := m.Float32; c.Verdict != certify.Different && !(f.Largest.Difference <= f.Bound) {
		t.Errorf("float32 runs differ by %g, want at most %g", f.Largest.Difference, f.Bound)
	}
	if c.Verdict == certify.Exact && !m.Passed {
		t.Errorf("exact, and yet %+v exceeds %+v", m.Nearest, m.Tolerance)
	}
}

// The witness attains the bound: no smaller one would hold.
func TestWitness(t *testing.T) {
	for seed := range uint64(200) {
		p := planOf(t, expression(seed))
		dst := spoil(collapse(t, p, tensor.F32), seed)
		o := certify.Options{Range: 0.75}
		b := certified(t, p, dst, o)
		w, err := certify.FindWitness(context.Background(), p, dst, "fused.weight", o)
		if err != nil {
			t.Fatal(err)
		}
		got, slack := attained(t, p.Blocks[0].Outputs[0], dst, w)
		// Own is in the bound twice at most: the real difference may be smaller by it, and
		// what was added for it may not be needed. 2⁻²⁹ is the sums' own rounding.
		if least := b.Bound.Value*(1-0x1p-29) - 2*b.Bound.Own - slack; !(got >= least && got <= b.Bound.Value+slack) {
			t.Errorf("seed %d: the witness makes a difference of %g, want from %g to %g", seed, got, least, b.Bound.Value)
		}
		if w.Difference != b.Bound.Value || w.Channel != b.Bound.Channel {
			t.Errorf("seed %d: a witness of %g in channel %d, want %g in %d", seed, w.Difference, w.Channel, b.Bound.Value, b.Bound.Channel)
		}
	}
}

// attained runs both forms on a witness, and gives their difference where it says and
// what float64 may have added to that.
func attained(t *testing.T, out plan.Output, dst []tensor.Named, w *certify.Witness) (diff, slack float64) {
	t.Helper()
	v, err := w.Input.Floats()
	if err != nil {
		t.Fatal(err)
	}
	x, err := convtest.Of(w.Input.Shape[1], w.Input.Shape[2:], v)
	if err != nil {
		t.Fatal(err)
	}
	f := out.Form
	stored := op.Conv{Weight: dst[0], Dilation: f.Dilation(), Padding: f.Padding(), Transposed: f.Transposed, Groups: f.Groups}
	if out.Bias != "" {
		stored.Bias = &dst[1]
	}
	at := 0
	for a, p := range w.Position {
		at = at*x.Size[a] + p
	}
	at += w.Channel * tensor.Elems(x.Size)
	var y [2]float64
	largest := 0.0
	for k, e := range []op.Expr{op.AtStride1(out.Expr, f.Rank()), stored} {
		m, err := convtest.Run(e, x)
		if err != nil {
			t.Fatal(err)
		}
		y[k] = m.Data[at]
		for _, v := range m.Data {
			largest = max(largest, math.Abs(v))
		}
	}
	// A thousand roundings of terms that are some hundred times what is left of them.
	return math.Abs(y[0] - y[1]), 1e-11 * (1 + largest)
}
