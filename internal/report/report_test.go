package report_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"repfuse/internal/certify"
	"repfuse/internal/family"
	"repfuse/internal/fuse"
	"repfuse/internal/golden"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/report"
	"repfuse/internal/tensor"
	"repfuse/internal/verify"
)

// models is cases of every shape that is pictured: branches of all kinds, kernels of
// no axis, of one and of two, large ones, transposed ones, several outputs of a block.
var models = []string{
	"repvgg-model-tiny", "timm-mobileone-model-tiny", "replknet-lkconv-dw-k13-s5", "dbb-k3-g2-internal", "acnet-acb-k5-p2",
	"repnext-model-tiny", "mobileclip-text-repmixer", "levit-c-model-tiny", "orepa-k3", "qarepvgg-v2-s1-id", "ecbsr-model-m2c8x2",
}

// planned plans a case with the facts that its exporter would have written.
func planned(t *testing.T, name string) (*plan.Plan, error) {
	t.Helper()
	return planOf(t, golden.Load(t, name))
}

func planOf(t *testing.T, c golden.Case) (*plan.Plan, error) {
	t.Helper()
	families, err := family.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return recognise.Plan(c.Train, recognise.Options{Families: families, Facts: c.Facts()})
}

// input is all that a report is made of: of a case as repfuse fuses it, changed by spoil.
func input(t *testing.T, name string, spoil func([]tensor.Named) []tensor.Named) report.Input {
	t.Helper()
	p, err := planned(t, name)
	if err != nil {
		t.Fatal(err)
	}
	return inputOf(t, p, spoil)
}

func inputOf(t *testing.T, p *plan.Plan, spoil func([]tensor.Named) []tensor.Named) report.Input {
	t.Helper()
	stored := fused(t, p)
	if spoil != nil {
		stored = spoil(stored)
	}
	in := report.Input{Source: "weights", Output: "out", Origin: report.Origin{Tool: "repfuse devel"}, Plan: p, Stored: stored,
		Sentence: "yes: exact: as it should be", Assumed: []string{"ε is <assumed>"},
		Conditions: []plan.Condition{{If: "ε is <this>", By: plan.Assumed}}}
	var err error
	if in.Measured, err = verify.Run(context.Background(), p, stored, verify.Options{Health: true}); err != nil {
		t.Fatal(err)
	}
	if in.Certificate, err = certify.Run(context.Background(), p, stored, certify.Options{}); err != nil {
		t.Fatal(err)
	}
	in.Verdict = in.Certificate.Verdict
	return in
}

func fused(t *testing.T, p *plan.Plan) []tensor.Named {
	t.Helper()
	var all []tensor.Named
	for _, item := range p.Items(nil) {
		n := tensor.Named{Key: item.Key}
		if item.Kept != nil {
			n.Tensor = item.Kept.Tensor
		} else {
			c, err := fuse.Collapse(item.Expr, item.Type)
			if err != nil {
				t.Fatal(err)
			}
			if n.Tensor = c.Weight.Tensor; item.IsBias {
				n.Tensor = c.Bias.Tensor
			}
		}
		all = append(all, n)
	}
	return all
}

func write(t *testing.T, in report.Input) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(context.Background(), &b, in); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The page is well-formed, asks for nothing outside itself, and has every block in it.
// Where REPORTS names a directory, pages are left there to be looked at.
func TestModels(t *testing.T) {
	for _, name := range models {
		t.Run(name, func(t *testing.T) {
			in := input(t, name, nil)
			text := write(t, in)
			if dir := os.Getenv("REPORTS"); dir != "" {
				if err := os.WriteFile(filepath.Join(dir, name+".html"), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			read(t, text)
			standsAlone(t, text)
			rows := regexp.MustCompile(`<th scope="row" data-value="(\d+)">`).FindAllString(text, -1)
			if len(rows) != len(in.Measured.Blocks) {
				t.Errorf("%d blocks in the table, want %d", len(rows), len(in.Measured.Blocks))
			}
			for _, want := range []string{`class="verdict exact"`, "ε is &lt;assumed&gt;", "<dt>right only if</dt><dd>ε is &lt;this&gt;", "<figure", `<path class="after"`, "multiply-adds"} {
				if !strings.Contains(text, want) {
					t.Errorf("no %s in the page", want)
				}
			}
			for _, never := range []string{"NaN", "Inf", "%!"} {
				if strings.Contains(text, never) {
					t.Errorf("%s in the page", never)
				}
			}
		})
	}
}

// Every case that can be planned can be shown, whatever its branches are made of.
func TestEveryCase(t *testing.T) {
	if testing.Short() {
		t.Skip("a page for each case")
	}
	shown := 0
	for _, name := range golden.Cases(t) {
		if _, err := planned(t, name); err != nil {
			continue // its family has to be said
		}
		text := write(t, input(t, name, nil))
		read(t, text)
		if strings.Contains(text, "<figure") {
			shown++
		}
	}
	if shown < 100 { // far below the number of cases
		t.Errorf("%d cases have a picture, want at least 100", shown)
	}
}

// standsAlone wants nothing that a browser would fetch.
func standsAlone(t *testing.T, text string) {
	t.Helper()
	for _, pattern := range []string{`https?://`, `\bsrc=`, `\bhref="[^#]`, `url\(`, `@import`, `<link`, `<iframe`} {
		if found := regexp.MustCompile(pattern).FindString(text); found != "" {
			t.Errorf("the page has %s in it", found)
		}
	}
}

// What is different says so at the top, and what could not be run stands in the table.
func TestDifferent(t *testing.T) {
	in := input(t, "repvgg-model-tiny", func(all []tensor.Named) []tensor.Named {
		all[1].Tensor = poked(t, all[1].Tensor, 0)
		return append(all[:2:2], all[3:]...) // and one is missing
	})
	in.Sentence = "no: different: because"
	text := write(t, in)
	read(t, text)
	for _, want := range []string{`class="verdict different"`, "<p>because</p>", "is missing", `class="bad"`, "not run"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in the page", want)
		}
	}
}

// A page without blocks is a page.
func TestNoBlock(t *testing.T) {
	in := report.Input{Verdict: certify.Exact, Sentence: "yes: every tensor is as it was", Plan: &plan.Plan{},
		Measured: &verify.Report{Largest: -1, Nearest: -1}, Certificate: &certify.Report{Largest: -1, Worst: -1}}
	if text := write(t, in); !strings.Contains(text, "No block was fused") || strings.Contains(text, "<figure") {
		t.Errorf("a page without blocks:\n%s", text)
	}
}

// poked is a tensor whose k-th element is a quarter more.
func poked(t *testing.T, from tensor.Tensor, k int) tensor.Tensor {
	t.Helper()
	v, err := from.Floats()
	if err != nil {
		t.Fatal(err)
	}
	v[k] += 0.25
	return tensor.Of(from.Type, from.Shape, v)
}

// Links lead to what is there: from the verdict to the picture of what differs, which comes first,
// from there to its line in the table, and from the contents to each part.
func TestLinks(t *testing.T) {
	in := input(t, "repvgg-model-tiny", func(all []tensor.Named) []tensor.Named {
		all[2].Tensor = poked(t, all[2].Tensor, 0)
		return all
	})
	text := write(t, in)
	read(t, text)
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(text, -1) {
		if ids[m[1]] {
			t.Errorf("two elements are %s", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(text, -1) {
		if !ids[m[1]] {
			t.Errorf("a link leads to %s, which is not there", m[1])
		}
	}
	place := -1
	for _, want := range []string{
		`<div class="verdict different">`, `<ul class="where"><li><a href="#k`, `<section id="differs">`, `<article id="k`, `<figure class="delta">`,
		`<section id="chart">`, `<li class="wrong"`, `<section id="blocks">`, `<section id="kernels">`, `<section id="origin">`,
	} {
		at := strings.Index(text, want)
		if at <= place {
			t.Errorf("%s is at %d, want it behind %d", want, at, place)
		}
		place = at
	}
}
