package plan_test

import (
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/golden"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// A plan that is written down and read again, and followed without any flag or fact,
// comes to the same expressions under the same keys, and keeps and drops the same.
func TestPlanFiles(t *testing.T) {
	table := expectations()
	for _, name := range golden.Cases(t) {
		e := table[name]
		if e.refused != "" {
			continue
		}
		c := golden.Load(t, name)
		for _, o := range []plan.Options{options(t, e), byFacts(t, e, c.Facts())} {
			p, err := plan.New(c.Train, o)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			text := p.File().YAML()
			again, err := follow(text, c.Train)
			if err != nil {
				t.Errorf("%s: %v\n%s", name, err, text)
				continue
			}
			samePlan(t, name, p, again)
		}
	}
}

func follow(text []byte, tensors []tensor.Named) (*plan.Plan, error) {
	f, err := plan.ReadFile("plan.yaml", text)
	if err != nil {
		return nil, err
	}
	return plan.New(tensors, plan.Options{File: f, Families: &family.Set{}})
}

func samePlan(t *testing.T, name string, p, again *plan.Plan) {
	t.Helper()
	want, got := p.Items(tensor.Invalid), again.Items(tensor.Invalid)
	if len(got) != len(want) {
		t.Errorf("%s: %d tensors, want %d", name, len(got), len(want))
		return
	}
	at := map[string]plan.Item{}
	for _, item := range got {
		at[item.Key] = item
	}
	for _, w := range want {
		g, ok := at[w.Key]
		switch {
		case !ok:
			t.Errorf("%s: %s is missing", name, w.Key)
		case shapeOf(g.Shape) != shapeOf(w.Shape) || g.Type != w.Type:
			t.Errorf("%s: %s is %s of %s, want %s of %s", name, w.Key, g.Type, shapeOf(g.Shape), w.Type, shapeOf(w.Shape))
		case (g.Kept == nil) != (w.Kept == nil):
			t.Errorf("%s: %s is kept in one plan and made in the other", name, w.Key)
		case w.Kept == nil && g.Expr.String() != w.Expr.String():
			t.Errorf("%s: %s is %s, want %s", name, w.Key, g.Expr, w.Expr)
		}
	}
}
