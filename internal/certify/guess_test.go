package certify_test

import (
	"math"
	"testing"

	"repfuse/internal/certify"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

func vec(v ...float64) *op.Param {
	return &op.Param{Key: "v", Tensor: tensor.Of(tensor.F64, []int{len(v)}, v)}
}

// normed is a depthwise kernel of ones beside the input, then a batch norm of the
// given variances.
func normed(variance ...float64) op.Expr {
	n := len(variance)
	ones, zeros := make([]float64, n), make([]float64, n)
	for k := range ones {
		ones[k] = 1
	}
	bn := op.BatchNorm{Gamma: vec(ones...), Beta: vec(zeros...), Mean: vec(zeros...), Var: vec(variance...), Eps: 1e-5}
	kernel := op.Param{Key: "k", Tensor: tensor.Of(tensor.F32, []int{n, 1, 1, 1}, ones)}
	return op.Seq{op.Sum{op.Conv{Weight: kernel}, op.Identity{}}, bn}
}

// What another ε would change is worked out by making the batch norm with it.
func TestEpsilons(t *testing.T) {
	p := planOf(t, normed(1, 0.004, 0.25))
	b := certified(t, p, collapse(t, p, tensor.F32), certify.Options{})
	if len(b.Epsilons) != 2 {
		t.Fatalf("%d other ε, want 2: %+v", len(b.Epsilons), b.Epsilons)
	}
	for _, e := range b.Epsilons {
		want := math.Abs(1/math.Sqrt(0.004+e.Other)*math.Sqrt(0.004+1e-5) - 1)
		if e.Used != 1e-5 || e.Channel != 1 || e.Key != "v" || math.Abs(e.Change-want) > 1e-12 {
			t.Errorf("%+v, want a change of %g in channel 1", e, want)
		}
	}
}

// Without the identity an output changes by the input, scaled by what stands behind.
func TestIdentities(t *testing.T) {
	p := planOf(t, normed(1-1e-5, 0.25-1e-5))
	p.Blocks[0].Answers = []plan.Answer{
		{Name: "other", Value: "yes", By: "default"},
		{Name: "identity", Value: "yes", By: "default"},
	}
	b := certified(t, p, collapse(t, p, tensor.F32), certify.Options{Range: 3})
	if len(b.Identities) != 1 {
		t.Fatalf("%+v, want one", b.Identities)
	}
	// 1/√¼ in channel 1, where the kernel is (1 + 1)·2; float32 holds both.
	id := b.Identities[0]
	if id.Value != "yes" || id.By != "default" || id.Channel != 1 || math.Abs(id.Change-6) > 1e-12 || math.Abs(id.Output-12) > 1e-5 {
		t.Errorf("%+v, want a change of 6 in an output of at most 12, in channel 1", id)
	}
}

// The witness of a key that no block makes is refused, and so is a result without it.
func TestWitnessRefused(t *testing.T) {
	p := planOf(t, normed(1))
	dst := collapse(t, p, tensor.F32)
	for _, test := range []struct {
		key  string
		dst  []tensor.Named
		want string
	}{
		{"other", dst, "other: no block of the plan makes it"},
		{"fused.weight", dst[1:], "fused.weight: nothing to be a witness of: fused.weight is missing"},
	} {
		if _, err := certify.FindWitness(t.Context(), p, test.dst, test.key, certify.Options{}); err == nil || err.Error() != test.want {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
}

// What was fused in another type than it is stored in is explained by the type that it
// is stored in, and not by a narrower one.
func TestVerdictsByType(t *testing.T) {
	p := planOf(t, normed(0.7, 0.3))
	coarse := collapse(t, p, tensor.F16)
	widened := make([]tensor.Named, len(coarse))
	for k, n := range coarse {
		v, err := n.Floats()
		if err != nil {
			t.Fatal(err)
		}
		widened[k] = tensor.Named{Key: n.Key, Tensor: tensor.Of(tensor.F32, n.Shape, v)}
	}
	if b := certified(t, p, coarse, certify.Options{}); b.Verdict != certify.Exact {
		t.Errorf("float16: %s, want exact: %+v", b.Verdict, b.Worst)
	}
	if b := certified(t, p, widened, certify.Options{}); b.Verdict != certify.Different {
		t.Errorf("float16 stored as float32: %s, want different: %+v", b.Verdict, b.Worst)
	}
}

// certified blocks add up to the report's verdict.
func TestReport(t *testing.T) {
	p := planOf(t, normed(0.7, 0.3))
	dst := collapse(t, p, tensor.F32)
	p.Blocks = append(p.Blocks, plan.Block{Outputs: []plan.Output{p.Blocks[0].Outputs[0]}})
	p.Blocks[1].Outputs[0].Weight = "gone"
	r, err := certify.Run(t.Context(), p, dst, certify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != certify.Different || r.Worst != 1 || r.Largest != 0 || r.Blocks[1].Skipped != "gone is missing" {
		t.Errorf("%+v, want the missing one to decide", r)
	}
}
