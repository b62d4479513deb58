package onnx_test

import (
	"context"
	"path/filepath"
	"testing"

	"repfuse/internal/disk"
	"repfuse/internal/graph"
	"repfuse/internal/onnx"
	"repfuse/internal/onnx/onnxtest"
	"repfuse/internal/plan"
	"repfuse/internal/stream"
)

// fuseAll finds and writes all regions of a model into dir.
func fuseAll(t testing.TB, m *onnx.Model, freeze bool, dir string) (string, []graph.Left) {
	t.Helper()
	names := m.Names()
	var fused []onnx.Fused
	var left []graph.Left
	for _, net := range m.Nets(freeze) {
		regions, l, err := graph.Find(&net.Graph, graph.Options{})
		if err != nil {
			t.Fatal(err)
		}
		fused, left = append(fused, net.Layers(regions, names)...), append(left, l...)
	}
	layers := make([]onnx.Layer, len(fused))
	var items []plan.Item
	for k, f := range fused {
		layers[k] = f.Layer
	}
	r, err := m.Rewrite(layers, "fused.onnx.data")
	if err != nil {
		t.Fatal(err)
	}
	for k := range r.Kept {
		items = append(items, plan.Item{Spec: r.Kept[k].Spec(), Kept: &r.Kept[k], Block: -1})
	}
	for k, f := range fused {
		o := &plan.Output{Weight: f.Weight, Bias: f.Bias, Expr: f.Region.Expr, Form: f.Region.Form}
		for j, s := range f.Tensors {
			items = append(items, plan.Item{Spec: s, Output: o, Block: k, IsBias: j == 1})
		}
	}
	path := filepath.Join(dir, "fused.onnx")
	w, err := r.Create(path, path+".data", specsOf(items), disk.Create)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Run(context.Background(), items, w, stream.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path, left
}

// ops counts the nodes of a model and of its bodies.
func ops(t testing.TB, path string) map[string]int {
	t.Helper()
	m, err := onnx.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	all := map[string]int{}
	var count func(g *onnx.Graph)
	count = func(g *onnx.Graph) {
		for _, n := range g.Nodes {
			all[n.Op.Name]++
			for _, a := range n.Attrs {
				for _, body := range a.Graphs {
					count(body)
				}
			}
		}
	}
	count(m.Graph)
	return all
}

// beyond are the models with more nodes left than their own deploy forms have, and those
// that come without one: Conv and BatchNormalization.
var beyond = map[string][2]int{
	"etds-default":      {10, 0}, // two streams as one of twice the channels: block matrices, no sums
	"dbb-dynamic":       {12, 2}, // borders of unknown size
	"wespeaker-default": {6, 1},  // a 5×5 of 25 products for a 3×3 and a dilated 3×3 of 18
}

// Every model of the corpus becomes what its meta.json asks for: as few nodes as the
// reference's own deploy form has, or, where nothing may be fused, the same bytes.
func TestCorpus(t *testing.T) {
	for _, c := range onnxtest.Cases(t, "") {
		if refused[c.Name] != "" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			m, err := onnx.Open(c.Write(t))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			path, left := fuseAll(t, m, c.Name == "repvgg-initializers-as-inputs", t.TempDir())
			if c.Expect == "refuse" {
				same(t, path, c.Bytes(t, "train.onnx"))
				return
			}
			got, want := ops(t, path), [2]int{c.Ideal, c.Deploy["BatchNormalization"]}
			if c.Ideal == 0 {
				want[0] = c.Deploy["Conv"]
			}
			if w, ok := beyond[c.Name]; ok {
				want = w
			}
			if c.Expect != "optional" && (got["Conv"] > want[0] || got["BatchNormalization"] > want[1]) {
				t.Errorf("%s: %d Conv, %d BatchNormalization, want at most %d", c.Note, got["Conv"], got["BatchNormalization"], want)
				for _, l := range left {
					t.Logf("%d is left: %s: %s", l.Node, l.Reason, l.Detail)
				}
			}
		})
	}
}
