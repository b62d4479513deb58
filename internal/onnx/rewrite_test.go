package onnx_test

import (
	"bytes"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"repfuse/internal/disk"
	"repfuse/internal/onnx"
	"repfuse/internal/onnx/onnxtest"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// write carries a rewrite out, with values for the tensors that layers bring, and
// returns the path of the model.
func write(t testing.TB, r *onnx.Rewrite, location string, fresh map[string]tensor.Tensor) string {
	t.Helper()
	all := r.Kept
	for _, s := range r.Fresh {
		all = append(all, tensor.Named{Key: s.Key, Tensor: fresh[s.Key]})
	}
	specs := make([]tensor.Spec, len(all))
	for i, x := range all {
		specs[i] = x.Spec()
	}
	path := filepath.Join(t.TempDir(), "fused.onnx")
	data := filepath.Join(filepath.Dir(path), filepath.FromSlash(location))
	if err := os.MkdirAll(filepath.Dir(data), 0o777); err != nil {
		t.Fatal(err)
	}
	w, err := r.Create(path, data, specs, disk.Create)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range all {
		b, err := x.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for off := 0; off < len(b); off += 1000 { // in pieces, as a stream is
			if err := w.WriteAt(i, b[off:min(off+1000, len(b))], int64(off)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Done(i, crc32.ChecksumIEEE(b)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func specsOf(items []plan.Item) []tensor.Spec {
	specs := make([]tensor.Spec, len(items))
	for k := range items {
		specs[k] = items[k].Spec
	}
	return specs
}

// external are the files of external data of the corpus.
var external = map[string]string{
	"x-external": "weights.bin", "x-external-checksum": "w.bin", "x-external-nolength": "w.bin",
	"x-external-subdir": "data/w.bin", "repvgg-external": "train.onnx.data",
}

// A model in which nothing is replaced comes out with the same bytes, external data too.
func TestNothingReplaced(t *testing.T) {
	for _, c := range onnxtest.Cases(t, "") {
		if refused[c.Name] != "" {
			continue
		}
		m, err := onnx.Open(c.Write(t))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		location := external[c.Name]
		r, err := m.Rewrite(nil, location)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if r.External != (location != "") {
			t.Errorf("%s: external data %t, want %t", c.Name, r.External, location != "")
		}
		path := write(t, r, location, nil)
		same(t, path, c.Bytes(t, "train.onnx"))
		if location != "" {
			same(t, filepath.Join(filepath.Dir(path), location), c.Bytes(t, location))
		}
	}
}

func same(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	} else if !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes, want %d; or others", path, len(got), len(want))
	}
}
