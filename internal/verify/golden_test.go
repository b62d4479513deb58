package verify_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/fuse"
	"repfuse/internal/golden"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
	"repfuse/internal/verify"
)

// chosen is the families of cases whose keys leave them open.
var chosen = map[string]string{
	"yolonas-qarepvgg-d2-g2-full":    "sg-qarepvgg/full",
	"yolonas-qarepvgg-id-alpha-full": "sg-qarepvgg/full",
	"yolov6-qarepvgg-id-full":        "yolov6-qarepvgg/full",
}

// planOf plans a case with the facts that its exporter would have written, or says
// why that cannot be done.
func planOf(t *testing.T, c golden.Case) (*plan.Plan, error) {
	t.Helper()
	families, err := family.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	o := recognise.Options{Families: families, Facts: c.Facts()}
	if f := chosen[c.Meta.Name]; f != "" {
		o.Choices = []string{f}
	}
	p, err := recognise.Plan(c.Train, o)
	if err == nil && len(p.Blocks) == 0 {
		err = errors.New("no block")
	}
	return p, err
}

// fused is what repfuse would write for a plan.
func fused(t *testing.T, p *plan.Plan, to tensor.Type) []tensor.Named {
	t.Helper()
	var dst []tensor.Named
	for _, item := range p.Items(func(string) tensor.Type { return to }) {
		n := tensor.Named{Key: item.Key}
		switch {
		case item.Kept == nil:
			c, err := fuse.Collapse(item.Expr, item.Type)
			if err != nil {
				t.Fatalf("%s: %v", item.Key, err)
			}
			if n.Tensor = c.Weight.Tensor; item.IsBias {
				n.Tensor = c.Bias.Tensor
			}
		case item.Kept.Type == item.Type:
			n.Tensor = item.Kept.Tensor
		default:
			v, err := item.Kept.Floats()
			if err != nil {
				t.Fatal(err)
			}
			n.Tensor = tensor.Of(item.Type, item.Shape, v)
		}
		dst = append(dst, n)
	}
	return dst
}

func run(t *testing.T, p *plan.Plan, dst []tensor.Named, o verify.Options) *verify.Report {
	t.Helper()
	r, err := verify.Run(context.Background(), p, dst, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What repfuse writes passes for every case, in every element type; and in float32
// the two forms do not differ by more than the bound that explains it.
func TestGoldenFused(t *testing.T) {
	n := 0
	for _, name := range golden.Cases(t) {
		t.Run(name, func(t *testing.T) {
			p, err := planOf(t, golden.Load(t, name))
			if err != nil {
				t.Skip(err)
			}
			n++
			for _, typ := range []tensor.Type{tensor.F32, tensor.F16, tensor.BF16, tensor.F64} {
				report := run(t, p, fused(t, p, typ), verify.Options{Seed: 1, Types: func(string) tensor.Type { return typ }})
				wantPassed(t, typ.String(), report)
			}
		})
	}
	if n < leastCases {
		t.Errorf("%d cases were verified, want at least %d", n, leastCases)
	}
}

// leastCases is far below the number of cases, and keeps a test from passing because
// it skips them.
const leastCases = 100

// So does what the reference's own script made of it in float32, unless it is known
// to be wrong. (Whether its keys are the plan's is a matter of package family.)
func TestGoldenReference(t *testing.T) {
	n := 0
	for _, name := range golden.Cases(t) {
		c := golden.Load(t, name)
		if c.Deploy == nil || c.Meta.ReferenceBug || strings.HasSuffix(name, "REFBUG") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p, err := planOf(t, c)
			if err != nil {
				t.Skip(err)
			}
			r := run(t, p, c.Deploy, verify.Options{Seed: 1})
			if slices.ContainsFunc(r.Blocks, func(b verify.Block) bool { return b.Skipped != "" }) {
				t.Skip("other keys: ", r.Findings)
			}
			n++
			r.Findings, r.Passed = nil, true
			wantPassed(t, "reference", r)
		})
	}
	if n < leastCases {
		t.Errorf("%d cases were verified, want at least %d", n, leastCases)
	}
}

func wantPassed(t *testing.T, what string, r *verify.Report) {
	t.Helper()
	for _, f := range r.Findings {
		t.Errorf("%s: %s", what, f)
	}
	for _, b := range r.Blocks {
		if !b.Passed {
			t.Errorf("%s: %s: %s: %+v of %+v", what, b.Weight, b.Skipped, b.Nearest, b.Tolerance)
		}
		if d := b.Float32.Largest.Difference; !(d <= b.Float32.Bound) {
			t.Errorf("%s: %s: float32 runs differ by %g, want at most %g", what, b.Weight, d, b.Float32.Bound)
		}
	}
	if !r.Passed && !t.Failed() {
		t.Errorf("%s: did not pass", what)
	}
}
