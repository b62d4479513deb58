package repfuse_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repfuse"
)

// TestExported: the graph of an archive of torch.export is that of every checkpoint of the same
// network, whatever the file is called, and what comes out is what the archive itself gives.
func TestExported(t *testing.T) {
	ctx, at := context.Background(), t.TempDir()
	for _, archive := range []string{"net", "later"} {
		src := "internal/pt2/testdata/" + archive + ".pt2"
		want := filepath.Join(at, archive+"-want")
		exported(t, src, want, "", src)
		b, err := os.ReadFile(src)
		if err != nil {
			t.Fatal(err)
		}
		unnamed := filepath.Join(at, archive+"-program")
		if err := os.WriteFile(unnamed, b, 0o666); err != nil {
			t.Fatal(err)
		}
		exported(t, unnamed, filepath.Join(at, archive+"-unnamed"), "", unnamed)
		same(t, want, filepath.Join(at, archive+"-unnamed"))
		for _, ending := range []string{".pth", ".safetensors", ""} {
			for _, graph := range []string{src, unnamed} {
				weights := filepath.Join(t.TempDir(), "weights"+ending)
				if _, err := repfuse.Convert(ctx, src, weights, repfuse.ConvertOptions{}); err != nil {
					t.Fatal(err)
				}
				dst := filepath.Join(t.TempDir(), "out")
				exported(t, weights, dst, graph, graph)
				same(t, want, dst)
			}
		}
	}
	other := filepath.Join(at, "other")
	if _, err := repfuse.Convert(ctx, "internal/pt2/testdata/net.pt2", other, repfuse.ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(other, "bn.bias.npy")); err != nil {
		t.Fatal(err)
	}
	o := repfuse.FuseOptions{PlanOptions: repfuse.PlanOptions{Recognition: repfuse.Recognition{Graph: "internal/pt2/testdata/later.pt2"}}}
	_, err := repfuse.Fuse(ctx, other, filepath.Join(at, "none"), o)
	if err == nil || !strings.Contains(err.Error(), "the graph has bn.bias, which the checkpoint lacks") {
		t.Errorf("%v, want the first key that differs", err)
	}
}

// exported fuses and verifies a checkpoint of the archive's network, without a condition.
func exported(t *testing.T, src, dst, graph, source string) {
	t.Helper()
	f, err := repfuse.Fuse(context.Background(), src, dst, repfuse.FuseOptions{PlanOptions: repfuse.PlanOptions{Recognition: repfuse.Recognition{Graph: graph}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Plan.Blocks) != 2 {
		t.Errorf("%s: %d blocks, want the two of %s", src, len(f.Plan.Blocks), source)
	}
	v, err := repfuse.Verify(context.Background(), src, dst, repfuse.VerifyOptions{Recognition: repfuse.Recognition{Graph: graph}})
	if err != nil {
		t.Fatal(err)
	}
	if v.Grade != repfuse.Exact || strings.Contains(v.String(), "if") {
		t.Errorf("%s: %s, want exact without a condition", src, v)
	}
}

// same holds two directories of .npy to the same tensors.
func same(t *testing.T, want, got string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(want, "*.npy"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%d tensors (%v)", len(names), err)
	}
	others, _ := filepath.Glob(filepath.Join(got, "*.npy"))
	if len(others) != len(names) {
		t.Errorf("%s: %d tensors, want %d", got, len(others), len(names))
	}
	for _, name := range names {
		a, _ := os.ReadFile(name)
		if b, err := os.ReadFile(filepath.Join(got, filepath.Base(name))); err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: %s is another (%v)", got, filepath.Base(name), err)
		}
	}
}
