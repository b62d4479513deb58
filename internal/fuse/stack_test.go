package fuse

import "testing"

// TestStack: slices do not overlap, those of the next time lie where the last ones did, and
// what is given back is handed out again.
func TestStack(t *testing.T) {
	var s stack[float64]
	sizes := []int{1, blockElems - 2, 3, blockElems, 7, blockElems + 1, 5}
	var first [][]float64
	for round := range 2 {
		var all [][]float64
		for k, n := range sizes {
			v := s.alloc(n)
			if len(v) != n || cap(v) < n {
				t.Fatalf("%d elements, want %d", len(v), n)
			}
			fill(v, float64(k))
			all = append(all, v)
		}
		for k, v := range all {
			if v[0] != float64(k) || v[len(v)-1] != float64(k) {
				t.Errorf("slice %d was written to through another", k)
			}
			if round == 1 && len(v) <= blockElems && &v[0] != &first[k][0] {
				t.Errorf("slice %d has memory of its own the second time", k)
			}
		}
		first, s.top = all, top{}
	}
	kept := s.top
	a := s.alloc(2)
	s.top = kept
	if b := s.alloc(3); &a[0] != &b[0] {
		t.Error("what was given back is not handed out again")
	}
}
