package recognise_test

import (
	"strings"
	"testing"

	"repfuse/internal/hint"
	"repfuse/internal/recognise"
)

// A yes that the shapes speak against without ruling it out is never passed over: a
// kernel [16, 8, 3, 3] is 8 → 16 channels, or 16 → 16 in two groups.
func TestOverruledYes(t *testing.T) {
	const (
		square = `a.rbr_dense.weight[8,8,3,3] a.rbr_1x1.weight[8,8,1,1] a.bn:8 `
		double = `b.rbr_dense.weight[16,8,3,3] b.rbr_1x1.weight[16,8,1,1] b.bn:16 `
		odd    = `c.rbr_dense.weight[12,8,3,3] c.rbr_1x1.weight[12,8,1,1] c.bn:12 `
	)
	for _, test := range []struct{ keys, sets, answers, note, err string }{
		{keys: double, sets: "identity=yes", err: "b: identity=yes was said and is a no"},
		{keys: double, sets: "identity=no", answers: "no"},
		{keys: double, sets: "identity=yes groups=2", answers: "yes"},
		{keys: square + double, sets: "identity=yes", answers: "yes no", note: "b: identity=yes was said and is a no"},
		{keys: square + double, sets: "identity=yes b=groups=2", answers: "yes yes"},
		{keys: square + odd, sets: "identity=yes", answers: "yes no"},
	} {
		p, err := recognise.Plan(named(t, test.keys), recognise.Options{Families: builtin(t), Sets: strings.Fields(test.sets)})
		if test.err != "" || err != nil {
			if err == nil || test.err == "" || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s %s: error %v, want %q", test.keys, test.sets, err, test.err)
			}
			if got, want := hint.Of(err), "--set b=groups=2, if there are groups"; got != want {
				t.Errorf("%s %s: hint %q, want %q", test.keys, test.sets, got, want)
			}
			continue
		}
		var answers, notes []string
		for _, b := range p.Blocks {
			for _, a := range b.Answers {
				answers = append(answers, a.Value)
			}
		}
		for _, n := range p.Notes {
			notes = append(notes, n.String())
		}
		if got := strings.Join(answers, " "); got != test.answers {
			t.Errorf("%s %s: answers %s, want %s", test.keys, test.sets, got, test.answers)
		}
		all := strings.Join(notes, "\n")
		if strings.Contains(all, "was said") != (test.note != "") || !strings.Contains(all, test.note) {
			t.Errorf("%s %s: notes %s, want %q", test.keys, test.sets, all, test.note)
		}
	}
}
