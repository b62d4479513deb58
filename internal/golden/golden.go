// Package golden gives tests the reference cases of testdata/golden: what the
// authors' own code did with a block or a small model in PyTorch. A case is the
// state_dict of the train form, that of the reference's own deploy form, an input,
// and the train form's output for it, computed in float64 by PyTorch.
//
// Where the reference is wrong (Meta.ReferenceBug, or a name ending in REFBUG) the
// output is still right, and the deploy form is what not to do.
package golden

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/tensor"
)

// suffix is what a case's file is called after its name.
const suffix = ".safetensors.gz"

// Case is one case, in memory. Tensors are ordered by key.
type Case struct {
	Meta Meta
	// Train and Deploy are the two state_dicts. Deploy is nil where the reference
	// could not make one; Meta.DeployError says why.
	Train, Deploy []tensor.Named
	// Derived is a merge computed by hand where the reference has none.
	Derived []tensor.Named
	// X is the inputs (float32) and Y the outputs of the train form (float64).
	X, Y []tensor.Tensor
}

// Cases is the names of all cases, sorted.
func Cases(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder(t), "*"+suffix))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no case in %s (%v)", folder(t), err)
	}
	for i, p := range paths {
		paths[i] = strings.TrimSuffix(filepath.Base(p), suffix)
	}
	slices.Sort(paths)
	return paths
}

// Load reads the case of the given name, or fails the test.
func Load(t testing.TB, name string) Case {
	t.Helper()
	c, err := read(filepath.Join(folder(t), name+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Find is the tensor under a key, or fails the test.
func Find(t testing.TB, tensors []tensor.Named, key string) tensor.Tensor {
	t.Helper()
	for _, n := range tensors {
		if n.Key == key {
			return n.Tensor
		}
	}
	t.Fatalf("no key %q", key)
	return tensor.Tensor{}
}

// folder is testdata/golden of the module that the test runs in.
func folder(t testing.TB) string {
	t.Helper()
	at, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return filepath.Join(at, "testdata", "golden")
		}
		if at == filepath.Dir(at) {
			t.Fatal("no go.mod in the folder of the test or above it")
		}
		at = filepath.Dir(at)
	}
}
