package fuse

import "sync"

// spares is stores that were freed and will be used again: few, as few expressions are at work
// at a time. A sync.Pool would not find what another processor put there.
type spares struct {
	mu   sync.Mutex
	free []*store
}

var spareStores spares

func (s *spares) give(m *store) {
	s.mu.Lock()
	s.free = append(s.free, m)
	s.mu.Unlock()
}

// take is what was given last, or a new one.
func (s *spares) take() *store {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.free) - 1
	if n < 0 {
		return new(store)
	}
	m := s.free[n]
	s.free = s.free[:n]
	return m
}
