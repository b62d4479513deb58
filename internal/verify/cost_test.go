package verify

import (
	"strings"
	"testing"

	"repfuse/internal/op"
)

// A block may take 512 MB and 10¹² multiply-adds, and no more unless it is forced.
func TestAffordable(t *testing.T) {
	f := op.Form{In: 1000, Out: 1}
	for _, test := range []struct {
		in, size, trials int
		each             int64
		force            bool
		want             string
	}{
		{1000, 64000, 1, 1, false, ""},
		{1001, 64000, 1, 1, false, "take 0.5125 GB and 6.4e+04 multiply-adds, want at most 0.512 GB and 1e+12"},
		{1 << 40, 1 << 40, 1, 1, false, "want at most"},
		{1 << 40, 1 << 40, 1, 1, true, ""},
		{1, 1000, 1000, 1e6, false, ""},
		{1, 1000, 1001, 1e6, false, "999, 1001 in all"},
	} {
		f.In, f.Lo, f.Hi = test.in, []int{0}, []int{0}
		r := &run{Options: Options{Trials: test.trials, ForceSize: test.force}}
		b := Block{Weight: "w", Size: []int{test.size - f.Span(0)}, Before: Cost{MultiplyAdds: test.each}}
		err := r.affordable(b, f)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test, err, test.want)
		}
	}
}
