package recognise_test

import (
	"fmt"
	"slices"
	"testing"

	"repfuse/internal/golden"
	"repfuse/internal/plan"
	"repfuse/internal/planfile"
	"repfuse/internal/recognise"
)

// A plan that is written down and read again is the same plan: what is made of every
// reference case, and what is kept under which name.
func TestWrittenDown(t *testing.T) {
	for name, e := range expectations() {
		if e.refused != "" {
			continue
		}
		c := golden.Load(t, name)
		want, err := recognise.Plan(c.Train, options(t, e))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text := planfile.Of(want).YAML()
		file, err := planfile.Read(name+".yaml", text)
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		got, err := recognise.Plan(c.Train, recognise.Options{Families: builtin(t), File: file})
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		if a, b := result(got), result(want); !slices.Equal(a, b) {
			t.Errorf("%s: makes\n%v\nwant\n%v", name, a, b)
		}
	}
}

// result is what a plan writes, sorted.
func result(p *plan.Plan) []string {
	var list []string
	for _, i := range p.Items(nil) {
		s := fmt.Sprint(i.Key, i.Type, i.Shape)
		if i.Output != nil {
			s += i.Expr.String()
		}
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}
