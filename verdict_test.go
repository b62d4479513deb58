package repfuse

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repfuse/internal/certify"
	"repfuse/internal/checkpoint"
	"repfuse/internal/verify"
)

// judged is the verdict on two blocks that were measured and certified as stated.
func judged(m [2]verify.Block, c [2]certify.Block, findings ...verify.Finding) *Verdict {
	r := &certify.Report{Verdict: Exact, Blocks: c[:]}
	for k, b := range c {
		if r.Verdict = r.Verdict.Worse(b.Verdict); r.Verdict == b.Verdict {
			r.Worst = k
		}
	}
	return &Verdict{Measured: &verify.Report{Blocks: m[:], Findings: findings}, Certificate: r}
}

// What decides, and the two proofs held against each other: certify knows the most that any
// input can show, so that verify has to have measured less.
func TestDecide(t *testing.T) {
	measured := func(difference, slack float64, passed bool) verify.Block {
		return verify.Block{Weight: "w", Passed: passed, Largest: verify.Place{Difference: difference, Slack: slack}}
	}
	certified := func(g Grade, bound float64) certify.Block {
		return certify.Block{Weight: "w", Verdict: g, Bound: certify.Bound{Value: bound}}
	}
	good, sure := measured(1, 0.25, true), certified(Exact, 1)
	for _, test := range []struct {
		name      string
		v         *Verdict
		requested bool
		want      Grade
		sentence  string
		fails     string
	}{
		{name: "exact", v: judged([2]verify.Block{good, good}, [2]certify.Block{sure, sure}), want: Exact, sentence: "yes: exact: "},
		{name: "equivalent", v: judged([2]verify.Block{good, good}, [2]certify.Block{sure, certified(Equivalent, 1)}), want: Equivalent, sentence: "yes: equivalent: "},
		{name: "an element differs", v: judged([2]verify.Block{good, good}, [2]certify.Block{sure, certified(Different, 1)}), want: Different, sentence: "no: different: "},
		{name: "an element differs within what is asked for", v: judged([2]verify.Block{good, good}, [2]certify.Block{sure, certified(Different, 1)}),
			requested: true, want: Equivalent, sentence: "yes: within the tolerance"},
		{name: "measured too much", v: judged([2]verify.Block{measured(1, 0, false), good}, [2]certify.Block{sure, sure}), want: Different, sentence: "no: different: w: channel 0"},
		{name: "and asked for", v: judged([2]verify.Block{measured(1, 0, false), good}, [2]certify.Block{sure, sure}), requested: true, want: Different, sentence: "no: different: w: channel 0"},
		{name: "not run", v: judged([2]verify.Block{good, {Weight: "w", Skipped: "gone"}}, [2]certify.Block{sure, sure}), requested: true, want: Different, sentence: "no: different: w: gone"},
		{name: "a key", v: judged([2]verify.Block{good, good}, [2]certify.Block{sure, sure}, verify.Finding{Kind: verify.Missing, Key: "k", Want: "[1]"}),
			requested: true, want: Different, sentence: "no: different: k is missing"},
		{name: "the first reason", v: judged([2]verify.Block{{Weight: "w", Skipped: "gone"}, good}, [2]certify.Block{sure, sure}, verify.Finding{Kind: verify.Missing, Key: "k", Want: "[1]"}),
			want: Different, sentence: "no: different: k is missing"},
		{name: "as much as certified", v: judged([2]verify.Block{good, measured(1.25, 0.25, true)}, [2]certify.Block{sure, sure}), want: Exact, sentence: "yes: "},
		{name: "more than certified", v: judged([2]verify.Block{good, measured(1.2500001, 0.25, true)}, [2]certify.Block{sure, sure}), fails: "certified at most 1: this is a fault of repfuse"},
		{name: "more than certified, within what is asked for", v: judged([2]verify.Block{good, measured(3, 0.25, true)}, [2]certify.Block{sure, sure}),
			requested: true, fails: "measured 3, certified at most 1"},
	} {
		err := test.v.decide(test.requested)
		switch {
		case test.fails != "":
			if err == nil || !strings.Contains(err.Error(), test.fails) {
				t.Errorf("%s: error %v, want %q", test.name, err, test.fails)
			}
		case err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.v.Grade != test.want || !strings.HasPrefix(test.v.String(), test.sentence):
			t.Errorf("%s: %s, %q; want %s, %q", test.name, test.v.Grade, test.v, test.want, test.sentence)
		}
	}
}

// The checksum of a file ends with its context.
func TestChecksumCancelled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if f, err := fileOf(ctx, "source", &checkpoint.Checkpoint{Path: path}); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v, want %v", f, err, context.Canceled)
	}
}
