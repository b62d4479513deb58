package recognise_test

import (
	"slices"
	"strings"
	"testing"

	"repfuse/internal/golden"
	"repfuse/internal/recognise"
)

// deployable is deploy forms of the reference that hold train forms still.
var deployable = map[string]string{
	"repghost-module-norep": "the reference leaves the module as it is, which keys do not tell from one that is to be fused",

	"yolov7-idetect":             "the keys of both forms are the same, which only a record beside the file tells apart",
	"yolov7-ckpt-half":           "the head's keys are the same in both forms",
	"yolov7-model-tiny-notebook": "the reference folds the head and nothing else",
}

// beside is deploy forms that hold the branches beside what was made of them.
var beside = []string{
	"lcnetv3-rep-dw5", "lcnetv3-rep-pw1", "rtdetr-repvggblock", "rtdetrv2-repvggblock", "rtdetrv2-cspresnet-alpha0", "luxonis-rep-s1", "luxonis-rep-dw",
}

// A deploy form is left alone: nothing in it is a block, and where the family has a
// name that only deploy forms have it is known as fused.
func TestDeployed(t *testing.T) {
	for name, e := range expectations() {
		c := golden.Load(t, name)
		if c.Deploy == nil || deployable[name] != "" {
			continue
		}
		p, err := recognise.Plan(c.Deploy, recognise.Options{Families: builtin(t)})
		if slices.Contains(beside, name) {
			if err == nil || !strings.Contains(err.Error(), "stands beside the branches") {
				t.Errorf("%s: error %v, want one that says what stands beside the branches", name, err)
			}
			continue
		}
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
