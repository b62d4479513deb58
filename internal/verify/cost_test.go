package verify

import (
	"strings"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/plan"
)

// A strip may take 512 MB and a block 10¹² multiply-adds, and no more unless it is forced.
func TestAffordable(t *testing.T) {
	for _, test := range []struct {
		in, rows, wide, below, trials int
		each                          int64
		force                         bool
		want                          string
	}{
		// Eight rows of an image and of its copy, of 1,000 channels, and 40 planes of one goroutine.
		{1000, 64000, 3921, 0, 1, 1, false, ""},
		{1000, 64000, 3921, 1, 1, 1, false, "for 8 rows"},
		{1000, 64000, 3922, 0, 1, 1, false, "take 0.5121 GB for 8 rows and 2.51e+08 multiply-adds, want at most 0.512 GB and 1e+12"},
		{1 << 40, 1 << 40, 1 << 40, 0, 1, 1, false, "want at most"},
		{1 << 40, 1 << 40, 1 << 40, 0, 1, 1, true, ""},
		{1, 1000, 1, 0, 1000, 1e6, false, ""},
		{1, 1000, 1, 0, 1001, 1e6, false, "1001 in all"},
	} {
		f := op.Form{In: test.in, Out: 1, Lo: []int{0, 0}, Hi: []int{test.below, 0}}
		c := &comparison{run: &run{Options: Options{Trials: test.trials, ForceSize: test.force, Jobs: 1}},
			out: &plan.Output{Weight: "w", Form: f}, size: []int{test.rows, test.wide}}
		err := c.affordable(0, test.each)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test, err, test.want)
		}
	}
}
