package recognise_test

import (
	"strings"
	"testing"

	"repfuse/internal/hint"
	"repfuse/internal/planfile"
	"repfuse/internal/recognise"
)

// What a plan file names and the checkpoint does not have is an error.
func TestFollowErrors(t *testing.T) {
	const leave = "without that block in the plan file the module stays as it is"
	for _, test := range []struct{ file, want, hint string }{
		{"blocks:\n  - module: no\n    make: {b: conv(l)}\n", "plan: no: there is no such module", ""},
		{"blocks:\n  - module: a\n    make: {b: conv(no)}\n", "a (by hand): a.no.weight is missing", leave},
		{"blocks:\n  - module: a\n    make: {b: conv(l) > conv(wide)}\n", "a (by hand): ", leave},
		{"blocks:\n  - module: a\n    make: {b: convt(big) + conv(l)}\n", "a transposed convolution stands beside another branch", leave},
		{"blocks:\n  - module: a\n    make: {b: convt(big) + convt(odd)}\n", "a.big.weight and a.odd.weight: kernels of 4 and 3 have no middle in common", leave},
		{"blocks:\n  - module: a\n    make: {b: 'ask(identity: x) + conv(l)'}\n", `asks "identity", which its declaration does not explain`, leave},
		{"blocks: []\ndrop: {no.**: gone}\n", "plan: drop: no.** fits no key that is left", ""},
		{"blocks:\n  - module: a\n    make: {b: conv(l)}\ndrop: {a.l.**: gone}\n", "plan: drop: a.l.** fits no key that is left", ""},
		{"prefix: net.\nblocks: []\n", `does not begin with the prefix "net."`, ""},
	} {
		f, err := planfile.Read("p.yaml", []byte(test.file))
		if err != nil {
			t.Fatalf("%s: %v", test.file, err)
		}
		_, err = recognise.Plan(named(t, "a.l.weight[4,4,3,3] a.wide.weight[4,7,1,1] a.big.weight[8,4,4,4] a.odd.weight[8,4,3,3]"), recognise.Options{Families: builtin(t), File: f})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one that says %q", test.file, err, test.want)
		}
		if got := hint.Of(err); got != test.hint {
			t.Errorf("%s: hint %q, want %q", test.file, got, test.hint)
		}
	}
}
