package conv

import "slices"

// Memory is what the maps of Runners lie in, kept for the Runners that follow: they want
// about as much, and the garbage of a few images is more than all else takes. Its zero
// value is ready for use. Runners that share it are made and closed by one goroutine.
type Memory struct{ spares[float64] }

// spares is memory that waits to be used again.
type spares[T element] struct{ free [][]T }

// take gives n elements with anything in them, until they are given back.
func (s *spares[T]) take(n int) []T {
	best, largest := -1, -1
	for k, v := range s.free {
		if cap(v) >= n && (best < 0 || cap(v) < cap(s.free[best])) {
			best = k
		}
		if largest < 0 || cap(v) > cap(s.free[largest]) {
			largest = k
		}
	}
	if best >= 0 {
		return s.remove(best)[:n]
	}
	if largest >= 0 {
		s.remove(largest) // what is made now will serve in its place
	}
	return make([]T, n)
}

func (s *spares[T]) remove(k int) []T {
	v := s.free[k]
	s.free = slices.Delete(s.free, k, k+1)
	return v
}

func (s *spares[T]) give(v []T) { s.free = append(s.free, v) }
