// Package conv is the second interpreter of the algebra: it runs an expression on
// a feature map as the network runs it, every convolution, then its batch norm,
// then the sum, and never merges two of them. What package fuse collapses must
// give the same map; conv knows nothing of how that is done.
//
// Operators act on the whole plane. The map is zero outside the image to begin
// with, and nothing puts the zeros back except op.Window; so each part of a
// sequence is computed on the image and a margin as wide as what follows reaches,
// and what the parts before it left there (a bias, say) is seen.
//
// All convolutions run at stride 1. A layer of stride s gives every s-th element of
// that, which Map.Sample picks out. A transposed convolution scatters: tap k of an
// element at p is added at p+k.
//
// Run is plain and computes everything in float64. Runner does the same some
// channels at a time, with the micro-kernels of package micro, for blocks of any
// size in little memory.
package conv

import (
	"fmt"
	"math/rand/v2"

	"repfuse/internal/tensor"
)

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

// Random is an image of independent values, uniform in [-limit, limit] and exact
// in float32. The same seed gives the same image.
func Random(channels int, size []int, limit float64, seed uint64) Map {
	m := Zeros(channels, make([]int, len(size)), size)
	r := rand.New(rand.NewPCG(seed, 0x7265706675736521))
	for i := range m.Data {
		m.Data[i] = float64(float32((2*r.Float64() - 1) * limit))
	}
	return m
}

// Of is an image of the given values.
func Of(channels int, size []int, values []float64) (Map, error) {
	if n := channels * tensor.Elems(size); n != len(values) {
		return Map{}, fmt.Errorf("%d values for a map of %d×%v, want %d", len(values), channels, size, n)
	}
	return Map{channels, make([]int, len(size)), size, values}, nil
}

// On is the map on another box, zero where it was not defined.
func (m Map) On(lo, size []int) Map {
	to := Zeros(m.Channels, lo, size)
	from, both := overlap(m.Lo, m.Size, lo, size)
	if both == nil {
		return to
	}
	for c := range m.Channels {
		rows(from, both, func(p []int, n int) {
			copy(to.row(c, p, n), m.row(c, p, n))
		})
	}
	return to
}

// Sample is what a layer of the given stride makes of the plane that m is a part
// of: element j of the result is the one at from + j·stride, on each axis. m must
// hold them all.
func (m Map) Sample(from, stride, size []int) (Map, error) {
	to := Zeros(m.Channels, make([]int, len(size)), size)
	for a, n := range size {
		if last := from[a] + (n-1)*stride[a]; n > 0 && (from[a] < m.Lo[a] || last >= m.Lo[a]+m.Size[a]) {
			return Map{}, fmt.Errorf("axis %d: elements %d to %d, want some from %d to %d", a, from[a], last, m.Lo[a], m.Lo[a]+m.Size[a]-1)
		}
	}
	at := make([]int, len(size))
	for c := range m.Channels {
		rows(to.Lo, size, func(p []int, n int) {
			out := to.row(c, p, n)
			for k := range out {
				for a := range at {
					at[a] = from[a] + p[a]*stride[a]
				}
				if len(at) > 0 {
					at[len(at)-1] += k * stride[len(at)-1]
				}
				out[k] = m.row(c, at, 1)[0]
			}
		})
	}
	return to, nil
}

// row is the n elements of channel c from position p on along the last axis.
func (m Map) row(c int, p []int, n int) []float64 {
	i := c
	for a, size := range m.Size {
		i = i*size + p[a] - m.Lo[a]
	}
	return m.Data[i : i+n]
}

// rows visits a box row by row along its last axis: the position of each row's
// first element and its length. A box without axes has one row of one element.
func rows(lo, size []int, visit func(p []int, n int)) {
	last := len(size) - 1
	if last < 0 {
		visit(nil, 1)
		return
	}
	if tensor.Elems(size) == 0 {
		return
	}
	p := append([]int(nil), lo...)
	for {
		visit(p, size[last])
		a := last - 1
		for ; a >= 0; a-- {
			if p[a]++; p[a] < lo[a]+size[a] {
				break
			}
			p[a] = lo[a]
		}
		if a < 0 {
			return
		}
	}
}

// overlap is the box that two boxes share; its size is nil where there is none.
func overlap(lo, size, lo2, size2 []int) (from, both []int) {
	from, both = make([]int, len(lo)), make([]int, len(lo))
	for a := range lo {
		from[a] = max(lo[a], lo2[a])
		both[a] = min(lo[a]+size[a], lo2[a]+size2[a]) - from[a]
		if both[a] <= 0 {
			return nil, nil
		}
	}
	return from, both
}
