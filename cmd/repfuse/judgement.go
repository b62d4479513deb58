package main

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"repfuse/internal/certify"
	"repfuse/internal/checkpoint"
	"repfuse/internal/record"
	"repfuse/internal/verify"
)

// judgement is the whole answer of repfuse verify, and its JSON (docs/json.md).
type judgement struct {
	// The two paths.
	Source string `json:"source"`
	Output string `json:"output"`
	// Verdict is exact, equivalent or different; Rule what decided it: "elements" or
	// "atol/rtol".
	Verdict certify.Verdict `json:"verdict"`
	Rule    string          `json:"rule"`
	// Why says, of a different result, what differs.
	Why string `json:"why,omitempty"`
	// Changed is the tensors that are not as fuse left them, by the record.
	Changed []string `json:"changed,omitempty"`
	// Notes is what was assumed.
	Notes []string `json:"notes"`
	// What both forms did on random images.
	Measured *verify.Report `json:"measured"`
	// How far they can be apart on any, and the verdict on each stored element.
	Certificate *certify.Report `json:"certificate"`

	source *source
}

// The rules that decide.
const (
	byElements = "elements"
	byRequest  = "atol/rtol"
)

// judge measures, certifies and decides.
func (f *verifyFlags) judge(ctx context.Context, s *source, out *checkpoint.Checkpoint, rec *record.Record, o verify.Options, stderr io.Writer) (*judgement, error) {
	j := &judgement{Source: s.Path, Output: out.Path, Notes: notes(s), source: s}
	bar := newProgress(stderr, f.quiet, "verifying", total(s.plan.Items(o.Type)))
	defer bar.end()
	o.Progress = func(done, all int) { bar.tell(bar.all * int64(done) / int64(2*all)) }
	var err error
	if j.Measured, err = verify.Run(ctx, s.plan, out.Tensors, o); err != nil {
		return nil, err
	}
	half := func(done, all int) { bar.tell(bar.all/2 + bar.all*int64(done)/int64(2*all)) }
	j.Certificate, err = certify.Run(ctx, s.plan, out.Tensors, certify.Options{Range: o.Range, Jobs: o.Jobs, Progress: half})
	if err != nil {
		return nil, err
	}
	if rec != nil {
		if j.Changed, err = rec.Changed(ctx, out.Tensors, o.Jobs); err != nil {
			return nil, err
		}
	}
	return j, j.decide(o.Atol != nil || o.Rtol != nil)
}

// decide finds the verdict: the worst of the stored elements', or, where tolerances
// were asked for, what was measured against them. Keys, shapes and what passes
// through count either way. A measured difference above the certified one cannot be,
// and is an error.
func (j *judgement) decide(requested bool) error {
	j.Verdict, j.Rule = j.Certificate.Verdict, byElements
	if requested {
		j.Verdict, j.Rule = certify.Equivalent, byRequest
	}
	m, c := j.Measured, j.Certificate
	switch {
	case len(m.Findings) > 0:
		j.different("%s", m.Findings[0])
	case !requested && c.Verdict == certify.Different:
		b := c.Blocks[c.Worst]
		j.different("%s", cmp.Or(b.Skipped, b.Worst.String()))
	}
	for k, b := range m.Blocks {
		switch {
		case b.Skipped != "":
			j.different("%s: %s", b.Weight, b.Skipped)
		case !b.Passed:
			j.different("%s: channel %d differs by %.3g, tolerance %.3g", b.Weight, b.Nearest.Channel, b.Nearest.Difference, b.Tolerance.Value)
		case b.Largest.Difference > c.Blocks[k].Bound.Value+b.Largest.Slack:
			return fmt.Errorf("%s: measured %.9g, certified at most %.9g: this is a fault of repfuse, please report it", b.Weight, b.Largest.Difference, c.Blocks[k].Bound.Value)
		}
	}
	return nil
}

// different settles the verdict; the first reason stands.
func (j *judgement) different(format string, args ...any) {
	if j.Verdict = certify.Different; j.Why == "" {
		j.Why = fmt.Sprintf(format, args...)
	}
}

// sentence is the verdict for people.
func (j *judgement) sentence() string {
	switch {
	case j.Verdict == certify.Different:
		return "no: different: " + j.Why
	case j.Rule == byRequest:
		return "yes: within the tolerance that was asked for"
	case len(j.Measured.Blocks) == 0:
		return "yes: every tensor is as it was"
	case j.Verdict == certify.Exact:
		return "yes: exact: every stored element is within 0.501 ulp of the real fused value"
	}
	return "yes: equivalent: every stored element is within what rounding explains"
}
