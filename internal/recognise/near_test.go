package recognise_test

import (
	"slices"
	"strings"
	"testing"

	"repfuse/internal/golden"
	"repfuse/internal/recognise"
)

// Where nothing is recognised, the notes name the family that came nearest, the module, and what it lacks. A key
// is renamed, so that no anchor holds.
func TestNearest(t *testing.T) {
	for _, test := range []struct{ name, from, to, want string }{
		{"unireplknet-block-k3", "b.dwconv.", "b.dw.", "b: comes near to unireplknet-block-small: b.dwconv.weight is missing"},
		{"lora-conv", "b.lora_A", "b.A", "b: comes near to lora-conv: b.lora_A is missing"},
		{"diracnet-conv", "b.delta", "b.d", "b: comes near to diracnet: b.delta is missing"},
		// What is found on request, or is another block with a key amiss, is said in its own words, and that alone.
		{"slab-merging", "b.norm.", "b.bn.", ""},
		{"repvgg-block-s1", "rbr_1x1.bn.running_mean", "rbr_1x1.bn.mean", ""},
	} {
		tensors := slices.Clone(golden.Load(t, test.name).Train)
		for k := range tensors {
			tensors[k].Key = strings.Replace(tensors[k].Key, test.from, test.to, 1)
		}
		var near []string
		p, err := recognise.Plan(tensors, recognise.Options{Families: builtin(t)})
		if err == nil {
			for _, n := range p.Notes {
				if strings.Contains(n.Text, "comes near") {
					near = append(near, n.String())
				}
			}
		}
		switch {
		case err != nil && test.want != "":
			t.Errorf("%s: %v, want a note", test.name, err)
		case test.want == "" && len(near) > 0, test.want != "" && (len(near) == 0 || near[0] != test.want), len(near) > 3:
			t.Errorf("%s: %q, want %q first, of three at most", test.name, near, test.want)
		}
	}
}

// A shape that does not fit is what a block lacks, where all its keys are there.
func TestNearestShape(t *testing.T) {
	set := withOwn(t, `families: {name: own, title: Own, anchor: [big.weight aux.weight], make: {conv: conv(big) + conv(small)}}`)
	p, err := recognise.Plan(named(t, "a.big.weight[2,2,3,3] a.small.weight[1,2,1,1]"), recognise.Options{Families: set})
	if err != nil {
		t.Fatal(err)
	}
	var notes []string
	for _, n := range p.Notes {
		notes = append(notes, n.String())
	}
	want := []string{"own: no module has the keys of its anchor big.weight aux.weight",
		"a: comes near to own: conv(a.small.weight 1×2×1×1) gives 1 channels, want 2 as conv(a.big.weight 2×2×3×3) gives"}
	if !slices.Equal(notes, want) {
		t.Errorf("%q, want %q", notes, want)
	}
}
