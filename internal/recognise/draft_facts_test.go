package recognise_test

import (
	"strings"
	"testing"

	"repfuse/internal/draft"
	"repfuse/internal/facts"
	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

// twoBlocks is two blocks of one kind.
const twoBlocks = "a.k.weight 4x4x3x3, a.l.weight 4x4x1x1, b.k.weight 4x4x3x3, b.l.weight 4x4x1x1"

// draftText drafts with facts and gives the text of the file, which is read back.
func draftText(t *testing.T, list []tensor.Named, modules map[string]facts.Module) string {
	t.Helper()
	d, err := recognise.Draft(list, recognise.Options{Families: &family.Set{}, Facts: &facts.Model{Modules: modules}})
	if err != nil {
		t.Fatal(err)
	}
	text := draft.YAML("weights", d.Families)
	if _, err := family.Load("draft", []byte(text)); err != nil {
		t.Fatalf("%v (%q):\n%s", err, d.Left, text)
	}
	return text
}

// A keyless child says whether a block adds its input only where it is an Identity, of one name in all blocks of one
// class: else the answer would be no of those that call it otherwise. It is the same in every run.
func TestDraftKeyless(t *testing.T) {
	type keyless map[string]string
	for _, test := range []struct {
		name   string
		a, b   keyless
		class  string // of b; a is a House
		answer string // what is asked, or decided
	}{
		{"one name", keyless{"skip": "Identity"}, keyless{"skip": "Identity"}, "House", "yes yes"},
		{"one lacks it", keyless{"skip": "Identity"}, keyless{"act": "ReLU"}, "House", "yes no"},
		{"two names", keyless{"shortcut": "Identity"}, keyless{"skip": "Identity"}, "House", "asked"},
		{"two classes", keyless{"skip": "Identity"}, keyless{"act": "ReLU"}, "Home", "asked"},
		{"an activation", keyless{"res_relu": "ReLU"}, keyless{"res_relu": "ReLU"}, "House", "asked"},
		{"a dropout", keyless{"skip_drop": "Dropout"}, keyless{"skip": "Identity"}, "House", "asked"},
		{"of one name, of two classes", keyless{"skip": "Sequential"}, keyless{"skip": "Identity"}, "House", "asked"},
	} {
		for range 20 { // a map has another order each time
			list := tensors(t, twoBlocks)
			modules := map[string]facts.Module{"a": {Class: "House", Keyless: test.a}, "b": {Class: test.class, Keyless: test.b}}
			set := addOwn(t, &family.Set{}, draftText(t, list, modules))
			p, err := recognise.Plan(list, recognise.Options{Families: set, Sets: []string{"parallel=yes"}, Facts: &facts.Model{Modules: modules}})
			got := "asked"
			if err == nil {
				got = adds(p.Blocks[0]) + " " + adds(p.Blocks[1])
			} else if !strings.Contains(err.Error(), "adds its input") {
				t.Fatal(err)
			}
			if got != test.answer {
				t.Fatalf("%s: %s, want %s", test.name, got, test.answer)
			}
		}
	}
}

// adds reports whether a block adds its input.
func adds(b plan.Block) string {
	if strings.Contains(family.Format(b.Outputs[0].Expr, b.Path), "+ x") {
		return "yes"
	}
	return "no"
}

// What the facts hold of one block alone is not sure of the others: the draft asks, or does not say it.
func TestDraftFactsOfAll(t *testing.T) {
	list := tensors(t, "a.k.weight 4x4x3x3, a.bn_k 4, a.dil.weight 4x4x3x3, a.bn_dil 4, a.l.weight 4x4x1x1, b.k.weight 4x4x3x3, b.bn_k 4, b.dil.weight 4x4x3x3, b.bn_dil 4, b.l.weight 4x4x1x1")
	eps, other := 1e-3, 1e-5
	conv := func(extent int) facts.Module {
		return facts.Module{Class: "Conv2d", Kernel: []int{extent, extent}, Dilation: []int{1, 1}, Groups: 1}
	}
	const far, turned, sure = "lie (1 is side by side)", "no layer is a transposed", "eps: 0.001"
	for _, test := range []struct {
		name      string
		change    func(m map[string]facts.Module)
		has, lack []string
	}{
		{"all is known", func(m map[string]facts.Module) {}, []string{sure}, []string{far, turned}},
		{"a layer is not", func(m map[string]facts.Module) { delete(m, "b.dil") }, []string{sure, far, turned}, nil},
		{"nor its dilation", func(m map[string]facts.Module) { d := conv(3); d.Dilation = nil; m["b.dil"] = d }, []string{sure, far}, []string{turned}},
		{"a layer of one tap is not", func(m map[string]facts.Module) { delete(m, "b.l") }, []string{sure, turned}, []string{far}},
		{"a norm is not", func(m map[string]facts.Module) { delete(m, "b.bn_dil") }, nil, []string{"eps:", far, turned}},
		{"a norm is another", func(m map[string]facts.Module) { m["b.bn_k"] = facts.Module{Class: "BatchNorm2d", Eps: &other} }, nil, []string{"eps:"}},
		{"nothing is", func(m map[string]facts.Module) { clear(m) }, []string{far, turned}, []string{"eps:"}},
	} {
		modules := map[string]facts.Module{}
		for _, b := range []string{"a", "b"} {
			modules[b] = facts.Module{Class: "House"}
			modules[b+".k"], modules[b+".dil"], modules[b+".l"] = conv(3), conv(3), conv(1)
			for _, norm := range []string{".bn_k", ".bn_dil"} {
				modules[b+norm] = facts.Module{Class: "BatchNorm2d", Eps: &eps}
			}
		}
		test.change(modules)
		text := draftText(t, list, modules)
		line := strings.Join(strings.Fields(text), " ")
		for _, want := range test.has {
			if !strings.Contains(line, want) {
				t.Errorf("%s: no %q in\n%s", test.name, want, text)
			}
		}
		for _, none := range test.lack {
			if strings.Contains(line, none) {
				t.Errorf("%s: %q in\n%s", test.name, none, text)
			}
		}
	}
}

// A class's name may have characters that YAML reads as something else.
func TestDraftClassNames(t *testing.T) {
	for _, class := range []string{"Blk[int]", "x, y: z", "null", `a "b" \ '#`, "line\nbreak"} {
		text := draftText(t, tensors(t, twoBlocks), map[string]facts.Module{"a": {Class: class}})
		list, err := family.Load("draft", []byte(text))
		if err != nil || len(list[0].Class) != 1 || list[0].Class[0] != class {
			t.Errorf("%q is read back as %q (%v)", class, list[0].Class, err)
		}
	}
}

// The hint of several questions says what may stand in the place of yes, and how one block is answered.
func TestHintOfQuestions(t *testing.T) {
	for keys, want := range map[string]string{
		twoBlocks:                                "--set parallel=yes --identity yes, each yes or no, for one block --set a=parallel=no; or export",
		"a.k.weight 4x4x3x3, a.l.weight 4x4x1x1": "--set parallel=yes --identity yes, each yes or no; or export",
		"a.k.weight 8x4x3x3, a.l.weight 8x4x1x1": "--set parallel=yes or --set parallel=no; or export",
		"a.k.weight 8x4x3x3, a.l.weight 8x4x1x1, b.k.weight 8x4x3x3, b.l.weight 8x4x1x1": "--set parallel=yes or --set parallel=no for all, --set a=parallel=no for one; or export",
	} {
		list := tensors(t, keys)
		_, err := recognise.Plan(list, recognise.Options{Families: addOwn(t, &family.Set{}, draftText(t, list, nil))})
		if got := hint.Of(err); !strings.HasPrefix(got, want) {
			t.Errorf("%s: the hint is %q, want %q", keys, got, want)
		}
	}
}
