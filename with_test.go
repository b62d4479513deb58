package repfuse_test

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/hint"
	"repfuse/internal/npy"
	"repfuse/internal/tensor"

	"repfuse"
)

// made is tensors of random elements, which float32 holds, in a directory of .npy files.
type made struct {
	dir    string
	values map[string][]float64
}

func makeTensors(t *testing.T, dir string, shapes map[string][]int) *made {
	t.Helper()
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	m := &made{dir, map[string][]float64{}}
	r := rand.New(rand.NewPCG(1, uint64(len(shapes))))
	for key, shape := range shapes {
		v := make([]float64, tensor.Elems(shape))
		for k := range v {
			v[k] = float64(float32(r.NormFloat64()))
		}
		m.values[key] = v
		m.write(t, key, tensor.Of(tensor.F32, shape, v))
	}
	return m
}

func (m *made) write(t *testing.T, key string, of tensor.Tensor) {
	t.Helper()
	text, err := npy.AppendHeader(nil, of.Type, of.Shape)
	if err == nil {
		var data []byte
		if data, err = of.ReadAll(); err == nil {
			err = os.WriteFile(filepath.Join(m.dir, key+".npy"), append(text, data...), 0o666)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// coarse has all elements be sixteenths, so that sums of products are exact, and variances at least 1.
func (m *made) coarse(t *testing.T, shapes map[string][]int) {
	t.Helper()
	for key, v := range m.values {
		for k, x := range v {
			v[k] = math.Round(16*x) / 16
			if strings.HasSuffix(key, "running_var") {
				v[k] = 1 + math.Abs(v[k])
			}
		}
		m.write(t, key, tensor.Of(tensor.F32, shapes[key], v))
	}
}

// configure writes PEFT's file beside the tensors, where there is to be one.
func (m *made) configure(t *testing.T, text string) {
	t.Helper()
	if text == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(m.dir, "adapter_config.json"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// sum is base + factor·Σ_r up[o, r]·down[r, j] for element o·n+j, rounded once.
func sum(base float64, factor *big.Float, up, down []float64, o, j int) float64 {
	at := func(v float64) *big.Float { return new(big.Float).SetPrec(300).SetFloat64(v) }
	const rank = 3
	s := at(0)
	for r := range rank {
		s.Add(s, new(big.Float).SetPrec(300).Mul(at(up[o*rank+r]), at(down[r*(len(down)/rank)+j])))
	}
	s.Mul(s, factor).Add(s, at(base))
	v, _ := s.Float32()
	return float64(v)
}

var withBase = map[string][]int{"net.q.weight": {5, 7}, "net.q.bias": {5}, "net.conv.weight": {4, 6, 3, 3}, "net.emb.weight": {9, 4}, "net.rest.weight": {2, 2}}

// W + weight·α/r·B·A, rounded once, whoever wrote the adapter; verify finds it exact, and what is
// not merged is as it was.
func TestWith(t *testing.T) {
	peft, dot := "base_model.model.net.", ".weight"
	for _, row := range []struct {
		name, config, with string
		shapes             map[string][]int
		factor             float64
		alpha              float64
		// of the layers, the keys of up and down
		parts map[string][2]string
	}{
		{name: "peft", config: `{"peft_type": "LORA", "r": 3, "lora_alpha": 6, "alpha_pattern": {"q": 3}}`,
			shapes: map[string][]int{peft + "q.lora_A" + dot: {3, 7}, peft + "q.lora_B.default" + dot: {5, 3}},
			factor: 1, parts: map[string][2]string{"net.q.weight": {peft + "q.lora_B.default" + dot, peft + "q.lora_A" + dot}}},
		{name: "peft conv, weight", config: `{"r": 3, "lora_alpha": 12}`, with: "=0.375",
			shapes: map[string][]int{peft + "conv.lora_A" + dot: {3, 6, 3, 3}, peft + "conv.lora_B" + dot: {4, 3, 1, 1}},
			factor: 1.5, parts: map[string][2]string{"net.conv.weight": {peft + "conv.lora_B" + dot, peft + "conv.lora_A" + dot}}},
		{name: "kohya", with: "=-1", alpha: 6,
			shapes: map[string][]int{"lora_te1_net_q.lora_down" + dot: {3, 7}, "lora_te1_net_q.lora_up" + dot: {5, 3}},
			factor: -2, parts: map[string][2]string{"net.q.weight": {"lora_te1_net_q.lora_up" + dot, "lora_te1_net_q.lora_down" + dot}}},
		{name: "rank_pattern", config: `{"r": 8, "lora_alpha": 6, "rank_pattern": {"net.q": 3}}`,
			shapes: map[string][]int{peft + "q.lora_A" + dot: {3, 7}, peft + "q.lora_B" + dot: {5, 3}},
			factor: 2, parts: map[string][2]string{"net.q.weight": {peft + "q.lora_B" + dot, peft + "q.lora_A" + dot}}},
		{name: "use_rslora", config: `{"r": 3, "lora_alpha": 6, "use_rslora": true}`,
			shapes: map[string][]int{peft + "q.lora_A" + dot: {3, 7}, peft + "q.lora_B" + dot: {5, 3}},
			factor: 6 / math.Sqrt(3), parts: map[string][2]string{"net.q.weight": {peft + "q.lora_B" + dot, peft + "q.lora_A" + dot}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			base := makeTensors(t, filepath.Join(dir, "base"), withBase)
			low := makeTensors(t, filepath.Join(dir, "low"), row.shapes)
			low.configure(t, row.config)
			if row.alpha != 0 {
				low.write(t, "lora_te1_net_q.alpha", tensor.Of(tensor.F32, nil, []float64{row.alpha}))
			}
			var o repfuse.FuseOptions
			o.With = []string{low.dir + row.with}
			out := filepath.Join(dir, "out")
			if _, err := repfuse.Fuse(ctx, base.dir, out, o); err != nil {
				t.Fatal(err)
			}
			stored := floats(t, out)
			if len(stored) != len(withBase) {
				t.Errorf("%d tensors, want %d", len(stored), len(withBase))
			}
			factor := new(big.Float).SetFloat64(row.factor)
			for key, got := range stored {
				want := base.values[key]
				if keys, ok := row.parts[key]; ok {
					want = append([]float64{}, want...)
					n := len(want) / withBase[key][0]
					for k := range want {
						want[k] = sum(want[k], factor, low.values[keys[0]], low.values[keys[1]], k/n, k%n)
					}
				}
				for k := range want {
					if got[k] != want[k] {
						t.Fatalf("%s[%d] is %g, want %g", key, k, got[k], want[k])
					}
				}
			}
			holds(t, base.dir, out, o.With)
		})
	}
}

// holds verifies, with the adapter, without it, and with another weight.
func holds(t *testing.T, base, out string, with []string) {
	t.Helper()
	var o repfuse.VerifyOptions
	o.With = with
	if v, err := repfuse.Verify(ctx, base, out, o); err != nil || v.Grade != repfuse.Exact {
		t.Errorf("%v, %v: want exact", v, err)
	}
	o.With = nil
	if _, err := repfuse.Verify(ctx, base, out, o); err == nil || !strings.Contains(err.Error(), "low: is merged by the record") {
		t.Errorf("without: %v", err)
	}
	path, _, _ := strings.Cut(with[0], "=")
	o.With = []string{path + "=0.99"}
	if v, err := repfuse.Verify(ctx, base, out, o); err != nil || v.Grade != repfuse.Different {
		t.Errorf("another weight: %v, %v: want different", v, err)
	}
}

// TestWithInBlock: two adapters of a branch come to what the block comes to of whose branch they were added
// to before. Elements are sixteenths, so that this sum is exact.
func TestWithInBlock(t *testing.T) {
	dir := t.TempDir()
	shapes := map[string][]int{"b.rbr_dense.conv.weight": {4, 4, 3, 3}, "b.rbr_1x1.conv.weight": {4, 4, 1, 1}}
	for _, branch := range []string{"b.rbr_dense.bn.", "b.rbr_1x1.bn."} {
		for _, name := range []string{"weight", "bias", "running_mean", "running_var"} {
			shapes[branch+name] = []int{4}
		}
	}
	base := makeTensors(t, filepath.Join(dir, "base"), shapes)
	base.coarse(t, shapes)
	merged := makeTensors(t, filepath.Join(dir, "merged"), shapes)
	merged.values = maps.Clone(base.values)
	var o repfuse.FuseOptions
	sum := append([]float64{}, base.values["b.rbr_dense.conv.weight"]...)
	for k, weight := range []float64{0.5, 0.5} {
		down, up := "base_model.model.b.rbr_dense.conv.lora_A.weight", "base_model.model.b.rbr_dense.conv.lora_B.weight"
		parts := map[string][]int{down: {3, 4, 3, 3}, up: {4, 3, 1, 1}}
		low := makeTensors(t, filepath.Join(dir, []string{"one", "two"}[k]), parts)
		if k == 1 {
			low.values[up][0]++ // not the first adapter again
		}
		low.coarse(t, parts)
		low.configure(t, `{"lora_alpha": 3, "r": 3}`)
		o.With = append(o.With, fmt.Sprintf("%s=%g", low.dir, weight))
		for i := range sum {
			for r := range 3 {
				sum[i] += weight * low.values[up][i/36*3+r] * low.values[down][r*36+i%36]
			}
		}
	}
	merged.values["b.rbr_dense.conv.weight"] = sum
	for key, v := range merged.values {
		merged.write(t, key, tensor.Of(tensor.F32, shapes[key], v))
	}
	with := slices.Clone(o.With)
	var outs []map[string][]float64
	for k, src := range []string{base.dir, merged.dir} {
		out := filepath.Join(dir, []string{"a", "b"}[k])
		if k == 1 {
			o.With = nil
		}
		f, err := repfuse.Fuse(ctx, src, out, o)
		if err != nil || len(f.Plan.Blocks) != 1 {
			t.Fatal(f, err)
		}
		outs = append(outs, floats(t, out))
	}
	if !maps.EqualFunc(outs[0], outs[1], slices.Equal[[]float64]) {
		t.Errorf("%v\nwant %v", outs[0], outs[1])
	}
	// In another order they come to the same, and are not those of the record.
	for want, order := range map[repfuse.Grade][]string{repfuse.Exact: with, repfuse.Different: {with[1], with[0]}} {
		var o repfuse.VerifyOptions
		o.With = order
		if v, err := repfuse.Verify(ctx, base.dir, filepath.Join(dir, "a"), o); err != nil || v.Grade != want {
			t.Errorf("%v: %v, want %s", v, err, want)
		}
	}
}

// floats is the tensors of a checkpoint.
func floats(t *testing.T, path string) map[string][]float64 {
	t.Helper()
	c, err := repfuse.Open(ctx, path, repfuse.Reading{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all := map[string][]float64{}
	for _, n := range c.Tensors {
		if all[n.Key], err = n.Floats(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// What does not fit is one line that says what it is, and nothing is written.
func TestWithErrors(t *testing.T) {
	down, up := "lora_unet_net_q.lora_down.weight", "lora_unet_net_q.lora_up.weight"
	for name, row := range map[string]struct {
		shapes map[string][]int
		config string
		with   string
		want   string
		hint   string
	}{
		"no alpha":     {shapes: map[string][]int{down: {3, 7}, up: {5, 3}}, want: "there is no alpha, want a key lora_unet_net_q.alpha", hint: `echo '{"lora_alpha": 3}' > `},
		"half":         {shapes: map[string][]int{down: {3, 7}}, config: `{"lora_alpha": 3}`, want: "lora_unet_net_q.lora_down.weight alone"},
		"ranks":        {shapes: map[string][]int{down: {3, 7}, up: {5, 4}}, config: `{"lora_alpha": 3}`, want: "lora_down.weight [3 7] and lora_up.weight [5 4] do not multiply"},
		"other base":   {shapes: map[string][]int{down: {3, 8}, up: {5, 3}}, config: `{"lora_alpha": 3}`, want: "come to [5 8], want [5 7] of net.q.weight"},
		"config rank":  {shapes: map[string][]int{down: {3, 7}, up: {5, 3}}, config: `{"lora_alpha": 3, "r": 4}`, want: "rank 3, want 4 as adapter_config.json says"},
		"no partner":   {shapes: map[string][]int{down: {3, 7}, up: {5, 3}, "lora_te_x.lora_up.weight": {5, 3}}, config: `{"lora_alpha": 3}`, want: "no layer of the base goes with lora_te_x: 1 of 2", hint: "--drop 'adapter1:lora_te_x.lora_up.weight**'"},
		"DoRA":         {shapes: map[string][]int{down: {3, 7}, "lora_unet_net_q.dora_scale": {5}}, want: "is of the kind DoRA, want LoRA or LoCon"},
		"LoHa":         {shapes: map[string][]int{"lora_unet_net_q.hada_w1_a": {5, 3}}, want: "is of the kind LoHa"},
		"LoKr":         {shapes: map[string][]int{"lora_unet_net_q.lokr_w1": {5, 3}}, want: "is of the kind LoKr"},
		"use_dora":     {shapes: map[string][]int{down: {3, 7}}, config: `{"use_dora": true}`, want: "is of the kind DoRA"},
		"other key":    {shapes: map[string][]int{down: {3, 7}, up: {5, 3}, "head.bias": {3}}, want: "head.bias: no part of a LoRA", hint: "--drop 'adapter1:head.bias**'"},
		"weight":       {shapes: map[string][]int{down: {3, 7}}, with: "=nan", want: `the weight is "nan", want a number other than 0`},
		"fan in":       {shapes: map[string][]int{down: {3, 5}, up: {7, 3}}, config: `{"lora_alpha": 3}`, want: "come to [7 5], want [5 7]", hint: "fan_in_fan_out"},
		"of no config": {shapes: map[string][]int{down: {3, 7}}, config: `{"r": "x"}`, want: "adapter_config.json: "},
	} {
		dir := t.TempDir()
		base := makeTensors(t, filepath.Join(dir, "base"), withBase)
		low := makeTensors(t, filepath.Join(dir, "low"), row.shapes)
		low.configure(t, row.config)
		var o repfuse.FuseOptions
		o.With = []string{low.dir + row.with}
		out := filepath.Join(dir, "out")
		_, err := repfuse.Fuse(ctx, base.dir, out, o)
		if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", name, err, row.want)
		}
		if _, there := os.Stat(out); there == nil {
			t.Errorf("%s: something was written", name)
		}
		if said := hint.Of(err); !strings.Contains(said, row.hint) {
			t.Errorf("%s: hint %q, want %s", name, said, row.hint)
		}
	}
}
