package repfuse_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repfuse"
	"repfuse/internal/golden"
	"repfuse/internal/tensor"
)

// source is a copy of the small RepVGG, with facts of its batch norms where eps is not "".
func source(t *testing.T, eps string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "weights")
	if err := os.CopyFS(dir, os.DirFS(weights)); err != nil {
		t.Fatal(err)
	}
	if eps == "" {
		return dir
	}
	c, err := repfuse.Open(ctx, dir, repfuse.Reading{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var modules []string
	for _, stored := range c.Tensors {
		if module, ok := strings.CutSuffix(stored.Key, ".running_mean"); ok {
			modules = append(modules, `"`+module+`": {"class": "BatchNorm2d", "eps": `+eps+`}`)
		}
	}
	write(t, filepath.Join(dir, "modules.json"), `{"version": 1, "modules": {`+strings.Join(modules, ", ")+`}}`)
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// fused is a result of src, with its record changed as told.
func fused(t *testing.T, src string, o repfuse.FuseOptions, change func(record map[string]any)) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	if _, err := repfuse.Fuse(ctx, src, out, o); err != nil {
		t.Fatal(err)
	}
	if change == nil {
		return out
	}
	path := filepath.Join(out, "repfuse.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var record map[string]any
	if err := json.Unmarshal(text, &record); err != nil {
		t.Fatal(err)
	}
	change(record)
	if text, err = json.Marshal(record); err != nil {
		t.Fatal(err)
	}
	write(t, path, string(text))
	return out
}

// verdict is the sentence of a verdict.
func verdict(t *testing.T, src, dst string, o repfuse.VerifyOptions) string {
	t.Helper()
	v, err := repfuse.Verify(ctx, src, dst, o)
	if err != nil {
		return "error: " + err.Error()
	}
	return v.String()
}

// What only the record says is behind the if, until it is said; what facts say against it
// is a no.
func TestByTheRecord(t *testing.T) {
	said := repfuse.FuseOptions{}
	said.Eps = []string{"0.001"}
	out := fused(t, weights, said, nil)
	const byRecord = "yes: exact, if ε is 0.001 (by the record for 8 blocks; --eps says it)"
	if got := verdict(t, weights, out, repfuse.VerifyOptions{}); got != byRecord {
		t.Errorf("%s, want %s", got, byRecord)
	}
	again := repfuse.VerifyOptions{}
	again.Eps = said.Eps
	again.Strict = true
	if got, want := verdict(t, weights, out, again), "yes: exact: every stored element is within 0.501 ulp of the real fused value"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := verdict(t, source(t, "1e-5"), out, repfuse.VerifyOptions{}); !strings.HasPrefix(got, "no: different: stage0.rbr_reparam.weight: the record has ") {
		t.Error(got)
	}
	again.Eps = []string{"1e-5"}
	if got := verdict(t, weights, out, again); !strings.HasPrefix(got, "no: different: stage0.rbr_reparam.weight: the record has ") {
		t.Error(got)
	}
	strict := repfuse.VerifyOptions{}
	strict.Strict = true
	if got, want := verdict(t, weights, out, strict), "error: --strict: right only if ε is 0.001 (by the record for 8 blocks; --eps says it)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A record of another source, or of none of the tensors, proves nothing.
func TestForeignRecord(t *testing.T) {
	out := fused(t, weights, repfuse.FuseOptions{}, func(r map[string]any) {
		for _, b := range r["plan"].(map[string]any)["blocks"].([]any) {
			b.(map[string]any)["module"] = "elsewhere"
		}
	})
	if got := verdict(t, weights, out, repfuse.VerifyOptions{}); !strings.HasPrefix(got, "no: different: ") || !strings.Contains(got, "elsewhere") {
		t.Error(got)
	}
}

// A record beside the source is believed as far as its checksums hold: a training
// checkpoint that has the keys of one is fused all the same.
func TestStaleRecordBesideSource(t *testing.T) {
	src := source(t, "")
	out := fused(t, src, repfuse.FuseOptions{}, nil)
	record, err := os.ReadFile(filepath.Join(out, "repfuse.json"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(src, "repfuse.json"), string(record))
	p, err := repfuse.Plan(ctx, src, repfuse.PlanOptions{})
	if err != nil || len(p.Blocks) != 8 {
		t.Fatalf("%v, %v, want 8 blocks", p, err)
	}
	var r map[string]any
	if err := json.Unmarshal(record, &r); err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{}
	for _, f := range p.Tensors {
		sums[f.Key] = "00000000"
	}
	r["crc32"] = sums
	text, _ := json.Marshal(r)
	write(t, filepath.Join(src, "repfuse.json"), string(text))
	if p, err = repfuse.Plan(ctx, src, repfuse.PlanOptions{}); err != nil || len(p.Blocks) != 8 {
		t.Errorf("%d blocks, %v, want 8 by a record whose checksums do not hold", len(p.Blocks), err)
	}
}

// That nothing stands between a layer and a norm is the user's word with --fold-bn, and the
// record's without it: a condition either way, and only the record's is open.
func TestFoldedByTheRecord(t *testing.T) {
	src := filepath.Join(t.TempDir(), "src")
	golden.Write(t, src, []tensor.Named{
		{Key: "a.conv.weight", Tensor: tensor.Of(tensor.F32, []int{2, 3, 1, 1}, []float64{1, 2, 3, 4, 5, 6})},
		{Key: "a.bn.running_mean", Tensor: tensor.Of(tensor.F32, []int{2}, []float64{1, 2})},
		{Key: "a.bn.weight", Tensor: tensor.Of(tensor.F32, []int{2}, []float64{1, 3})},
		{Key: "a.bn.bias", Tensor: tensor.Of(tensor.F32, []int{2}, []float64{1, 3})},
		{Key: "a.bn.running_var", Tensor: tensor.Of(tensor.F32, []int{2}, []float64{1, 2})},
	})
	var o repfuse.FuseOptions
	o.FoldNorms, o.Eps = true, []string{"1e-5"}
	out := fused(t, src, o, nil)
	var v repfuse.VerifyOptions
	v.FoldNorms, v.Eps, v.Strict = true, o.Eps, true
	const between = "yes: exact, if nothing stands between a layer and the norm behind it "
	if got, want := verdict(t, src, out, v), between+"(your word for 1 block)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	v.FoldNorms, v.Strict = false, false
	if got, want := verdict(t, src, out, v), between+"(by the record for 1 block; --fold-bn says it)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A family of the user's own that adds the branches up in another order than a built-in one makes the same layer: verify,
// which knows the built-in one alone, finds it exact. One with a branch doubled is another.
func TestOrderOfBranches(t *testing.T) {
	dir := t.TempDir()
	src, own := filepath.Join(dir, "src"), filepath.Join(dir, "own.yaml")
	golden.Write(t, src, []tensor.Named{
		{Key: "a.conv3.weight", Tensor: tensor.Of(tensor.F32, []int{1, 1, 3, 3}, []float64{1, 2, 3, 4, 5, 6, 7, 8, 9})},
		{Key: "a.conv1.weight", Tensor: tensor.Of(tensor.F32, []int{1, 1, 1, 1}, []float64{2})},
	})
	for expression, want := range map[string]string{
		"conv(conv3) + conv(conv1)":            "yes: exact",
		"conv(conv1) + conv(conv3)":            "yes: exact",
		"conv(conv3) + conv(conv1) > scale(2)": "no: different",
	} {
		write(t, own, "families:\n  - name: own\n    anchor: [conv3.weight conv1.weight]\n    make: {fused: '"+expression+"'}\n")
		var o repfuse.FuseOptions
		o.Families = []string{own}
		out := fused(t, src, o, nil)
		var v repfuse.VerifyOptions
		v.Identity = []string{"no"}
		if got := verdict(t, src, out, v); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", expression, got, want)
		}
	}
}
