package recognise_test

import (
	"strings"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/golden"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
)

// repvgg is the keys of a RepVGG block under other names of its branches.
func repvgg(path, dense, small string) string {
	return strings.NewReplacer("B.", path+".", "DENSE", dense, "SMALL", small).Replace(
		" B.DENSE.conv.weight[8,8,3,3] B.DENSE.bn:8 B.SMALL.conv.weight[8,8,1,1] B.SMALL.bn:8 B.rbr_identity:8")
}

// twoOfThree takes the convolutions conv1 and conv2 with their norms, and keeps the rest.
const twoOfThree = `families:
  - name: two
    title: Two of three
    anchor: [conv1.weight conv2.weight bn1.weight]
    make: {fused: conv(conv1) > bn(bn1) + conv(conv2) > bn(bn2)}
    keep: ['**']
    deployed: [late.weight]
`

// What stays though it looks like a block, or like a branch of one, is noted without
// being asked; what is another thing, or stays on request, is not.
func TestLeftover(t *testing.T) {
	const (
		sibling = "kept, where siblings of the same kernels are fused"
		branch  = "kept with a norm, where a block takes the branches of other numbers"
	)
	known := repvgg("s.0", "rbr_dense", "rbr_1x1") + repvgg("s.2", "rbr_dense", "rbr_1x1")
	three := "b.conv1.weight[8,8,3,3] b.bn1:8 b.conv2.weight[8,8,1,1] b.bn2:8 "
	for _, test := range []struct{ keys, choices, own, want string }{
		{keys: known},
		{keys: known + repvgg("s.1", "branch3", "branch1"), want: "s.1: " + sibling},
		{keys: known + repvgg("s.1", "branch3", "branch1") + repvgg("s.last", "a", "b"), want: "s.1, s.last: " + sibling},
		{keys: known + repvgg("s.1", "branch3", "branch1"), choices: "s.1=none"},
		{keys: known + repvgg("s.1", "branch3", "branch1"), choices: "s=none s.1=none"},
		{keys: known + repvgg("t.1", "branch3", "branch1")}, // two names differ
		{keys: known + repvgg("t.0", "branch3", "branch1"), want: "t.0: " + sibling},
		{keys: known + " s.1.conv.weight[8,8,3,3] s.1.bn:8"},
		{keys: known + " s.1.conv.weight[8,8,5,5] s.1.bn:8 s.1.conv2.weight[8,8,1,1] s.1.bn2:8 s.1.id:8"},
		{keys: known + " s.1.conv.weight[8,8,3,3] s.1.conv2.weight[8,8,1,1]"},
		{keys: known + " s.1.rbr_reparam.weight[8,8,3,3] s.1.rbr_reparam.bias[8]"},
		{keys: three, own: twoOfThree},
		{keys: three + "b.late.weight[8,8,3,3] b.late.bias[8] b.deep.late.weight[8,8,3,3]", own: twoOfThree,
			want: "b.late.weight: kept beside a block, though only its deploy form has the key"},
		{keys: three + "b.conv3.weight[8,8,1,1] b.bn3:8", own: twoOfThree, want: "b.conv3: " + branch},
		{keys: three + "b.conv3.weight[8,8,1,1]", own: twoOfThree},
		{keys: three + "b.conv3.weight[8,8,1,1] b.bn4:8", own: twoOfThree},
		{keys: three + "b.bn3:8", own: twoOfThree},
		{keys: three + "b.fc3.weight[8,8] b.bn3:8", own: twoOfThree},
	} {
		set := builtin(t)
		if test.own != "" {
			list, err := family.Load("own.yaml", []byte(test.own))
			if err != nil {
				t.Fatal(err)
			}
			set = &family.Set{}
			if err := set.Add(list...); err != nil {
				t.Fatal(err)
			}
		}
		p, err := recognise.Plan(named(t, test.keys), recognise.Options{Families: set, Choices: strings.Fields(test.choices)})
		if err != nil {
			t.Errorf("%s: %v", test.keys, err)
			continue
		}
		if got := strings.Join(lefts(p), "\n"); got != test.want {
			t.Errorf("%s %s: notes %q, want %q", test.keys, test.choices, got, test.want)
		}
		for _, f := range p.Fates {
			if declared := f.Why == "kept by the two declaration"; declared != (test.own != "" && f.Fate == plan.Kept) {
				t.Errorf("%s: %s is %s: %q", test.keys, f.Key, f.Fate, f.Why)
			}
		}
	}
}

// lefts is the notes of what is left and looks as if it should not be.
func lefts(p *plan.Plan) []string {
	var list []string
	for _, n := range p.Notes {
		if strings.HasPrefix(n.Text, "kept") {
			list = append(list, n.String())
		}
	}
	return list
}

// Nothing is said of a reference case, of which the families take all there is.
func TestNoFalseLeftover(t *testing.T) {
	for name, e := range expectations() {
		if e.refused != "" {
			continue
		}
		c := golden.Load(t, name)
		for _, o := range []recognise.Options{options(t, e), byFacts(t, e, c.Facts())} {
			p, err := recognise.Plan(c.Train, o)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for _, text := range lefts(p) {
				t.Errorf("%s: %s", name, text)
			}
			for _, f := range p.Fates {
				if (f.Why == "") != (f.Fate == plan.Fused) {
					t.Errorf("%s: %s is %s: %q", name, f.Key, f.Fate, f.Why)
				}
			}
		}
	}
}
