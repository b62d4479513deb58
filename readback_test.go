package repfuse_test

import (
	"path/filepath"
	"strings"
	"testing"

	"repfuse"
	"repfuse/internal/golden"
	"repfuse/internal/tensor"
)

// What a plan file can say is on record as it was said, and verify has the same result of it;
// what cannot be is refused before anything is written.
func TestReadBack(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	golden.Write(t, src, []tensor.Named{
		{Key: "a.weight", Tensor: tensor.Of(tensor.F32, []int{2, 2, 1, 1}, []float64{1, 2, 3, 4})},
		{Key: "n.running_mean", Tensor: tensor.Of(tensor.F32, []int{2}, []float64{1, 2})},
		{Key: "n.running_var", Tensor: tensor.Of(tensor.F32, []int{2}, []float64{1e-4, 2e-4})},
	})
	for expression, want := range map[string]string{
		"conv(a) > bn(n, eps 0)":                          "yes: exact",
		"conv(a) > bn(n, eps 1e-05)":                      "yes: exact",
		"conv(a) > scale(1e+21) > bn(n, eps 1)":           "yes: exact",
		"conv(a) > scale(1e25) > bn(n, eps 1e+30)":        "yes: exact",
		"conv(a) > scale(-0.5) > shift(-3e-9) > bn(n)":    "yes: exact",
		"conv(a) > bn(n, eps -1)":                         "error: plan.yaml:4: f: \"-1\": want",
		"conv(a) > scale(inf) > bn(n)":                    "error: . (by hand): inf is missing",
		"channels(0, 4, 4)":                               "error: . (by hand): f.weight reads no tensor",
		"conv(a) > bn(n, eps nan)":                        "error: plan.yaml:4: f: \"nan\": want",
		"conv(a) > bn(n) > scale(1e+300) > scale(1e-300)": "yes: ",
	} {
		file := filepath.Join(t.TempDir(), "plan.yaml")
		write(t, file, "blocks:\n  - module: .\n    make:\n      f: "+expression+"\n")
		var o repfuse.FuseOptions
		o.Plan, o.Force = file, true
		out := filepath.Join(dir, "out")
		got := ""
		if _, err := repfuse.Fuse(ctx, src, out, o); err != nil {
			got = "error: " + strings.ReplaceAll(err.Error(), filepath.Dir(file)+"/", "")
		} else {
			got = verdict(t, src, out, repfuse.VerifyOptions{})
			p, err := repfuse.Plan(ctx, src, o.PlanOptions)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.YAML(); err != nil {
				t.Errorf("%s: %v", expression, err)
			}
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", expression, got, want)
		}
	}
}

// ε that facts say of a batch norm is no number to take from a flag, and none below 0.
func TestFactsAgainstFlags(t *testing.T) {
	for _, test := range []struct {
		facts, said, want string
	}{
		{"1e-3", "", ""},
		{"1e-3", "0.001", ""},
		{"0", "", ""},
		{"1e-5", "1e-3", "eps=1e-3, want 1e-05, which the facts say of stage0.rbr_dense.bn"},
		{"1e-5", "stage1.**=1e-3", "eps=1e-3, want 1e-05, which the facts say of stage1.0."},
		{"-1e-5", "", "stage0.rbr_dense.bn: its ε is -1e-05 by its facts, want a number of at least 0"},
	} {
		src := source(t, test.facts)
		var o repfuse.FuseOptions
		if test.said != "" {
			o.Eps = []string{test.said}
		}
		_, err := repfuse.Plan(ctx, src, o.PlanOptions)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s, said %s: error %v, want %q", test.facts, test.said, err, test.want)
		}
		if err != nil {
			continue
		}
		out := fused(t, src, o, nil)
		if got := verdict(t, src, out, repfuse.VerifyOptions{}); !strings.HasPrefix(got, "yes: exact: ") {
			t.Errorf("%s: %s, want exact and no condition", test.facts, got)
		}
		v := repfuse.VerifyOptions{}
		v.Eps = []string{"0.5"}
		if got := verdict(t, src, out, v); !strings.Contains(got, "error: ") || !strings.Contains(got, "eps=0.5, want") {
			t.Errorf("verify --eps 0.5: %s", got)
		}
	}
}
