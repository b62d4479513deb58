package fuse

import (
	"fmt"
	"math"

	"repfuse/internal/tensor"
)

const (
	// readBytes is how much of a stored kernel is read at once: little enough for the
	// second cache, beside what is made of it.
	readBytes = 64 << 10
	// chunkFloats is the size of the part of a stored kernel that a product works on.
	chunkFloats = 64 << 10
	// gemmBlock is the longest chain of additions within micro.Gemm64.
	gemmBlock = 64
)

// chunk is the number of rows of n that a product takes at a time. It hangs on the
// kernel alone, so that the additions are the same for every block of rows.
func (n *conv) chunk() int {
	return max(1, min(gemmBlock, chunkFloats/n.cells))
}

// source reads the rows of one stored kernel, some at a time, and when that is closed
// those of another.
type source struct {
	conv      *conv
	data      tensor.Data
	buf       []byte
	first, n  int       // the rows that buf holds
	decoded   []float64 // the chunk that a product works on
	rowBytes  int
	rowsAhead int
}

func (s *source) open(n *conv) error {
	data, err := n.weight.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", n.weight.Key, err)
	}
	s.conv, s.data, s.n = n, data, 0
	s.rowBytes = n.cells * n.weight.Type.Size()
	s.rowsAhead = max(1, readBytes/s.rowBytes)
	return nil
}

func (s *source) close() error { return s.data.Close() }

// row is the stored bytes of row k. Rows after it, below limit, are read with it.
func (s *source) row(k, limit int) ([]byte, error) {
	if k < s.first || k >= s.first+s.n {
		if err := s.fill(k, max(1, min(s.rowsAhead, limit-k))); err != nil {
			return nil, err
		}
	}
	at := (k - s.first) * s.rowBytes
	return s.buf[at : at+s.rowBytes], nil
}

func (s *source) fill(k, n int) error {
	if need := n * s.rowBytes; cap(s.buf) < need {
		s.buf = make([]byte, need)
	}
	s.buf = s.buf[:n*s.rowBytes]
	s.n = 0
	if err := tensor.ReadFull(s.data, s.buf, int64(k)*int64(s.rowBytes)); err != nil {
		return fmt.Errorf("%s: %w", s.conv.weight.Key, err)
	}
	s.first, s.n = k, n
	return nil
}

// floats decodes rows k to k+n-1.
func (s *source) floats(k, n int) ([]float64, error) {
	cells := s.conv.cells
	if cap(s.decoded) < n*cells {
		s.decoded = make([]float64, n*cells)
	}
	v := s.decoded[:n*cells]
	for i := range n {
		b, err := s.row(k+i, k+n)
		if err != nil {
			return nil, err
		}
		decode(v[i*cells:(i+1)*cells], b, s.conv.weight.Type, 1)
	}
	return v, nil
}

// columnNorms makes n.norms, reading the whole kernel once.
func (n *conv) columnNorms() ([]float64, error) {
	n.normsOnce.Do(func() {
		n.norms = make([]float64, n.groups*n.cells)
		n.normsErr = n.scan(func(k int, row []float64) error {
			perGroup := n.rows / n.groups
			sums := n.norms[k/perGroup*n.cells:][:n.cells]
			for i, v := range row {
				sums[i] += float64(v * v)
			}
			return nil
		})
		for i, v := range n.norms {
			n.norms[i] = math.Sqrt(v)
		}
	})
	return n.norms, n.normsErr
}

// scan visits all rows of the stored kernel.
func (n *conv) scan(visit func(k int, row []float64) error) error {
	var s source
	if err := s.open(n); err != nil {
		return err
	}
	defer s.close()
	for k := range n.rows {
		b, err := s.row(k, n.rows)
		if err != nil {
			return err
		}
		if s.decoded == nil {
			s.decoded = make([]float64, n.cells)
		}
		decode(s.decoded, b, n.weight.Type, 1)
		if err := visit(k, s.decoded); err != nil {
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
