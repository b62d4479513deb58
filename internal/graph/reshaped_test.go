package graph

import "testing"

// Channels stay together as the last axis, or behind a batch that is known to be the same.
func TestReshaped(t *testing.T) {
	for _, test := range []struct {
		axis       int
		old, shape []int
		to         int // -1: they do not
	}{
		{LastAxis, []int{2, 7, 8}, []int{14, 8}, 1},
		{LastAxis, []int{-1, -1, 8}, []int{-1, 4, -1, 8}, 3},
		{LastAxis, []int{2, 7, 8}, []int{2, 56}, -1},
		{Channels, []int{2, 8, 3, 3}, []int{2, 8, 9}, 1},
		{Channels, []int{2, 8, 3, 3}, []int{4, 8, 9}, -1},
		{Channels, []int{-1, 8, 3, 3}, []int{-1, 8, 9}, -1},
		{Channels, []int{2, 8, 3, 3}, []int{2, 72}, -1},
		{Channels, []int{2, 8}, []int{2, 1, 8}, 2},
		{Channels, []int{2, 8}, []int{16}, -1},
		{AnyAxis, []int{2, 8}, []int{2, 8}, -1},
		{Channels, []int{2, -1, 3}, []int{2, -1}, -1},
	} {
		if to, ok := Reshaped(test.axis, test.old, test.shape); ok != (test.to >= 0) || ok && to != test.to {
			t.Errorf("%d of %v as %v: %d, %t, want %d", test.axis, test.old, test.shape, to, ok, test.to)
		}
	}
}

// Channels may come to lie along the second axis or the last of several.
func TestMovedTo(t *testing.T) {
	for _, test := range []struct {
		to, rank, axis int
		ok             bool
	}{{1, 2, Channels, true}, {1, 4, Channels, true}, {3, 4, LastAxis, true}, {2, 4, 0, false}, {0, 2, 0, false}, {0, 1, 0, false}} {
		if axis, ok := MovedTo(test.to, test.rank); ok != test.ok || ok && axis != test.axis {
			t.Errorf("axis %d of %d: %d, %t", test.to, test.rank, axis, ok)
		}
	}
}
