package main

import (
	"slices"
	"testing"

	"repfuse/internal/tensor"
)

// The published sizes: tensors, and elements with statistics.
func TestSizes(t *testing.T) {
	for _, test := range []struct {
		model   string
		tensors int
		million float64
	}{
		{"A0", 351, 9.13},
		{"B1", 453, 57.48},
		{"B3", 453, 123.19},
		{"mobileone-s0", 1323, 5.38},
		{"hifigan", 234, 13.94},
		{"tinyllama", 201, 1100.05},
		{"A0*3", 1053, 27.4},
	} {
		c, known := byName(test.model)
		if !known {
			t.Fatalf("%s is not known", test.model)
		}
		var elements int
		var keys []string
		for _, e := range c {
			keys = append(keys, e.Key)
			if len(e.Shape) > 0 { // no counter
				elements += tensor.Elems(e.Shape)
			}
		}
		if got := float64((elements+5e3)/1e4) / 100; len(c) != test.tensors || got != test.million {
			t.Errorf("%s: %d tensors of %v million elements, want %d of %v", test.model, len(c), got, test.tensors, test.million)
		}
		slices.Sort(keys)
		if n := len(slices.Compact(keys)); n != len(c) {
			t.Errorf("%s: %d different keys for %d tensors", test.model, n, len(c))
		}
	}
}
