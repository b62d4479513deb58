package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/checkpoint"
	"repfuse/internal/golden"
)

// must runs repfuse and fails the test where it does not exit with 0.
func must(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(args, nil, &stdout, &stderr); code != exitYes {
		t.Fatalf("repfuse %s: exit status %d\n%s", strings.Join(args, " "), code, &stderr)
	}
	return stdout.String()
}

// A file of any format that is cut short anywhere is an error, with exit status 2,
// and leaves nothing behind.
func TestTruncated(t *testing.T) {
	dir := t.TempDir()
	weights := filepath.Join(dir, "weights")
	golden.Write(t, weights, golden.Load(t, "repvgg-block-s1").Train)
	for _, test := range []struct{ kind, cut string }{
		{"dir", "rbr_dense.conv.weight.npy"},
		{"dir", "rbr_dense.bn.num_batches_tracked.npy"},
		{"m.npz", ""},
		{"m.safetensors", ""},
		{"m.pth", ""},
		{"one", "model.safetensors"},
		{"shards", "model-00002-of-00003.safetensors"},
		{"shards", "model.safetensors.index.json"},
	} {
		t.Run(test.kind+" "+test.cut, func(t *testing.T) {
			here := t.TempDir()
			src := filepath.Join(here, test.kind)
			args := map[string][]string{"one": {"--format", "safetensors"}, "shards": {"--shard-size", "1kB"}}[test.kind]
			must(t, append([]string{"convert", weights, src}, args...)...)
			must(t, "fuse", src, filepath.Join(here, "whole"))
			file := filepath.Join(src, test.cut)
			whole, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			// Without its line's end, an index is whole.
			for _, n := range cuts(len(bytes.TrimSuffix(whole, []byte("\n")))) {
				if err := os.WriteFile(file, whole[:n], 0o666); err != nil {
					t.Fatal(err)
				}
				for _, command := range []string{"fuse", "convert"} {
					var stderr bytes.Buffer
					if code := run([]string{command, src, filepath.Join(here, "out")}, nil, io.Discard, &stderr); code != exitError {
						t.Errorf("%s of %d of %d bytes: exit status %d, want %d", command, n, len(whole), code, exitError)
					}
					if !strings.HasPrefix(stderr.String(), "repfuse: "+src) {
						t.Errorf("%s of %d of %d bytes: %q does not name it", command, n, len(whole), &stderr)
					}
				}
			}
			if entries, _ := os.ReadDir(here); len(entries) != 2 {
				t.Errorf("%v are there, want the source and what was made of it whole", entries)
			}
		})
	}
}

// cuts is lengths less than n: the first and last few, and some between.
func cuts(n int) []int {
	var list []int
	for k := range n {
		if k < 12 || k >= n-3 || k%max(1, n/20) == 0 {
			list = append(list, k)
		}
	}
	return list
}

// keysOf is the keys of a checkpoint in its order.
func keysOf(t *testing.T, path string) []string {
	t.Helper()
	c, err := checkpoint.Open(path, checkpoint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var keys []string
	for _, n := range c.Tensors {
		keys = append(keys, n.Key)
	}
	return keys
}

// stateDict writes a small RepVGG with its layers the other way round, as no
// alphabet would have them, and gives the keys that fusing should make of it: those
// of a block where the block's first key stood.
func stateDict(t *testing.T, path string) (keys []string) {
	t.Helper()
	train := slices.Clone(golden.Load(t, "repvgg-model-tiny").Train)
	slices.Reverse(train)
	made := map[string]bool{}
	for _, n := range train {
		module, _, isBlock := strings.Cut(n.Key, ".rbr_")
		switch {
		case !isBlock:
			keys = append(keys, n.Key)
		case !made[module]:
			made[module] = true
			keys = append(keys, module+".rbr_reparam.weight", module+".rbr_reparam.bias")
		}
	}
	writeCheckpoint(t, path, train, checkpoint.CreateOptions{})
	return keys
}

// A state dict keeps its order through fusing and converting, as an OrderedDict does.
func TestOrder(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	want := stateDict(t, at("m.pth"))
	must(t, "fuse", at("m.pth"), at("fused.pth"))
	must(t, "convert", at("fused.pth"), at("fused.npz"))
	must(t, "convert", at("fused.npz"), at("again.pth"))
	for _, name := range []string{"fused.pth", "fused.npz", "again.pth"} {
		if got := keysOf(t, at(name)); !slices.Equal(got, want) {
			t.Errorf("%s: %q\nwant %q", name, got, want)
		}
	}
	if slices.IsSorted(want) {
		t.Error("the keys are sorted, which shows nothing")
	}
	must(t, "verify", at("m.pth"), at("again.pth"))
}
