package certify_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/certify"
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

// planned plans a case with the facts that its exporter would have written, or says
// why that cannot be done.
func planned(t *testing.T, c golden.Case) (*plan.Plan, error) {
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

// fused is what repfuse would write of a plan's blocks.
func fused(t *testing.T, p *plan.Plan, to tensor.Type) []tensor.Named {
	t.Helper()
	var dst []tensor.Named
	for _, b := range p.Blocks {
		for _, o := range b.Outputs {
			c, err := fuse.Collapse(o.Expr, to)
			if err != nil {
				t.Fatal(err)
			}
			dst = append(dst, tensor.Named{Key: o.Weight, Tensor: c.Weight.Tensor})
			if o.Bias != "" {
				dst = append(dst, tensor.Named{Key: o.Bias, Tensor: c.Bias.Tensor})
			}
		}
	}
	return dst
}

// leastCases is far below the number of cases, and keeps a test from passing because
// it skips them.
const leastCases = 100

// What repfuse writes is exact in every element type, and what is measured of it is
// below what is certified.
func TestGoldenFused(t *testing.T) {
	n := 0
	for _, name := range golden.Cases(t) {
		t.Run(name, func(t *testing.T) {
			p, err := planned(t, golden.Load(t, name))
			if err != nil {
				t.Skip(err)
			}
			n++
			some := types
			if testing.Short() {
				some = some[:1]
			}
			for _, typ := range some {
				certifyAll(t, p, fused(t, p, typ), certify.Exact)
			}
		})
	}
	if n < leastCases {
		t.Errorf("%d cases were certified, want at least %d", n, leastCases)
	}
}

// wrong is references that compute something else than their train form does, by so
// little that nobody who looks at outputs sees it.
var wrong = map[string]string{
	"repsr-jldy-net":   "merges with an ε of 1e-7 where 1e-5 was trained with",
	"rmnet-rmblock":    "gives channels a bias of some 1e-8 where the real one is 0",
	"rmnet-rmblock-s2": "gives channels a bias of some 1e-8 where the real one is 0",
}

// elsewhere is references whose mistake is not in a kernel.
var elsewhere = map[string]bool{"mmpretrain-repvgg-se-refbug": true} // it drops a squeeze-and-excitation

// What the references' own scripts made in float32 is explained as just that; what the
// wrong ones made is not.
func TestGoldenReference(t *testing.T) {
	n := 0
	for _, name := range golden.Cases(t) {
		c := golden.Load(t, name)
		if c.Deploy == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p, err := planned(t, c)
			if err != nil {
				t.Skip(err)
			}
			if key := firstMissing(p, c.Deploy); key != "" {
				t.Skip("no ", key)
			}
			n++
			if bug := c.Meta.ReferenceBug || strings.HasSuffix(name, "REFBUG"); wrong[name] != "" || bug && !elsewhere[name] {
				r, err := certify.Run(context.Background(), p, c.Deploy, certify.Options{})
				if err != nil || r.Verdict != certify.Different {
					t.Errorf("%s (%v), want %s: the reference is wrong (%s)", r.Verdict, err, certify.Different, wrong[name])
				}
				return
			}
			certifyAll(t, p, c.Deploy, certify.Equivalent)
		})
	}
	if n < leastCases {
		t.Errorf("%d cases were certified, want at least %d", n, leastCases)
	}
}

// firstMissing is a key of the plan's blocks that a state_dict lacks, or has in another
// shape, or "". (Whether keys and shapes are the plan's is a matter of package plan.)
func firstMissing(p *plan.Plan, dst []tensor.Named) string {
	for _, b := range p.Blocks {
		for _, o := range b.Outputs {
			if !slices.ContainsFunc(dst, func(n tensor.Named) bool {
				return n.Key == o.Weight && slices.Equal(n.Shape, o.Form.WeightShape())
			}) {
				return o.Weight
			}
		}
	}
	return ""
}

// certifyAll wants every block to be no worse than a verdict, and holds the
// measurement to the certificate.
func certifyAll(t *testing.T, p *plan.Plan, dst []tensor.Named, worst certify.Verdict) {
	t.Helper()
	r, err := certify.Run(context.Background(), p, dst, certify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := verify.Run(context.Background(), p, dst, verify.Options{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	for k, b := range r.Blocks {
		if b.Verdict.Worse(worst) != worst {
			t.Errorf("%s is %s, want %s: %+v, %s", b.Weight, b.Verdict, worst, b.Worst, b.Skipped)
		}
		for _, at := range []verify.Place{m.Blocks[k].Largest, m.Blocks[k].Nearest} {
			if bound := b.Channels[at.Channel] + at.Slack; !(at.Difference <= bound) {
				t.Errorf("%s: channel %d differs by %g, and at most %g is certified", b.Weight, at.Channel, at.Difference, bound)
			}
		}
	}
}
