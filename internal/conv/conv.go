// Package conv is the second interpreter of the algebra: it runs an expression on
// a feature map as the network runs it, every convolution, then its batch norm,
// then the sum, and never merges two of them. What package fuse collapses must
// give the same map; conv knows nothing of how that is done.
//
// Operators act on the whole plane. The map is zero outside the image to begin
// with, and nothing puts the zeros back; so each part of a
// sequence is computed on the image and a margin as wide as what follows reaches,
// and what the parts before it left there (a bias, say) is seen.
//
// All convolutions run at stride 1 (op.AtStride1). A layer of stride s gives every s-th element of
// that. A transposed convolution scatters: tap k of an element at p is added at p+k.
//
// A Runner computes some channels at a time, with the micro-kernels of package micro, for
// blocks of any size in little memory. Package convtest does the same plainly, for tests.
package conv

import "repfuse/internal/tensor"

// Map is a feature map on a box of the plane: Channels × Size[0] × Size[1] × …
// elements, row-major. The box begins at Lo, counted from the image's first
// element; it has no axes for a Linear layer.
type Map struct {
	Channels int
	Lo, Size []int
	Data     []float64
}

// Zeros is a map of zeros on the box.
func Zeros(channels int, lo, size []int) Map {
	return Map{channels, lo, size, make([]float64, channels*tensor.Elems(size))}
}
