package recognise_test

import (
	"strings"
	"testing"

	"repfuse/internal/facts"
	"repfuse/internal/family"
	"repfuse/internal/golden"
	"repfuse/internal/hint"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
)

const preActivation = "layer1.bn1:4 layer1.conv1.weight[8,4,3,3] layer1.bn2:8 layer1.conv2.weight[8,8,1,1] fc.weight[2,8]"

// A norm that was registered before its layer stands before it: DDRNet's head, whose shapes fit both.
func TestOrder(t *testing.T) {
	keys := "head.bn1:8 head.conv1.weight[8,8,3,3] fc.weight[2,8]"
	o := recognise.Options{Families: builtin(t), Choices: []string{"conv-bn-numbered"}, Ordered: true}
	_, err := recognise.Plan(named(t, keys), o)
	wantError(t, err, "head.bn1.running_mean was registered before head.conv1.weight")
	// No order says nothing.
	o.Ordered = false
	if p, err := recognise.Plan(named(t, keys), o); err != nil || len(p.Blocks) != 1 {
		t.Errorf("without an order: %v", err)
	}
	// Without the flag such a module stays.
	o.Choices, o.Ordered = nil, true
	if p, err := recognise.Plan(named(t, preActivation), o); err != nil || len(p.Blocks) != 0 {
		t.Errorf("without a flag: %v", err)
	}
}

// Several families without a glob add up, and each has to fit somewhere.
func TestChoicesAddUp(t *testing.T) {
	keys := "layer1.conv1.weight[8,4,3,3] layer1.bn1:8 layer1.down.0.weight[8,4,1,1] layer1.down.1:8 layer2.down.0.weight[8,4,1,1] layer2.down.1:8"
	plans := func(choices ...string) int {
		p, err := recognise.Plan(named(t, keys), recognise.Options{Families: builtin(t), Choices: choices})
		if err != nil {
			t.Fatalf("%v: %v", choices, err)
		}
		return len(p.Blocks)
	}
	if n := plans("conv-bn-numbered", "conv-bn-indexed"); n != 3 {
		t.Errorf("%d blocks of two families, want 3", n)
	}
	// A glob decides alone where it is the last that fits.
	if n := plans("conv-bn-numbered", "conv-bn-indexed", "layer1.down=none"); n != 2 {
		t.Errorf("%d blocks with one left out, want 2", n)
	}
	_, err := recognise.Plan(named(t, keys), recognise.Options{Families: builtin(t), Choices: []string{"conv-bn-numbered", "conv-norm"}})
	wantError(t, err, "--family conv-norm: fits no block")
}

// ownFamily is YAML of a family with the keys of rtdetr's blocks, as transformers has them.
const ownFamily = `
families:
  - name: mine
    eps: 1e-5
    anchor: [conv1.conv.weight conv2.conv.weight]
    make:
      fused: conv(conv1.conv) > bn(conv1.norm) + conv(conv2.conv) > bn(conv2.norm)
`

// withOwn is the built-in families and the user's own.
func withOwn(t *testing.T, text string) *family.Set {
	t.Helper()
	set, err := family.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return addOwn(t, set, text)
}

// addOwn adds the user's own families to a set.
func addOwn(t *testing.T, set *family.Set, text string) *family.Set {
	t.Helper()
	list, err := family.Load("own.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		f.Own = true
	}
	if err := set.Add(list...); err != nil {
		t.Fatal(err)
	}
	return set
}

// The user's own family wins over a built-in one, which is told of.
func TestOwnFamilyWins(t *testing.T) {
	keys := "b.conv1.conv.weight[8,4,3,3] b.conv1.norm:8 b.conv2.conv.weight[8,4,1,1] b.conv2.norm:8"
	p, err := recognise.Plan(named(t, keys), recognise.Options{Families: withOwn(t, ownFamily)})
	if err != nil {
		t.Fatal(err)
	}
	if got := taken(p); got != "mine" {
		t.Errorf("taken by %s, want mine", got)
	}
	if !says(p, "fits as well") {
		t.Errorf("no note of the built-in family that fits as well: %v", p.Notes)
	}
	// Also inside of a module that a built-in family would take first.
	inner := strings.ReplaceAll(ownFamily, "[conv1.conv.weight conv2.conv.weight]", "[conv.weight bn.running_mean]")
	inner = inner[:strings.Index(inner, "fused: ")] + "conv: conv(conv) > bn(bn)\n"
	repvgg := "b.rbr_dense.conv.weight[8,4,3,3] b.rbr_dense.bn:8 b.rbr_1x1.conv.weight[8,4,1,1] b.rbr_1x1.bn:8"
	p, err = recognise.Plan(named(t, repvgg), recognise.Options{Families: withOwn(t, inner)})
	if err != nil {
		t.Fatal(err)
	}
	if got := taken(p); got != "mine" || len(p.Blocks) != 2 {
		t.Errorf("%d blocks taken by %s, want both of mine", len(p.Blocks), got)
	}
}

func says(p *plan.Plan, text string) bool {
	for _, n := range p.Notes {
		if strings.Contains(n.String(), text) {
			return true
		}
	}
	return false
}

// A near miss of a class that no family knows is another module.
func TestUnknownClass(t *testing.T) {
	keys := "b.rbr_dense.conv.weight[8,4,3,3] b.rbr_dense.bn:8 b.rbr_1x1.conv.weight[8,4,1,1] fc.weight[2,8]"
	o := recognise.Options{Families: builtin(t)}
	if _, err := recognise.Plan(named(t, keys), o); err == nil {
		t.Error("without facts the near miss is no error")
	}
	o.Facts = &facts.Model{Version: facts.Version, Modules: map[string]facts.Module{"b": {Class: "TwoArms"}}}
	if _, err := recognise.Plan(named(t, keys), o); err != nil {
		t.Errorf("of a class that no family has: %v", err)
	}
}

// All that no key says is one error, with one command line that answers it.
func TestOneQuestion(t *testing.T) {
	c := golden.Load(t, "efdn-edbb-idt-no13").Train
	_, err := recognise.Plan(c, recognise.Options{Families: builtin(t)})
	wantError(t, err, "with_idt")
	wantError(t, err, "with_13")
	if h := hint.Of(err); !strings.Contains(h, "--identity yes --set with_13=yes, each yes or no") {
		t.Errorf("the hint is %q", h)
	}
	if _, err := recognise.Plan(c, recognise.Options{Families: builtin(t), Sets: []string{"identity=yes", "with_13=yes"}}); err != nil {
		t.Errorf("as the hint says: %v", err)
	}
}

// Of the user's own family it is said that no module has its anchor, of batch norms what folds them.
func TestNothingRecognised(t *testing.T) {
	keys := "l.conv1.weight[8,4,3,3] l.bn1:8"
	misspelt := strings.ReplaceAll(ownFamily, "conv2.conv.weight]", "gama]")
	p, err := recognise.Plan(named(t, keys), recognise.Options{Families: withOwn(t, misspelt)})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"mine: no module has the keys of its anchor conv1.conv.weight gama", "a batch norm stands behind a layer"} {
		if !says(p, want) {
			t.Errorf("no note says %q: %v", want, p.Notes)
		}
	}
}

// A family on request is named where its blocks are, and not where the shapes are against it.
func TestSuggested(t *testing.T) {
	p, err := recognise.Plan(named(t, "b.linear.weight[4,6] b.bn:4"), recognise.Options{Families: builtin(t)})
	if err != nil {
		t.Fatal(err)
	}
	if !says(p, "could be linear-bn") || says(p, "could be bn-linear") {
		t.Errorf("want linear-bn alone of the two: %v", p.Notes)
	}
}
