package report_test

import (
	"testing"

	"repfuse/internal/certify"
	"repfuse/internal/golden"
	"repfuse/internal/plan"
	"repfuse/internal/report"
	"repfuse/internal/verify"
)

// hostile is a name that ends every kind of quoting, and starts a script.
const hostile = `"><script>alert('1' & 2)</script></title></style>`

// Whatever checkpoints, families and paths are called is shown, and is text.
func TestHostile(t *testing.T) {
	page := read(t, write(t, hostileInput(t)))
	for where, why := range map[string]string{
		"title":          "the paths; a block at the pointer",
		"span":           "the paths, a block's name",
		"strong":         "the verdict",
		"p":              "its reason",
		"li":             "a finding",
		"small":          "a block at the head, a family",
		"h3":             "a block that is pictured",
		"svg@aria-label": "the tensors of a branch",
		"th":             "a block in the chart of times",
		"dt":             "a question about a branch",
		"dd":             "what was assumed and changed, the program, the command",
		"code":           "a checksum",
		"a":              "a link to a block",
		"div@class":      "the verdict's colour",
	} {
		if !page.has(where, hostile) {
			t.Errorf("no %s in %s: %s", hostile, where, why)
		}
	}
}

// hostileInput has the name wherever there is one.
func hostileInput(t *testing.T) report.Input {
	t.Helper()
	c := golden.Load(t, "repvgg-model-tiny")
	for k := range c.Train {
		c.Train[k].Key = hostile + "." + c.Train[k].Key
	}
	p, err := planOf(t, c)
	if err != nil {
		t.Fatal(err)
	}
	in := inputOf(t, p, nil)
	for k := range p.Blocks {
		p.Blocks[k].Family = hostile
		p.Blocks[k].Path = "" // so that the tensors of branches are named in full
	}
	in.Source, in.Output = hostile, hostile
	in.Origin = report.Origin{Tool: hostile, Command: hostile, Files: []report.File{{Is: hostile, Path: hostile, Sum: hostile}}}
	in.Conditions = []plan.Condition{{If: hostile}}
	in.Verdict, in.Sentence = hostile, hostile
	in.Assumed, in.Changed = []string{hostile}, []string{hostile}
	in.Certificate.Blocks[0].Identities = []certify.Identity{{Name: hostile}}
	in.Measured.Findings = []verify.Finding{{Kind: verify.Missing, Key: hostile}, {Kind: verify.Missing, Key: hostile}}
	return in
}
