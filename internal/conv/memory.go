package conv

import (
	"slices"
	"sync"
)

// Memory is what Runners and their Workers work in, kept for the Runners that follow: they
// want about as much, and the garbage of a few images is more than all else takes. Its
// zero value is ready for use. Runners that share it are made and closed by one goroutine.
type Memory struct {
	maps buffers[float64]
	idle struct {
		in32 workers[float32]
		in64 workers[float64]
	}
}

// workers is the workers that are idle.
type workers[T element] struct {
	mu   sync.Mutex
	idle []*worker[T]
}

func (c *workers[T]) take(by *arithmetic[T]) *worker[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.idle) - 1
	if last < 0 {
		return &worker[T]{arithmetic: by}
	}
	w := c.idle[last]
	c.idle = c.idle[:last]
	return w
}

func (c *workers[T]) give(w *worker[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = append(c.idle, w)
}

// buffers is memory that waits to be used again.
type buffers[T element] struct{ free [][]T }

// take gives n elements with anything in them, until they are given back. Where no buffer
// is large enough all of them go: a growing image would leave them behind.
func (s *buffers[T]) take(n int) []T {
	best := -1
	for k, v := range s.free {
		if cap(v) >= n && (best < 0 || cap(v) < cap(s.free[best])) {
			best = k
		}
	}
	if best < 0 {
		s.free = nil
		return make([]T, n)
	}
	v := s.free[best]
	s.free = slices.Delete(s.free, best, best+1)
	return v[:n]
}

func (s *buffers[T]) give(v []T) { s.free = append(s.free, v) }
