package repfuse_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/golden"
	"repfuse/internal/tensor"

	"repfuse"
)

// Elements of these are sixteenths, and their sums exact until they are stored; factors are powers of two.
var kindsOfWith = []struct {
	name, config string
	shapes       map[string][]int
	key          string
	// added is what is added to element i of key, by PEFT's and LyCORIS's own formulas.
	added func(v map[string][]float64, i int) float64
}{
	// peft/tuners/lora/layer.py, Embedding.get_delta_weight: transpose(B @ A, True) · scaling
	{"embedding", `{"r": 3, "lora_alpha": 6}`,
		map[string][]int{"base_model.model.net.emb.lora_embedding_A": {3, 9}, "base_model.model.net.emb.lora_embedding_B": {4, 3}}, "net.emb.weight",
		func(v map[string][]float64, i int) (s float64) {
			a, b := v["base_model.model.net.emb.lora_embedding_A"], v["base_model.model.net.emb.lora_embedding_B"]
			for r := range 3 {
				s += 2 * b[i%4*3+r] * a[r*9+i/4]
			}
			return s
		}},
	// the same, Linear.get_delta_weight: transpose(B @ A, fan_in_fan_out) · scaling; the weight is [in, out]
	{"fan_in_fan_out", `{"r": 3, "lora_alpha": 1.5, "fan_in_fan_out": true}`,
		map[string][]int{"base_model.model.net.q.lora_A.weight": {3, 5}, "base_model.model.net.q.lora_B.weight": {7, 3}}, "net.q.weight",
		func(v map[string][]float64, i int) (s float64) {
			a, b := v["base_model.model.net.q.lora_A.weight"], v["base_model.model.net.q.lora_B.weight"]
			for r := range 3 {
				s += 0.5 * b[i%7*3+r] * a[r*5+i/7]
			}
			return s
		}},
	// lycoris/functional/general.py, rebuild_tucker: einsum("i j ..., j r, i p -> p r ...", mid, down, up)
	{"mid", `{"lora_alpha": 3}`,
		map[string][]int{"lycoris_net_conv.lora_down.weight": {3, 6, 1, 1}, "lycoris_net_conv.lora_mid.weight": {3, 3, 3, 3}, "lycoris_net_conv.lora_up.weight": {4, 3, 1, 1}}, "net.conv.weight",
		func(v map[string][]float64, i int) (s float64) {
			down, mid, up := v["lycoris_net_conv.lora_down.weight"], v["lycoris_net_conv.lora_mid.weight"], v["lycoris_net_conv.lora_up.weight"]
			out, in, tap := i/54, i/9%6, i%9
			for p := range 3 {
				for r := range 3 {
					s += up[out*3+p] * mid[(p*3+r)*9+tap] * down[r*6+in]
				}
			}
			return s
		}},
}

// Each kind comes to its own project's formula, of a base in one directory and in shards, by recognition
// and by a plan that was written down, and verify finds it exact.
func TestWithKinds(t *testing.T) {
	for _, row := range kindsOfWith {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			at := func(name string) string { return filepath.Join(dir, name) }
			base := makeTensors(t, at("base"), withBase)
			base.coarse(t, withBase)
			low := makeTensors(t, at("low"), row.shapes)
			low.coarse(t, row.shapes)
			low.configure(t, row.config)
			want := maps.Clone(base.values)
			want[row.key] = slices.Clone(want[row.key])
			for i := range want[row.key] {
				want[row.key][i] = float64(float32(want[row.key][i] + row.added(low.values, i)))
			}
			shards := at("shards")
			if _, err := repfuse.Convert(ctx, base.dir, shards, repfuse.ConvertOptions{Destination: repfuse.Destination{ShardSize: 300}}); err != nil {
				t.Fatal(err)
			}
			if n, err := filepath.Glob(filepath.Join(shards, "model-*.safetensors")); err != nil || len(n) < 3 {
				t.Fatalf("%v, %v: want shards", n, err)
			}
			with := repfuse.Recognition{With: []string{low.dir}}
			byHand := with
			byHand.Plan = writtenPlan(t, base.dir, with)
			for src, how := range map[string]repfuse.Recognition{base.dir: with, shards: with, base.dir + "/": byHand} {
				out := at("out" + filepath.Base(src) + filepath.Base(how.Plan))
				if _, err := repfuse.Fuse(ctx, src, out, repfuse.FuseOptions{PlanOptions: repfuse.PlanOptions{Recognition: how}}); err != nil {
					t.Fatal(err)
				}
				if got := floats(t, out); !maps.EqualFunc(got, want, slices.Equal[[]float64]) {
					t.Errorf("%s: %v\nwant %v", src, got[row.key], want[row.key])
				}
				if v, err := repfuse.Verify(ctx, src, out, repfuse.VerifyOptions{Recognition: with}); err != nil || v.Grade != repfuse.Exact {
					t.Errorf("%s: %v, %v: want exact", src, v, err)
				}
			}
		})
	}
}

// writtenPlan is the path of a plan that was written down.
func writtenPlan(t *testing.T, src string, how repfuse.Recognition) string {
	t.Helper()
	p, err := repfuse.Plan(ctx, src, repfuse.PlanOptions{Recognition: how})
	if err != nil {
		t.Fatal(err)
	}
	text, err := p.YAML()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// A layer that the network's graph shows takes an adapter before its batch norm is folded into it: the result
// is that of a base to which the adapter was added. Its elements are sixteenths, as those of the adapter.
func TestWithGraph(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	graph := at("graph.json")
	if err := os.WriteFile(graph, golden.Graphs(t)["conv bn relu"], 0o666); err != nil {
		t.Fatal(err)
	}
	shapes := map[string][]int{"0.0.weight": {8, 6, 3, 3}, "2.0.weight": {4, 8, 1, 1}}
	for norm, n := range map[string]int{"0.1.": 8, "2.1.": 4} {
		for _, name := range []string{"weight", "bias", "running_mean", "running_var"} {
			shapes[norm+name] = []int{n}
		}
		shapes[norm+"num_batches_tracked"] = nil
	}
	base := makeTensors(t, at("base"), shapes)
	base.coarse(t, shapes)
	parts := map[string][]int{"base_model.model.0.0.lora_A.weight": {3, 6, 3, 3}, "base_model.model.0.0.lora_B.weight": {8, 3, 1, 1}}
	low := makeTensors(t, at("low"), parts)
	low.coarse(t, parts)
	low.configure(t, `{"lora_alpha": 3}`)
	merged := makeTensors(t, at("merged"), shapes)
	merged.values = maps.Clone(base.values)
	merged.values["0.0.weight"] = slices.Clone(base.values["0.0.weight"])
	for i := range merged.values["0.0.weight"] {
		for r := range 3 {
			merged.values["0.0.weight"][i] += low.values["base_model.model.0.0.lora_B.weight"][i/54*3+r] * low.values["base_model.model.0.0.lora_A.weight"][r*54+i%54]
		}
	}
	for key, v := range merged.values {
		merged.write(t, key, tensor.Of(tensor.F32, shapes[key], v))
	}
	var got []map[string][]float64
	for src, with := range map[string][]string{base.dir: {low.dir}, merged.dir: nil} {
		how := repfuse.Recognition{Graph: graph, With: with}
		out := src + "-out"
		f, err := repfuse.Fuse(ctx, src, out, repfuse.FuseOptions{PlanOptions: repfuse.PlanOptions{Recognition: how}})
		if err != nil || len(f.Plan.Blocks) != 2 || len(f.Plan.Conditions) != 0 {
			t.Fatal(f, err)
		}
		if v, err := repfuse.Verify(ctx, src, out, repfuse.VerifyOptions{Recognition: how}); err != nil || v.Grade != repfuse.Exact {
			t.Errorf("%v, %v: want exact", v, err)
		}
		got = append(got, floats(t, out))
	}
	if !maps.EqualFunc(got[0], got[1], slices.Equal[[]float64]) || len(got[0]) != 4 {
		t.Errorf("%v\nand %v, want the same four tensors", got[0], got[1])
	}
}

// A plan that was written without an adapter leaves its tensors unread.
func TestWithPlanWithout(t *testing.T) {
	dir := t.TempDir()
	base := makeTensors(t, filepath.Join(dir, "base"), withBase)
	low := makeTensors(t, filepath.Join(dir, "low"), kindsOfWith[0].shapes)
	low.configure(t, kindsOfWith[0].config)
	plan := filepath.Join(dir, "plan.yaml")
	if err := os.WriteFile(plan, []byte("blocks:\n  - module: net.q\n    make:\n      .: conv(.)\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := repfuse.Plan(ctx, base.dir, repfuse.PlanOptions{Recognition: repfuse.Recognition{Plan: plan, With: []string{low.dir}}})
	if err == nil || !strings.Contains(err.Error(), "no block reads adapter1:base_model.model.net.emb.lora_embedding_A, want each tensor of --with read or dropped") {
		t.Errorf("%v", err)
	}
}
