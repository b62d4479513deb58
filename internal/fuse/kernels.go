package fuse

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

const (
	// readBytes is how much of a stored kernel is read at once: little enough for the
	// second cache, beside what is made of it.
	readBytes = 64 << 10
	// windowBytes is how much there is room for at least: also for a part of most kernels
	// that products read.
	windowBytes = 2 * readBytes
	// chunkFloats is the size of the part of a stored kernel that products read at once: few
	// rows of a long one.
	chunkFloats = 64 << 10
	// gemmBlock is the longest chain of additions within micro.Gemm64.
	gemmBlock = 64
)

// chunk is the number of rows of n that a product takes at a time. It depends on the
// kernel alone, so that the additions are the same for every block of rows.
func (n *conv) chunk() int { return max(1, min(gemmBlock, chunkFloats/n.cells)) }

func (n *conv) rowBytes() int { return n.cells * n.weight.Type.Size() }

// kernels reads rows of an expression's stored kernels, which are opened when they are
// first asked for. What it returns is good until the next call.
type kernels struct {
	open []tensor.Data // by conv.id, nil where it is not
	*window
}

// window is what was read last.
type window struct {
	of       *conv // nil where there is nothing
	b        []byte
	first, n int       // rows
	decoded  []float64 // a row, see decode
}

func newKernels(n int, w *window) *kernels { return &kernels{make([]tensor.Data, n), w} }

func (k *kernels) close() error {
	var all []error
	for i, d := range k.open {
		if d != nil {
			all = append(all, d.Close())
		}
		k.open[i] = nil
	}
	return errors.Join(all...)
}

// row is the stored bytes of row o of n. Rows after it, below limit, are read with it.
func (k *kernels) row(n *conv, o, limit int) ([]byte, error) {
	size := n.rowBytes()
	if k.of != n || o < k.first || o >= k.first+k.n {
		if _, err := k.rows(n, o, max(1, min(readBytes/size, limit-o))); err != nil {
			return nil, err
		}
	}
	at := (o - k.first) * size
	return k.b[at : at+size], nil
}

// rows reads the stored bytes of count rows of n from o on.
func (k *kernels) rows(n *conv, o, count int) (b []byte, err error) {
	size := n.rowBytes()
	if cap(k.b) < count*size {
		k.b = make([]byte, max(count*size, windowBytes))
	}
	k.b, k.of = k.b[:count*size], nil
	if k.open[n.id] == nil {
		k.open[n.id], err = n.weight.Open()
	}
	if err == nil {
		err = tensor.ReadFull(k.open[n.id], k.b, int64(o)*int64(size))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.weight.Key, err)
	}
	k.of, k.first, k.n = n, o, count
	return k.b, nil
}

// decode is the elements of b, which are of n and no more than a row.
func (k *kernels) decode(n *conv, b []byte) []float64 {
	count := len(b) / n.weight.Type.Size()
	k.decoded = slices.Grow(k.decoded[:0], n.cells)[:count]
	micro.Scale(k.decoded, b, n.weight.Type, 1)
	return k.decoded
}

// scan visits all rows of a stored kernel.
func (k *kernels) scan(n *conv, visit func(o int, row []float64) error) error {
	for o := range n.rows {
		b, err := k.row(n, o, n.rows)
		if err != nil {
			return err
		}
		if err := visit(o, k.decode(n, b)); err != nil {
			return err
		}
	}
	return nil
}

// finite looks for an element that is no finite number, and names it.
func (k *kernels) finite(n *conv) error {
	return k.scan(n, func(o int, row []float64) error {
		for i, v := range row {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return notFinite(n.weight.Key, o*n.cells+i, v)
			}
		}
		return nil
	})
}
