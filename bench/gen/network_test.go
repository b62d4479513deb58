package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"repfuse"
	"repfuse/internal/onnx"
)

// The network has the nodes of MobileOne-S0 (Vasu et al., 2023, table 2: 43 layers, four branches):
// 2 convolutions in the first block, 5 in each of 21 depthwise ones, 4 in each of 21 pointwise ones, and
// an identity in all but 8: the first, 4 of stride 2 and 3 that change the channels. Each block
// is found by the graph, whose shapes must fit for that; and a seed gives the same bytes.
func TestExport(t *testing.T) {
	dir := t.TempDir()
	var files [3][]byte
	for k, seed := range []uint64{7, 7, 8} {
		path := filepath.Join(dir, string(rune('a'+k))+".onnx")
		if err := networks["mobileone-s0"].export(path, seed); err != nil {
			t.Fatal(err)
		}
		var err error
		if files[k], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) || bytes.Equal(files[0], files[2]) {
		t.Error("want the same bytes of one seed, and others of another")
	}
	path := filepath.Join(dir, "a.onnx")
	m, err := onnx.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	got := map[string]int{}
	for _, n := range m.Graph.Nodes {
		got[n.Op.Name]++
	}
	for op, n := range map[string]int{"Conv": 2 + 21*5 + 21*4, "BatchNormalization": 43 - 8, "Relu": 43, "Gemm": 1} {
		if got[op] != n {
			t.Errorf("%d %s, want %d", got[op], op, n)
		}
	}
	p, err := repfuse.Plan(context.Background(), path, repfuse.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Blocks) != 43 {
		t.Errorf("%d blocks, want 43", len(p.Blocks))
	}
}
