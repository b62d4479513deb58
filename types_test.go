package repfuse_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repfuse/internal/hint"
	"repfuse/internal/tensor"

	"repfuse"
)

// typesOf is the element type of each tensor of a checkpoint.
func typesOf(t *testing.T, path string) map[string]string {
	t.Helper()
	c, err := repfuse.Open(ctx, path, repfuse.Reading{BFloat16: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all := map[string]string{}
	for _, n := range c.Tensors {
		all[n.Key] = n.Type
	}
	return all
}

// Of several types that fit a key the last is taken, by what is fused and by what is kept; a fused bias goes
// with its weight. The record says so to verify, and flags do.
func TestDType(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	asked := []string{"bfloat16", "stage1.**=float32", "linear.weight=float64", "linear.*=float16"}
	want := func(key string) string {
		switch {
		case strings.HasPrefix(key, "stage1."):
			return "float32"
		case strings.HasPrefix(key, "linear."):
			return "float16"
		}
		return "bfloat16"
	}
	if _, err := repfuse.Fuse(ctx, weights, out, repfuse.FuseOptions{PlanOptions: repfuse.PlanOptions{DType: asked}}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for key, typ := range typesOf(t, out) {
		if seen[typ] = true; typ != want(key) {
			t.Errorf("%s is %s, want %s", key, typ, want(key))
		}
	}
	if len(seen) != 3 {
		t.Errorf("the types are %v, want three", seen)
	}
	for _, said := range [][]string{nil, asked} {
		v, err := repfuse.Verify(ctx, weights, out, repfuse.VerifyOptions{DType: said})
		if err != nil || v.Grade != repfuse.Exact {
			t.Errorf("with %v: %v, %v, want exact", said, v, err)
		}
	}
	v, err := repfuse.Verify(ctx, weights, out, repfuse.VerifyOptions{DType: asked[:3]})
	if err != nil || v.Grade != repfuse.Different || v.Measured.Findings[0].Key != "linear.bias" {
		t.Errorf("with another type of linear.*: %v, %v, want different", v, err)
	}
	// A record that has a type for others is found out.
	record := filepath.Join(out, "repfuse.json")
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	less := strings.Replace(string(text), "stage1.**=float32", "head.**=float32", 1)
	if err := os.WriteFile(record, []byte(less), 0o666); err != nil || less == string(text) {
		t.Fatalf("%v, record %s", err, text)
	}
	if v, err := repfuse.Verify(ctx, weights, out, repfuse.VerifyOptions{}); err != nil || v.Grade != repfuse.Different {
		t.Errorf("by a record of head: %v, %v, want different", v, err)
	}
}

// Globs are of keys as the result has them, without what wraps the model; statistics keep their type. A
// single type is a text in the record, as ever.
func TestDTypeKeys(t *testing.T) {
	dir := t.TempDir()
	shapes := map[string][]int{"module.b.rbr_dense.conv.weight": {4, 4, 3, 3}, "module.b.rbr_1x1.conv.weight": {4, 4, 1, 1}}
	for _, norm := range []string{"module.b.rbr_dense.bn.", "module.b.rbr_1x1.bn.", "module.neck."} {
		for _, name := range []string{"weight", "bias", "running_mean", "running_var"} {
			shapes[norm+name] = []int{4}
		}
	}
	base := makeTensors(t, filepath.Join(dir, "base"), shapes)
	for key, shape := range shapes {
		if strings.HasSuffix(key, "running_var") {
			base.write(t, key, tensor.Of(tensor.F32, shape, []float64{1, 2, 3, 4}))
		}
	}
	out := filepath.Join(dir, "out")
	if _, err := repfuse.Fuse(ctx, base.dir, out, repfuse.FuseOptions{PlanOptions: repfuse.PlanOptions{DType: []string{"neck.*=float16"}}}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"b.rbr_reparam.weight": "float32", "b.rbr_reparam.bias": "float32",
		"neck.weight": "float16", "neck.bias": "float16", "neck.running_mean": "float32", "neck.running_var": "float32"}
	if got := typesOf(t, out); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	text, err := os.ReadFile(filepath.Join(out, "repfuse.json"))
	if err != nil || !strings.Contains(string(text), `"dtype": "neck.*=float16"`) {
		t.Errorf("%v, record %s", err, text)
	}
}

// Convert takes types by globs of keys, statistics too, and parts.
func TestConvertPart(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.safetensors")
	o := repfuse.ConvertOptions{DType: []string{"stage0.**=float16", "**.running_var=float64"}, Only: []string{"stage0.**", "linear.*"}, Drop: []string{"linear.bias"}}
	done, err := repfuse.Convert(ctx, weights, out, o)
	if err != nil {
		t.Fatal(err)
	}
	got := typesOf(t, out)
	all := typesOf(t, weights)
	n := 0
	for key, typ := range all {
		want := ""
		switch {
		case strings.HasSuffix(key, "num_batches_tracked") && strings.HasPrefix(key, "stage0."):
			want = typ
		case strings.HasPrefix(key, "stage0.") && strings.HasSuffix(key, ".running_var"):
			want = "float64"
		case strings.HasPrefix(key, "stage0."):
			want = "float16"
		case key == "linear.weight":
			want = typ
		}
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
		if want != "" {
			n++
		}
	}
	if done.Tensors != n || len(got) != n || n == len(all) {
		t.Errorf("%d tensors by the result, %d in the file, want %d", done.Tensors, len(got), n)
	}
}

// A glob that fits nothing is one line, and nothing is written.
func TestDTypeErrors(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	fused := filepath.Join(dir, "fused")
	if _, err := repfuse.Fuse(ctx, weights, fused, repfuse.FuseOptions{}); err != nil {
		t.Fatal(err)
	}
	fuse := func(dtype string) error {
		_, err := repfuse.Fuse(ctx, weights, out, repfuse.FuseOptions{PlanOptions: repfuse.PlanOptions{DType: []string{dtype}}})
		return err
	}
	convert := func(o repfuse.ConvertOptions) error {
		_, err := repfuse.Convert(ctx, weights, out, o)
		return err
	}
	_, plan := repfuse.Plan(ctx, weights, repfuse.PlanOptions{DType: []string{"head.**=float16"}})
	_, verify := repfuse.Verify(ctx, weights, fused, repfuse.VerifyOptions{DType: []string{"head.**=float16"}})
	for _, row := range []struct {
		want string
		err  error
	}{
		{"--dtype head.**=float16 fits no floating tensor of the result", fuse("head.**=float16")},
		{"--dtype **.rbr_dense.conv.weight=float16 fits no floating tensor", fuse("**.rbr_dense.conv.weight=float16")}, // of the source alone
		{"--dtype head.**=float16 fits no floating tensor", plan},
		{"--dtype head.**=float16 fits no floating tensor", verify},
		{"--dtype head.**=float16 fits no floating tensor", convert(repfuse.ConvertOptions{DType: []string{"head.**=float16"}})},
		{"--dtype **.num_batches_tracked=float16 fits no floating tensor", convert(repfuse.ConvertOptions{DType: []string{"**.num_batches_tracked=float16"}})},
		{"--dtype stage1.**=int8, want float16", fuse("stage1.**=int8")},
		{"--dtype stage1.**=, want float16", fuse("stage1.**=")},
		{"--only head.** fits no key", convert(repfuse.ConvertOptions{Only: []string{"head.**"}})},
		{"--drop head.** fits no key", convert(repfuse.ConvertOptions{Drop: []string{"head.**"}})},
		{"no tensor is asked for, by --drop **", convert(repfuse.ConvertOptions{Drop: []string{"**"}})},
		{"no tensor is asked for, by --only stage1.** --drop **", convert(repfuse.ConvertOptions{Only: []string{"stage1.**"}, Drop: []string{"**"}})},
	} {
		if row.err == nil || !strings.Contains(row.err.Error(), row.want) {
			t.Errorf("%v, want %s", row.err, row.want)
		}
	}
	if h := hint.Of(convert(repfuse.ConvertOptions{Drop: []string{"**"}})); !strings.HasPrefix(h, "repfuse inspect -v "+weights) {
		t.Errorf("the hint is %q", h)
	}
	// Convert rounds statistics of batch norms too.
	for err, want := range map[error]bool{plan: true, verify: true, convert(repfuse.ConvertOptions{DType: []string{"head.**=float16"}}): false} {
		if h := hint.Of(err); strings.Contains(h, "statistics of batch norms keep") != want {
			t.Errorf("the hint is %q", h)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("something was written")
	}
}
