package report_test

import (
	"bytes"
	"strings"
	"testing"

	"repfuse/internal/golden"
	"repfuse/internal/health"
	"repfuse/internal/plan"
	"repfuse/internal/report"
	"repfuse/internal/tensor"
)

// plannedInput is what a plan's page is made of, with a name wherever there is one.
func plannedInput(t *testing.T, name string) report.Planned {
	t.Helper()
	p, err := planned(t, "repvgg-model-tiny")
	if err != nil {
		t.Fatal(err)
	}
	p.Blocks[0].Family = name
	p.Fates[0] = plan.Fate{Named: tensor.Named{Key: name}, Fate: plan.Kept, Block: -1, Why: name}
	return report.Planned{Source: name, Origin: report.Origin{Tool: name}, Plan: p, Expression: func(plan.Block, plan.Output) string { return name + "\n+ x" },
		Notes: []plan.Note{{Text: name, Hint: name}}, Conditions: []plan.Condition{{If: name, By: plan.Assumed}}}
}

// A plan's page has each layer with what it computes, what stays with its reason, and what it rests on; what a
// checkpoint is called is text in it.
func TestPlanPage(t *testing.T) {
	in := plannedInput(t, hostile)
	text := page(t, func(b *bytes.Buffer) error { return report.WritePlan(b, in) })
	said := read(t, text)
	standsAlone(t, text)
	for where, want := range map[string]string{
		"title": hostile, "h1": hostile, "code": hostile, "small": hostile, "summary": "1 kept, " + hostile, "li": hostile,
		"dd": hostile + " (" + hostile + ")", "strong": "layers", "p": "right only if " + hostile,
	} {
		if !said.has(where, want) {
			t.Errorf("no %s in %s", want, where)
		}
	}
	if n := strings.Count(text, `<tr id="b`); n != len(in.Plan.Blocks) {
		t.Errorf("%d layers in the table, want %d", n, len(in.Plan.Blocks))
	}
	if strings.Contains(text, `class="why"`) || strings.Contains(text, `class="bad"`) {
		t.Error("a layer is shown as wrong, though nothing was measured")
	}
	in.Differences = []string{hostile}
	if text := page(t, func(b *bytes.Buffer) error { return report.WritePlan(b, in) }); !strings.Contains(text, `class="verdict different"`) {
		t.Error("what is not as expected does not stand at the head")
	}
}

// An inspection's page has every tensor with its range, kernels the least fit first, and what is wrong at the
// head.
func TestInspectionPage(t *testing.T) {
	in := report.Inspected{Source: hostile, Format: "npy", Notes: []string{hostile}}
	for _, n := range golden.Load(t, "repvgg-block-s1").Train {
		in.Tensors = append(in.Tensors, tensor.Spec{Key: hostile + n.Key, Type: n.Type, Shape: n.Shape})
		in.Values = append(in.Values, nil)
	}
	in.Values[0] = &health.Values{Min: -0.125, Max: 2}
	in.Kernels = []*health.Kernel{{Key: hostile + ".weight", Shape: []int{2, 2}}}
	text := page(t, func(b *bytes.Buffer) error { return report.WriteInspection(b, in) })
	said := read(t, text)
	standsAlone(t, text)
	for where, want := range map[string]string{"title": hostile, "h1": hostile, "span": hostile, "h3": hostile, "dd": hostile, "td": "−0.125", "strong": "sound"} {
		if !said.has(where, want) {
			t.Errorf("no %s in %s", want, where)
		}
	}
	if n := strings.Count(text, `<th scope="row"`); n != len(in.Tensors) {
		t.Errorf("%d tensors in the table, want %d", n, len(in.Tensors))
	}
	in.Faults = []string{hostile, "b"}
	text = page(t, func(b *bytes.Buffer) error { return report.WriteInspection(b, in) })
	if !read(t, text).has("li", hostile) || !strings.Contains(text, `class="verdict different"`) {
		t.Error("what is wrong does not stand at the head")
	}
}

// However large a checkpoint is, its pages are bounded.
func TestPagesAreBounded(t *testing.T) {
	in := report.Inspected{Tensors: make([]tensor.Spec, 20000), Values: make([]*health.Values, 20000), Faults: make([]string, 20000), Notes: make([]string, 20000)}
	for range 20000 {
		in.Kernels = append(in.Kernels, &health.Kernel{Key: "k"})
	}
	text := page(t, func(b *bytes.Buffer) error { return report.WriteInspection(b, in) })
	if len(text) > 3<<20 || !strings.Contains(text, "19000 more are left out") || !strings.Contains(text, "and 19950 more") {
		t.Errorf("a page of %d bytes", len(text))
	}
	p := plannedInput(t, "x")
	for range 20000 {
		p.Plan.Blocks = append(p.Plan.Blocks, p.Plan.Blocks[1])
		p.Plan.Fates = append(p.Plan.Fates, p.Plan.Fates[0])
		p.Notes, p.Differences = append(p.Notes, p.Notes[0]), append(p.Differences, "x")
	}
	text = page(t, func(b *bytes.Buffer) error { return report.WritePlan(b, p) })
	if len(text) > 3<<20 || !strings.Contains(text, "more are left out") {
		t.Errorf("a page of %d bytes", len(text))
	}
}

func page(t *testing.T, write func(*bytes.Buffer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
