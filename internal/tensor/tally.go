package tensor

import (
	"fmt"
	"os"
	"sync/atomic"
)

// Tally is what a Writer has been given of each of its tensors, so that no file is
// taken for whole that has a hole.
type Tally struct {
	specs   []Spec
	written []atomic.Int64 // bytes
	done    []atomic.Bool
}

// NewTally is that of a Writer of specs. Two tensors of one key are an error.
func NewTally(specs []Spec) (*Tally, error) {
	if err := Distinct(specs); err != nil {
		return nil, err
	}
	return &Tally{specs, make([]atomic.Int64, len(specs)), make([]atomic.Bool, len(specs))}, nil
}

// Distinct is an error where two tensors have one key.
func Distinct(specs []Spec) error {
	met := make(map[string]bool, len(specs))
	for _, s := range specs {
		if met[s.Key] {
			return fmt.Errorf("%s: two tensors have this key", s.Key)
		}
		met[s.Key] = true
	}
	return nil
}

// Take notes n bytes at byte off of tensor i. They are an error where they are not
// within it, or it is done.
func (t *Tally) Take(i, n int, off int64) error {
	s := t.specs[i]
	if size := s.Bytes(); off < 0 || off > size-int64(n) {
		return fmt.Errorf("%s: write of %d bytes at %d, want them within its %d", s.Key, n, off, size)
	}
	if t.done[i].Load() {
		return fmt.Errorf("%s: %w", s.Key, os.ErrClosed)
	}
	t.written[i].Add(int64(n))
	return nil
}

// Done notes that tensor i is whole: an error where not all of its bytes were given, each
// once, or it was done before.
func (t *Tally) Done(i int) error {
	s := t.specs[i]
	if n, size := t.written[i].Load(), s.Bytes(); n != size {
		return fmt.Errorf("%s: %d bytes were written, want %d", s.Key, n, size)
	}
	if t.done[i].Swap(true) {
		return fmt.Errorf("%s: %w", s.Key, os.ErrClosed)
	}
	return nil
}

// Whole is an error where a tensor is not done.
func (t *Tally) Whole() error {
	for i, s := range t.specs {
		if !t.done[i].Load() {
			return fmt.Errorf("%s: not written to its end", s.Key)
		}
	}
	return nil
}
