package repfuse

import (
	"cmp"
	"fmt"

	"repfuse/internal/certify"
	"repfuse/internal/verify"
)

// Grade is the answer in a word.
type Grade = certify.Verdict

// The grades, from best to worst. g.Worse(Equivalent) == Equivalent asks whether g is good enough.
const (
	// Exact: each stored element is within 0.501 units in the last place of the real fused
	// value.
	Exact Grade = certify.Exact
	// Equivalent: each is within what an ordinary computation in its type explains.
	Equivalent Grade = certify.Equivalent
	// Different: anything else, however small.
	Different Grade = certify.Different
)

// Measurement is what both forms did on random images, Certificate how far they can be
// apart on any; docs/json.md lists their members under verify.Report and certify.Report.
type (
	Measurement = verify.Report
	Certificate = certify.Report
)

// Verdict is the whole answer of Verify.
type Verdict struct {
	// The path of the training form.
	Source string `json:"source"`
	// The path of what it was fused to.
	Output string `json:"output"`
	// Verdict is exact, equivalent or different.
	Grade Grade `json:"verdict"`
	// Rule is what decided it: "elements" or "atol/rtol".
	Rule string `json:"rule"`
	// Why says, of a different result, what differs.
	Why string `json:"why,omitempty"`
	// Network says that the tensors are those of an .onnx, whose other nodes were compared
	// too.
	Network bool `json:"network,omitempty"`
	// Changed is the tensors that are not as fuse left them, by the record.
	Changed []string `json:"changed,omitempty"`
	// Conditions is what the verdict depends on and nothing in the source shows.
	Conditions []Condition `json:"conditions"`
	// Notes is what was assumed, or is worth knowing.
	Notes []string `json:"notes"`
	// What both forms did on random images.
	Measured *Measurement `json:"measured"`
	// How far they can be apart on any, and the verdict on each stored element.
	Certificate *Certificate `json:"certificate"`
	// The input on which the worst block differs most, where it was asked for.
	Witness *Witness `json:"witness,omitempty"`
}

// Witness is an input that was written to a file, and where on it the block whose convolution
// is under the key Weight differs from its branches by Difference: the output's channel, and
// its position, one number an axis.
type Witness struct {
	File       string  `json:"file"`
	Weight     string  `json:"weight"`
	Difference float64 `json:"difference"`
	Channel    int     `json:"channel"`
	Position   []int   `json:"position"`
}

// The rules that decide.
const (
	byElements = "elements"
	byRequest  = "atol/rtol"
)

// decide finds the grade: the worst of the stored elements', or, where tolerances were
// asked for, what was measured against them. Keys, shapes and what passes through count
// either way. A measured difference above the certified one cannot be, and is an error.
func (v *Verdict) decide(requested bool) error {
	m, c := v.Measured, v.Certificate
	v.Grade, v.Rule = c.Verdict, byElements
	if requested {
		v.Grade, v.Rule = Equivalent, byRequest
	}
	switch {
	case len(m.Findings) > 0:
		v.different("%s", m.Findings[0])
	case !requested && c.Verdict == Different:
		b := c.Blocks[c.Worst]
		why, w := cmp.Or(b.Skipped, b.Worst.String()), b.Worst
		if b.Type == "float64" && w.Stored != 0 && w.Stored == float64(float32(w.Real)) {
			why += ", as float32 rounds it: what was float32 keeps those digits in float64"
		}
		v.different("%s", why)
	}
	for k, b := range m.Blocks {
		switch {
		case b.Skipped != "":
			v.different("%s: %s", b.Weight, b.Skipped)
		case !b.Passed:
			v.different("%s: channel %d differs by %.3g, tolerance %.3g", b.Weight, b.Nearest.Channel, b.Nearest.Difference, b.Tolerance.Value)
		case b.Largest.Difference > c.Blocks[k].Bound.Value+b.Largest.Slack:
			return fmt.Errorf("%s: measured %.9g, certified at most %.9g: this is a fault of repfuse, please report it", b.Weight, b.Largest.Difference, c.Blocks[k].Bound.Value)
		}
	}
	return nil
}

// different settles the grade; the first reason stands.
func (v *Verdict) different(format string, args ...any) {
	if v.Grade = Different; v.Why == "" {
		v.Why = fmt.Sprintf(format, args...)
	}
}

// String is the verdict as a sentence that begins with yes or no, with what it depends on.
func (v *Verdict) String() string {
	if v.Grade == Different {
		return "no: different: " + v.Why
	}
	text, why := "yes: equivalent", "every stored element is within what rounding explains"
	switch {
	case v.Rule == byRequest:
		text, why = "yes: within the tolerance that was asked for", ""
	case len(v.Measured.Blocks) == 0:
		text, why = "yes: every tensor is as it was", ""
	case v.Grade == Exact:
		text, why = "yes: exact", "every stored element is within 0.501 ulp of the real fused value"
	}
	if v.Network && why != "" {
		why += "; all else is the same program, up to the runtime's rounding"
	}
	if len(v.Conditions) > 0 || why == "" {
		return claim(text, v.Conditions)
	}
	return text + ": " + why
}
