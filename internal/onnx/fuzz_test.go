package onnx

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"repfuse/internal/graph"
	"repfuse/internal/onnx/onnxtest"
)

// What a file of n bytes may cost to read: memory that is allocated in all, so that no
// length in it is believed, and time, which other programs may lengthen.
func budget(n int) uint64 { return 1<<20 + 500*uint64(n) }

const patience = 10 * time.Second

// Whatever the bytes are, reading ends with a model or an error, within its budget; and
// a model is written again as it was.
func FuzzOpen(f *testing.F) {
	for _, c := range onnxtest.Cases(f, "") {
		if b := c.Bytes(f, "train.onnx"); len(b) < 8<<10 {
			f.Add(b)
		}
	}
	dir := f.TempDir()
	path := filepath.Join(dir, "m.onnx")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		m, err := Open(path)
		if took := time.Since(start); took > patience {
			t.Errorf("%d bytes took %v", len(b), took)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > budget(len(b)) {
			t.Errorf("%d bytes allocated to read %d, want at most %d", n, len(b), budget(len(b)))
		}
		if err != nil {
			return
		}
		defer m.Close()
		for _, x := range m.Tensors() {
			x.ReadAll()
		}
		fuseHeaders(t, m)
		r, err := m.Rewrite(nil, "m.onnx.data")
		if err != nil {
			t.Fatalf("a model that was read is not written: %v", err)
		}
		var n int64
		for _, p := range r.pieces {
			n += p.len()
		}
		for _, p := range r.places {
			if p.File == modelFile {
				n += p.size
			}
		}
		if !r.External && n != int64(len(b)) {
			t.Errorf("%d bytes to be written of %d", n, len(b))
		}
	})
}

// fuseHeaders finds all layers of a model and lays the model out with them.
func fuseHeaders(t *testing.T, m *Model) {
	start := time.Now()
	var layers []Layer
	names := m.Names()
	for _, net := range m.Nets(true) {
		regions, _, err := graph.Find(&net.Graph, graph.Options{AnyCost: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range net.Layers(regions, names) {
			layers = append(layers, f.Layer)
		}
	}
	if _, err := m.Rewrite(layers, "m.onnx.data"); err != nil {
		t.Errorf("%d layers: %v", len(layers), err)
	}
	if took := time.Since(start); took > patience {
		t.Errorf("fusing %d nodes took %v", len(m.Graph.Nodes), took)
	}
}
