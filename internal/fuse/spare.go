package fuse

import "sync"

// spares is what was freed and will be used again: little, as few expressions are at work at
// a time. A sync.Pool would not find what another processor put there.
type spares[T any] struct {
	mu   sync.Mutex
	free []T
}

func (s *spares[T]) give(v T) {
	s.mu.Lock()
	s.free = append(s.free, v)
	s.mu.Unlock()
}

// last is what was given last; ok reports whether there is anything.
func (s *spares[T]) last() (v T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.free) - 1
	if n < 0 {
		return v, false
	}
	v = s.free[n]
	s.free = s.free[:n]
	return v, true
}

var (
	spareStores  storeSpares
	spareKernels kernelSpares
)

type storeSpares struct{ spares[*store] }

func (s *storeSpares) take() *store {
	if m, ok := s.last(); ok {
		return m
	}
	return new(store)
}

type kernelSpares struct{ spares[[]byte] }

// take is n bytes, of as many as a kernel may have that is held: kernels grow with the
// layers, and what is not used takes no memory.
func (s *kernelSpares) take(n int) []byte {
	if b, ok := s.last(); ok {
		return b[:n]
	}
	return make([]byte, n, heldBytes)
}
