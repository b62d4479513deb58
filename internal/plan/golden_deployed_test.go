package plan_test

import (
	"testing"

	"repfuse/internal/golden"
	"repfuse/internal/plan"
)

// deployable is deploy forms of the reference that hold train forms still.
var deployable = map[string]string{
	"repghost-module-norep": "the reference leaves the module as it is, which keys do not tell from one that is to be fused",
}

// A deploy form is left alone: nothing in it is a block, and where the family has a
// name that only deploy forms have it is known as fused.
func TestDeployed(t *testing.T) {
	for name, e := range backbones {
		c := golden.Load(t, name)
		if c.Deploy == nil || deployable[name] != "" {
			continue
		}
		p, err := plan.New(c.Deploy, plan.Options{Families: builtin(t)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(p.Blocks) > 0 {
			t.Errorf("%s: %s in its deploy form", name, taken(p))
		}
		f, err := builtin(t).Find(e.family)
		if err == nil && len(f.Deployed) > 0 && len(p.Deployed) == 0 {
			t.Errorf("%s: not known as a fused %s", name, e.family)
		}
	}
}
