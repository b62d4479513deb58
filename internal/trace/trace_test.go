package trace

import (
	"slices"
	"strings"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/golden"
	"repfuse/internal/graph"
	"repfuse/internal/regions"
	"repfuse/internal/tensor"
)

// stored is a checkpoint of the traced network, without elements.
func stored(t testing.TB, text []byte) []tensor.Named {
	t.Helper()
	f, values, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var all []tensor.Named
	for key, n := range f.Keys {
		all = append(all, tensor.Named{Key: key, Tensor: tensor.Tensor{Type: tensor.F32, Shape: values[n].shape}})
	}
	slices.SortFunc(all, func(a, b tensor.Named) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// want is the blocks of each network, as its code in test_networks.py says; that outputs
// stay is held there, in PyTorch.
var want = map[string][]string{
	"conv bn relu":                        {"0.0 = conv(0.0, unbiased, stride 1x1, padding 1x1) > bn(0.1, eps 1e-05)", "2.0 = conv(2.0, unbiased, stride 1x1, padding 0x0) > bn(2.1, eps 1e-05)"},
	"conv relu bn":                        nil,
	"pre-activation":                      {"2 = conv(2, unbiased, stride 1x1, padding 1x1) > bn(3, eps 1e-05)"},
	"registered in another order":         {"conv2 = conv(conv2, unbiased, stride 1x1, padding 1x1) > bn(bn2, eps 1e-05)"},
	"bn before a padded conv":             nil,
	"bn before a point conv":              {"1 = bn(0, eps 1e-05) > conv(1, unbiased, stride 1x1, padding 0x0)"},
	"side by side":                        {"a = conv(a, stride 1x1, padding 2x2)\n+ conv(b, stride 1x1, padding 1x1)"},
	"two kernels in a row":                {"1 = conv(1, stride 1x1, padding 1x1) > bn(2, eps 1e-05)"},
	"the input itself":                    {"a.0 = conv(a.0, unbiased, stride 1x1, padding 1x1) > bn(a.1, eps 1e-05)\n+ x"},
	"transposed in groups":                {"0 = convt(0, stride 2x2, padding 1x1, groups 2) > bn(1, eps 1e-05)"},
	"linear":                              {"0 = conv(0) > bn(1, eps 1e-05)", "3 = conv(3, unbiased) > bn(4, eps 1e-05)"},
	"attention":                           {"qkv = conv(qkv) > bn(bn, eps 1e-05)"},
	"norm after tokens":                   {"0.out = kernel(0.out.weight) > shift(0.out.bias) > bn(1.bn, eps 1e-05)"},
	"norm along tokens":                   nil,
	"norm of other channels":              {"a = conv(a) > bn(bn, eps 1e-05)"},
	"split channels":                      nil,
	"a norm of two layers":                nil,
	"a layer of two norms":                nil,
	"a layer run twice":                   {"a.0 = conv(a.0, unbiased, stride 1x1, padding 1x1) > bn(a.1, eps 1e-05)"},
	"an inner value that leaves":          nil,
	"written into":                        nil,
	"weight norm":                         nil,
	"in training mode":                    nil,
	"concatenated":                        nil,
	"linear then a point conv":            {"a = kernel(a.weight) > shift(a.bias)"},
	"flattened, one position":             {"0 = conv(0, unbiased, stride 1x1, padding 0x0) > bn(2, eps 1e-05)"},
	"flattened, each feature its norm":    nil,
	"flattened behind a pool":             nil,
	"patches":                             {"a = conv(a, unbiased, stride 4x4, padding 0x0) > bn(bn, eps 1e-05)"},
	"padded by a function, and the input": {"a.0 = x(padding 2x2) > conv(a.0, unbiased, stride 1x1, padding 0x0) > bn(a.1, eps 1e-05)\n+ x"},
	"no affine":                           {"0 = conv(0, unbiased, stride 1x1, padding 1x1) > bn(1, eps 0.001)"},
}

func TestNetworks(t *testing.T) {
	all := golden.Graphs(t)
	for name, exprs := range want {
		text, ok := all[name]
		if !ok {
			t.Errorf("%s: not traced", name)
			continue
		}
		tensors := stored(t, text)
		n, err := Read(text, tensors)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		found, err := regions.Blocks(*n, tensors, graph.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, b := range found.Blocks {
			for _, o := range b.Outputs {
				got = append(got, strings.TrimSuffix(o.Weight, ".weight")+" = "+family.Format(o.Expr, ""))
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, exprs) {
			t.Errorf("%s:\n%q\nwant\n%q", name, got, exprs)
		}
	}
}

// TestOtherArchitecture: the first key that differs is named.
func TestOtherArchitecture(t *testing.T) {
	text := golden.Graphs(t)["conv bn relu"]
	tensors := stored(t, text)
	for k, row := range map[int]string{0: "0.0.weight, which the checkpoint lacks", 1: "0.1.bias has shape [3]"} {
		changed := slices.Clone(tensors)
		if changed[k].Shape = []int{3}; k == 0 {
			changed = changed[1:]
		}
		if _, err := Read(text, changed); err == nil || !strings.Contains(err.Error(), row) {
			t.Errorf("%v, want %q", err, row)
		}
	}
	other := stored(t, golden.Graphs(t)["pre-activation"]) // which shares no key
	if _, err := Read(text, other); err == nil || !strings.Contains(err.Error(), "the graph has 0.0.weight, which the checkpoint lacks") {
		t.Errorf("%v, want the first key that differs", err)
	}
}

// TestUnsound: what is no graph is an error that says where.
func TestUnsound(t *testing.T) {
	for text, want := range map[string]string{
		``:                               "unexpected end of JSON input",
		`{"version": 2}`:                 "version 2, want 1",
		`{"version": 1, "values": [[]]}`: "value 0: empty",
		`{"version": 1, "values": [["float32", -1]]}`:                                                                                                 "extent -1",
		`{"version": 1, "values": [["float32"]], "inputs": [1]}`:                                                                                      "value 1 of 1",
		`{"version": 1, "values": [["float32"]], "inputs": [0], "ops": [{"op": "aten.relu.default", "in": ["%0"], "out": [0]}]}`:                      "made twice",
		`{"version": 1, "values": [["float32"]], "ops": [{"op": "aten.relu.default", "in": ["%0"], "out": [0]}]}`:                                     "operator 0 (aten.relu.default): reads value 0, which nothing before it makes",
		`{"version": 1, "values": [["float32"], ["float32"]], "ops": [{"op": "a", "in": ["%1"], "out": [0]}, {"op": "b", "in": ["%0"], "out": [1]}]}`: "operator 0 (a): reads value 1, which nothing before it makes",
		`{"version": 1, "values": [["float32"]], "outputs": [0]}`:                                                                                     "output 0 is no value",
		`{"version": 1, "values": [["float32"]], "keys": {"a": 7}}`:                                                                                   "a is value 7 of 1",
		`{"version": 1, "values": [["float32"]], "constants": {"x": null}}`:                                                                           "constant \"x\"",
	} {
		if _, _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// FuzzRead: no text makes it panic, nor what it makes of it the rule.
func FuzzRead(f *testing.F) {
	for _, text := range golden.Graphs(f) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, values, err := parse(text)
		if err != nil {
			return
		}
		var tensors []tensor.Named
		for key, n := range file.Keys {
			tensors = append(tensors, tensor.Named{Key: key, Tensor: tensor.Tensor{Type: tensor.F32, Shape: values[n].shape}})
		}
		n, err := Read(text, tensors)
		if err != nil {
			t.Fatalf("its own tensors: %v", err)
		}
		if _, err := regions.Blocks(*n, tensors, graph.Options{}); err != nil {
			t.Fatal(err)
		}
	})
}
