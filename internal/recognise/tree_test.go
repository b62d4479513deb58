package recognise

import (
	"slices"
	"strings"
	"testing"

	"repfuse/internal/tensor"
)

// treeOf is a tree of keys without tensors.
func treeOf(keys ...string) *tree {
	tensors := make([]tensor.Named, len(keys))
	for k := range keys {
		tensors[k].Key = keys[k]
	}
	return newTree(tensors)
}

// Whatever the order of the keys, modules are met by their names, one after the other: a
// name that is another's beginning comes first, be there what it may behind it.
func TestTreeOrder(t *testing.T) {
	keys := []string{"b.10.weight", "a-b.bias", "b.9.weight", "a.weight", "a", "a.z.y", "a_b", "b.1.weight", "a.b!"}
	want := []string{"a", "a.b!", "a.weight", "a.z.y", "a-b.bias", "a_b", "b.1.weight", "b.10.weight", "b.9.weight"}
	for range len(keys) {
		keys = append(keys[1:], keys[0])
		tree := treeOf(keys...)
		if got := tree.Below(""); !slices.Equal(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
		for _, n := range []string{"a", "a.z", "a-b", "b", "b.1"} {
			var below []string
			for _, key := range want {
				if rest, ok := strings.CutPrefix(key, n+"."); ok {
					below = append(below, rest)
				}
			}
			if got := tree.Below(n); !slices.Equal(got, below) {
				t.Errorf("below %s: %q, want %q", n, got, below)
			}
		}
	}
	if got := treeOf(keys...).Below("a.none"); got != nil {
		t.Errorf("below what is not there: %q", got)
	}
}

// A key that a block has taken is no longer below its module, though it was when last asked.
func TestTreeTaken(t *testing.T) {
	tree := treeOf("a.x", "a.y")
	for _, want := range [][]string{{"x", "y"}, {"y"}} {
		if got := tree.Below("a"); !slices.Equal(got, want) {
			t.Errorf("below a: %q, want %q", got, want)
		}
		tree.take("a.x")
	}
}
