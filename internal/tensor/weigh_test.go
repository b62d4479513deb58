package tensor

import "testing"

// A file of n bytes may hold tensors of 64·n + 32 MiB.
func TestWeigh(t *testing.T) {
	of := func(n ...int) (list []Named) {
		for _, k := range n {
			list = append(list, Named{Tensor: Tensor{Type: U8, Shape: []int{k}}})
		}
		return list
	}
	for _, test := range []struct {
		tensors []Named
		size    int64
		ok      bool
	}{
		{of(32<<20, 6400), 100, true},
		{of(32<<20, 6401), 100, false},
		{of(1<<62, 1<<62, 1<<62), 1 << 40, false},
	} {
		if err := Weigh(test.tensors, test.size); (err == nil) != test.ok {
			t.Errorf("%d tensors in %d bytes: %v", len(test.tensors), test.size, err)
		}
	}
}

func TestFew(t *testing.T) {
	for n, ok := range map[int]bool{0: true, 1 << 18: true, 1<<18 + 1: false} {
		err := Few(n)
		if list := Weigh(make([]Named, n), 1<<30); (err == nil) != ok || (list == nil) != ok {
			t.Errorf("%d tensors: %v, %v", n, err, list)
		}
	}
}
