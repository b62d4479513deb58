//go:build conformance

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// python is one that has PyTorch; REPFUSE_PYTHON names another one.
func python() string {
	if p := os.Getenv("REPFUSE_PYTHON"); p != "" {
		return p
	}
	return "/usr/bin/python3"
}

// reorder saves the state dict of one file to another in an order of its own, and
// prints its keys; without the other, it prints them alone.
const reorder = `
import collections, json, sys, torch
sd = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
assert type(sd) is collections.OrderedDict, type(sd)
if len(sys.argv) > 2:
    torch.save(collections.OrderedDict(sorted(sd.items(), key=lambda e: e[0][::-1])), sys.argv[2])
json.dump(list(sd), sys.stdout)
`

func keysInTorch(t *testing.T, paths ...string) (keys []string) {
	t.Helper()
	cmd := exec.Command(python(), append([]string{"-c", reorder}, paths...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", paths, err)
	}
	if err := json.Unmarshal(out, &keys); err != nil {
		t.Fatal(err)
	}
	return keys
}

// PyTorch finds what was fused in an OrderedDict, in the order of the state dict
// that it was made of; and one that PyTorch saved in an order of its own comes back.
func TestConformanceOrder(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	want := stateDict(t, at("m.pth"))
	must(t, "fuse", at("m.pth"), at("fused.pth"))
	if got := keysInTorch(t, at("fused.pth"), at("theirs.pth")); !slices.Equal(got, want) {
		t.Errorf("PyTorch finds %q\nwant %q", got, want)
	}
	must(t, "convert", at("theirs.pth"), at("ours.pth"))
	want = keysInTorch(t, at("theirs.pth"))
	if got := keysInTorch(t, at("ours.pth")); !slices.Equal(got, want) || slices.IsSorted(want) {
		t.Errorf("PyTorch finds %q\nwant %q", got, want)
	}
}
