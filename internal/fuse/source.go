package fuse

import (
	"fmt"
	"math"
	"slices"
	"sync"

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
	// chunkFloats is the size of the part of a stored kernel that is read at once where it is
	// not held: few rows of a long one.
	chunkFloats = 64 << 10
	// gemmBlock is the longest chain of additions within micro.Gemm64.
	gemmBlock = 64
)

// chunk is the number of rows of n that a product takes at a time. It hangs on the
// kernel alone, so that the additions are the same for every block of rows.
func (n *conv) chunk() int {
	return max(1, min(gemmBlock, chunkFloats/n.cells))
}

// source reads the rows of one stored kernel, some at a time.
type source struct {
	conv      *conv
	data      tensor.Data // nil before a row is asked for
	held      []byte      // all rows, or nil
	window    *window
	rowBytes  int
	rowsAhead int
}

// window is what was read last, of one of the sources that take turns at it: each is done
// with its rows before the next reads.
type window struct {
	of       *source // nil where there is nothing
	b        []byte
	first, n int       // rows
	decoded  []float64 // one, see scan
}

// sourceOf reads the kernel n, which is opened when a row is asked for.
func sourceOf(n *conv) *source {
	s := &source{conv: n, rowBytes: n.cells * n.weight.Type.Size()}
	s.rowsAhead = max(1, readBytes/s.rowBytes)
	return s
}

func (s *source) close() error {
	if s.data == nil {
		return nil
	}
	return s.data.Close()
}

// row is the stored bytes of row k, good until another source reads. Rows after it, below
// limit, are read with it.
func (s *source) row(k, limit int) ([]byte, error) {
	if s.held != nil {
		return s.held[k*s.rowBytes:][:s.rowBytes], nil
	}
	w := s.window
	if w.of != s || k < w.first || k >= w.first+w.n {
		if err := s.fill(k, max(1, min(s.rowsAhead, limit-k))); err != nil {
			return nil, err
		}
	}
	at := (k - w.first) * s.rowBytes
	return w.b[at : at+s.rowBytes], nil
}

func (s *source) fill(k, n int) error {
	w := s.window
	if need := n * s.rowBytes; cap(w.b) < need {
		w.b = make([]byte, max(need, windowBytes))
	}
	w.b, w.of = w.b[:n*s.rowBytes], nil
	if err := s.read(w.b, k); err != nil {
		return err
	}
	w.of, w.first, w.n = s, k, n
	return nil
}

// read fills b with the rows from k on.
func (s *source) read(b []byte, k int) (err error) {
	if s.data == nil {
		s.data, err = s.conv.weight.Open()
	}
	if err == nil {
		err = tensor.ReadFull(s.data, b, int64(k)*int64(s.rowBytes))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.conv.weight.Key, err)
	}
	return nil
}

// rows is the stored bytes of n rows from k on, good until another source reads.
func (s *source) rows(k, n int) ([]byte, error) {
	if s.held != nil {
		return s.held[k*s.rowBytes:][:n*s.rowBytes], nil
	}
	err := s.fill(k, n)
	return s.window.b, err
}

// measure makes n.norms.
func (n *conv) measure(s *source) error {
	norms := make([]float64, n.groups*n.cells)
	err := s.scan(func(k int, row []float64) error {
		perGroup := n.rows / n.groups
		sums := norms[k/perGroup*n.cells:][:n.cells]
		for i, v := range row {
			sums[i] += float64(v * v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, v := range norms {
		norms[i] = math.Sqrt(v)
	}
	n.norms = norms
	return nil
}

// scan visits all rows of the stored kernel.
func (n *conv) scan(visit func(k int, row []float64) error) error {
	s := n.scanner()
	defer s.release()
	return s.scan(visit)
}

// scanner is a source with a window of its own.
func (n *conv) scanner() *source {
	s := sourceOf(n)
	s.window = windows.Get().(*window)
	return s
}

func (s *source) release() {
	s.close()
	windows.Put(s.window)
}

var windows = sync.Pool{New: func() any { return new(window) }}

func (s *source) scan(visit func(k int, row []float64) error) error {
	s.window.decoded = slices.Grow(s.window.decoded[:0], s.conv.cells)
	v := s.window.decoded[:s.conv.cells]
	for k := range s.conv.rows {
		b, err := s.row(k, s.conv.rows)
		if err != nil {
			return err
		}
		micro.Scale(v, b, s.conv.weight.Type, 1)
		if err := visit(k, v); err != nil {
			return err
		}
	}
	return nil
}

// finite looks for an element that is no finite number, and names it.
func (n *conv) finite() error {
	return n.scan(func(k int, row []float64) error {
		for i, v := range row {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return notFinite(n.weight.Key, k*n.cells+i, v)
			}
		}
		return nil
	})
}
