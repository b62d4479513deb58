package fuse

import (
	"math/big"

	"repfuse/internal/exact"
	"repfuse/internal/micro"
)

// Workspace is the memory that a Worker computes in. Workers that take turns may share
// one. The zero Workspace is ready and takes no memory before it is used.
type Workspace struct {
	floats  arena[float64]
	window  window                           // of the stored kernels
	panel   [gemmBlock * micro.Panel]float64 // the part of one that a product works on, decoded
	values  []float64                        // elements of a row
	stored  []byte                           // the same, as they are stored
	twofold arena[exact.DD]
	reals   arena[*big.Float]
}

// arena hands out slices that are given back in the opposite order, by setting used to
// what it was.
type arena[T any] struct {
	buf        []T
	used, most int
}

// begin takes back all that was handed out, and makes room for n, or for as much as was
// needed before.
func (a *arena[T]) begin(n int) {
	n = max(n, a.most)
	if a.used = 0; len(a.buf) < n {
		a.buf = nil // before there is another
		a.buf = make([]T, n)
	}
}

// alloc is n numbers of any value. What is more than begin was told of has memory of its
// own.
func (a *arena[T]) alloc(n int) []T {
	from := a.used
	a.used += n
	a.most = max(a.most, a.used)
	if a.used > len(a.buf) {
		return make([]T, n)
	}
	return a.buf[from:a.used:a.used]
}
