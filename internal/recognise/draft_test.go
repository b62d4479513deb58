package recognise_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/draft"
	"repfuse/internal/facts"
	"repfuse/internal/family"
	"repfuse/internal/golden"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

// drafted is the expressions and the questions of a draft, in one line each, where every key is known by names alone.
func drafted(t *testing.T, tensors []tensor.Named, o recognise.Options) (lines []string, left []string) {
	t.Helper()
	o.Families = &family.Set{}
	d, err := recognise.Draft(tensors, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := family.Load("draft", []byte(draft.YAML("weights", d.Families))); err != nil && len(d.Families) > 0 {
		t.Errorf("%v:\n%s", err, draft.YAML("weights", d.Families))
	}
	for _, f := range d.Families {
		text, asks := f.Expression()
		line := strings.Join(f.Modules, " ") + ": " + strings.Join(strings.Fields(text), " ")
		for _, q := range asks {
			line += "; " + q.Name
		}
		lines = append(lines, line)
	}
	return lines, d.Left
}

// Networks of one's own, with names of one's own.
func TestDraft(t *testing.T) {
	for _, test := range []struct{ name, keys, want string }{
		{"numbers pair conv3 with bn3; the norm that is there where channels are equal is the input's",
			"stem.conv3.weight 8x3x3x3, stem.bn3 8, stem.conv1.weight 8x3x1x1, stem.bn1 8, " +
				"a.conv3.weight 8x8x3x3, a.bn3 8, a.conv1.weight 8x8x1x1, a.bn1 8, a.bn0 8, head.weight 10x8",
			"a stem: ask(parallel: conv(conv3) > bn(bn3) + conv(conv1) > bn(bn1) + bn(bn0)?); parallel"},
		{"branches of modules, with a norm whose name says that it is the input's; what weighs channels stays",
			"a.big.conv.weight 8x8x5x5, a.big.bn 8, a.small.conv.weight 8x8x1x1, a.small.bn 8, a.skip 8, a.se.fc1.weight 2x8x1x1, a.se.fc2.weight 8x2x1x1",
			"a: ask(parallel: conv(big.conv) > bn(big.bn) + conv(small.conv) > bn(small.bn) + bn(skip)); parallel"},
		{"numbered branches, as many as there are",
			"a.list.0.conv.weight 8x8x3x3, a.list.0.bn 8, a.list.1.conv.weight 8x8x3x3, a.list.1.bn 8, a.one.0.weight 8x8x1x1, a.one.1 8, " +
				"b.list.0.conv.weight 16x8x3x3, b.list.0.bn 16, b.one.0.weight 16x8x1x1, b.one.1 16",
			"a b: ask(parallel: sum<n>(conv(list.<n>.conv) > bn(list.<n>.bn)) + conv(one.0) > bn(one.1) + ask(identity: x)); parallel; identity"},
		{"layers in a row that also fit side by side; a pool without keys",
			"a.k.conv.weight 8x8x3x3, a.k.bn 8, a.r.conv1.weight 8x8x1x1, a.r.bn1 8, a.r.conv2.weight 8x8x3x3, a.r.bn2 8, a.avg.conv.weight 8x8x1x1, a.avg.bn 8, a.avg.avgbn 8",
			"a: ask(parallel: conv(k.conv) > bn(k.bn) + conv(avg.conv) > bn(avg.bn) > ask(avg_avgbn_pool: ask(plane: avgpool(k.conv.weight, mode plane), avgpool(k.conv.weight)) > bn(avg.avgbn), bn(avg.avgbn)) + " +
				"ask(r_in_a_row: conv(r.conv1) > bn(r.bn1) > ask(plane: conv(r.conv2, mode plane), conv(r.conv2)) > bn(r.bn2), " +
				"conv(r.conv1) > bn(r.bn1) + ask(plane: conv(r.conv2, mode plane), conv(r.conv2)) > bn(r.bn2)) + ask(identity: x)); " +
				"parallel; plane; avg_avgbn_pool; r_in_a_row; identity"},
		{"a norm alone that may be behind the sum; a kernel whose taps may lie apart",
			"a.wide.weight 8x1x7x7, a.wide_bn 8, a.dilated.weight 8x1x3x3, a.dilated_bn 8, a.norm 8",
			"a: ask(parallel: ask(norm_beside: conv(wide) > bn(wide_bn) + conv(dilated, dilation <dilationa>) > bn(dilated_bn) + bn(norm), " +
				"( conv(wide) > bn(wide_bn) + conv(dilated, dilation <dilationa>) > bn(dilated_bn) + ask(identity: x) ) > bn(norm))); parallel; dilationa; identity; norm_beside"},
		{"underscores for dots", "a.conv3x3_weight 8x8x3x3, a.conv1x1_weight 8x8x1x1",
			"a: ask(parallel: conv(conv3x3_) + conv(conv1x1_) + ask(identity: x)); parallel; identity"},
		{"two kinds of block, each with its family",
			"a.p.weight 8x8x3x3, a.q.weight 8x8x1x1, b.v.weight 8x8x1x3, b.w.weight 8x8x3x1",
			"a: ask(parallel: conv(p) + conv(q) + ask(identity: x)); parallel; identity | b: ask(parallel: conv(v) + conv(w) + ask(identity: x)); parallel; identity"},
		{"names that the notation quotes", `a.p*.weight 8x8x3x3, a."q".weight 8x8x1x1`,
			`a: ask(parallel: conv("p*") + conv("\"q\"") + ask(identity: x)); parallel; identity`},
		{"layers in a row are none", "a.conv1.weight 8x8x3x3, a.bn1 8, a.conv2.weight 8x8x3x3, a.bn2 8, b.conv1.weight 16x8x3x3, b.bn1 16", ""},
		{"nor is a kernel of other inputs", "a.conv3.weight 8x8x3x3, a.conv1.weight 8x4x1x1", ""},
		{"nor one whose middle is none", "a.conv3.weight 8x8x3x3, a.conv2.weight 8x8x2x2", ""},
		{"nor one without channels", "x.k.weight 4x4x3x3, x.k1.weight 4x4x1x1, x.b.l1.weight 4x4x3x3, x.b.l2.weight 4x0x3x3", ""},
		{"nor a norm before its layer, by channels", "a.conv3.weight 8x4x3x3, a.bn3 4, a.conv1.weight 8x4x1x1, a.bn1 4", ""},
	} {
		list := tensors(t, test.keys)
		slices.Reverse(list) // what is sorted by nothing
		got, _ := drafted(t, list, recognise.Options{})
		if s := strings.Join(got, " | "); s != test.want {
			t.Errorf("%s:\n%s, want\n%s", test.name, s, test.want)
		}
	}
}

// A dilation is asked of each branch, also of the 24th, whose question has the letter that stands between numbers.
func TestDraftManyDilations(t *testing.T) {
	keys := "a.wide.weight 8x8x5x5"
	for k := range 24 {
		keys += fmt.Sprintf(", a.dil%d.weight 8x8x3x3", k)
	}
	got, left := drafted(t, tensors(t, keys), recognise.Options{})
	if len(got) != 1 || len(left) > 0 || !strings.Contains(got[0], "dilation <dilationx>") {
		t.Errorf("%q, left %q, want 24 questions", got, left)
	}
}

// A block that is a known family's, except that it is not one convolution, gets that reason and no draft.
func TestDraftOfPadded(t *testing.T) {
	d, err := recognise.Draft(golden.Load(t, "csrep-tdnnblock").Train, recognise.Options{Families: builtin(t)})
	if err != nil || len(d.Families) > 0 || len(d.Left) != 1 || !strings.Contains(d.Left[0], "b (csrep): not one convolution") {
		t.Errorf("%d families, left %q (%v), want none and csrep's reason", len(d.Families), d.Left, err)
	}
}

// Two modules with layers of the same names, of which one cannot be a block: neither is.
func TestDraftUnlike(t *testing.T) {
	got, left := drafted(t, tensors(t, "a.conv3.weight 8x8x3x3, a.conv1.weight 8x8x1x1, b.conv3.weight 16x8x3x3, b.conv1.weight 8x16x1x1"), recognise.Options{})
	want := "a may be branches side by side, except that b has layers of the same names whose channels do not add up"
	if len(got) > 0 || len(left) != 1 || left[0] != want {
		t.Errorf("%q, left %q, want %q", got, left, want)
	}
}

// What the order of keys, the facts and the graph show is not asked, and what they contradict is no branch.
func TestDraftEvidence(t *testing.T) {
	block := tensors(t, "a.conv3.weight 8x8x3x3, a.bn3 8, a.conv1.weight 8x8x1x1, a.bn1 8")
	eps := 1e-3
	modules := func(of ...string) *facts.Model {
		m := &facts.Model{Modules: map[string]facts.Module{"a": {Class: "House", Keyless: map[string]string{"skip": "Identity"}},
			"a.bn3": {Class: "BatchNorm2d", Eps: &eps}, "a.bn1": {Class: "BatchNorm2d", Eps: &eps}}, Order: of}
		return m
	}
	about := func(o recognise.Options) (text string, f *draft.Family) {
		o.Families = &family.Set{}
		d, err := recognise.Draft(block, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Families) == 0 {
			return "", nil
		}
		_, asks := d.Families[0].Expression()
		for _, q := range asks {
			text += q.Name + ": " + q.About + "\n"
		}
		return text, d.Families[0]
	}
	const behind = "; bn3 and bn1 behind the layer, not before it"
	if got, _ := about(recognise.Options{}); !strings.Contains(got, behind) {
		t.Errorf("by names alone it asks %q, want %q in it", got, behind)
	}
	if got, _ := about(recognise.Options{Facts: modules("a", "a.conv3", "a.bn3", "a.conv1", "a.bn1")}); strings.Contains(got, behind) {
		t.Errorf("with the order of modules it asks %q", got)
	}
	if got, _ := about(recognise.Options{Facts: modules("a", "a.bn3", "a.conv3", "a.bn1", "a.conv1")}); got != "" {
		t.Errorf("of norms that were registered before their layers it asks %q, want no draft", got)
	}
	_, f := about(recognise.Options{Facts: modules("a", "a.conv3", "a.bn3", "a.conv1", "a.bn1")})
	text := draft.YAML("weights", []*draft.Family{f})
	for _, want := range []string{`class: ["House"]`, "eps: 0.001", `facts: ["keyless skip"]`} {
		if !strings.Contains(text, want) {
			t.Errorf("by the facts %q is missing in\n%s", want, text)
		}
	}
}

// A graph answers what a draft would ask.
func TestDraftByGraph(t *testing.T) {
	have := stored("b.k.weight 8x8x3x3", "b.l.weight 8x8x1x1")
	conv := func(name string, padding int) op.Expr {
		return op.Conv{Weight: have["b."+name+".weight"], Stride: []int{1, 1}, Padding: []int{padding, padding}}
	}
	for _, test := range []struct {
		graph op.Expr
		want  string
	}{
		{op.Sum{conv("k", 1), conv("l", 0), op.Identity{}}, "b: conv(k) + conv(l) + x"},
		{op.Sum{conv("k", 1), conv("l", 0)}, "b: conv(k) + conv(l)"},
	} {
		form, err := op.Check(test.graph)
		if err != nil {
			t.Fatal(err)
		}
		shown := &plan.Found{Blocks: []plan.Block{{Path: "b", Used: []string{"b.k.weight", "b.l.weight"},
			Outputs: []plan.Output{{Weight: "b.k.weight", Expr: test.graph, Form: form}}}}}
		got, left := drafted(t, []tensor.Named{have["b.k.weight"], have["b.l.weight"]},
			recognise.Options{Shown: func([]tensor.Named) (*plan.Found, error) { return shown, nil }})
		if len(got) != 1 || got[0] != test.want {
			t.Errorf("%q (%q), want %q", got, left, test.want)
		}
	}
}
