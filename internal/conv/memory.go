package conv

import (
	"slices"

	"repfuse/internal/parallel"
)

// Memory is what Runners keep their maps in, and what they are made with. It stays for the Runners that
// follow, which want about as much: the garbage of a few images is more than all else takes. Its
// zero value is ready for use. Runners that share it are made and closed by one goroutine.
type Memory struct {
	maps buffers[float64]
	crew parallel.Crew[Workspace]
}

// Workspace is what one goroutine computes in, of any Runners by turns. Its zero value is ready for use.
type Workspace struct {
	in32 worker[float32]
	in64 worker[float64]
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
