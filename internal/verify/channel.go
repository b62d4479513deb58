package verify

import (
	"math"

	"repfuse/internal/tensor"
)

// channel is how one output channel of the two forms compares.
type channel struct {
	largest, nearest spot
	most, sum        float64 // the largest |want|, and the sum of all differences
	n                int
}

// spot is one output: the difference there, how much of its tolerance that takes,
// and both values.
type spot struct {
	diff, excess, want, got float64
	at, trial               int
}

// compare takes in the outputs of one image's strip, the first of which is at from.
func (s *channel) compare(l limit, trial, from int, want, got []float64) {
	for k, w := range want {
		d := finite(math.Abs(got[k] - w))
		s.sum += d
		s.most = max(s.most, math.Abs(w))
		e := excess(d, l.at(w))
		if first := s.n+k == 0; first || d > s.largest.diff {
			s.largest = spot{d, e, w, got[k], from + k, trial}
		}
		if first := s.n+k == 0; first || e > s.nearest.excess {
			s.nearest = spot{d, e, w, got[k], from + k, trial}
		}
	}
	s.n += len(want)
}

// finite is v, or the largest number for what is none, so that it can be compared
// and be written as JSON.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return math.MaxFloat64
	}
	return v
}

// excess is d as a multiple of the tolerance, or of what else it is held to.
func excess(d, tolerance float64) float64 {
	if d <= tolerance && tolerance == 0 {
		return 0
	}
	return finite(d / tolerance)
}

// summary is all channels taken together.
type summary struct {
	largest, nearest      Place
	worst, relative, mean float64
	elements              int
}

func summarise(all []channel, size []int) summary {
	var s summary
	largest, nearest, most := 0, 0, 0.0
	for o, c := range all {
		if c.largest.diff > all[largest].largest.diff {
			largest = o
		}
		if c.nearest.excess > all[nearest].nearest.excess {
			nearest = o
		}
		most = max(most, c.most)
		s.mean += c.sum
		s.elements += c.n
	}
	s.mean = finite(s.mean / float64(max(s.elements, 1)))
	s.largest = all[largest].largest.place(largest, size)
	s.nearest = all[nearest].nearest.place(nearest, size)
	s.worst = all[nearest].nearest.excess
	s.relative = excess(s.largest.Difference, most)
	return s
}

func (s spot) place(o int, size []int) Place {
	return Place{Difference: s.diff, Trial: s.trial, Channel: o, Position: tensor.Place(s.at, size), Branches: finite(s.want), Fused: finite(s.got)}
}
