package report

import "math"

// scale is the decades between which a chart lies, one at least.
type scale struct{ low, high int }

// mostLines is how many lines a chart has, about.
const mostLines = 8

// span is the decades that hold every positive figure of the rows.
func span(run []row) scale {
	small, large := math.Inf(1), 0.0
	for _, r := range run {
		for _, s := range charted {
			if v := s.of(r); v > 0 && v < math.MaxFloat64 {
				small, large = min(small, v), max(large, v)
			}
		}
	}
	if large == 0 {
		return scale{-1, 0}
	}
	low, high := int(math.Floor(math.Log10(small))), int(math.Ceil(math.Log10(large)))
	return scale{low, max(high, low+1)}
}

// decades is the powers of ten that have a line.
func (s scale) decades() []int {
	var all []int
	for e := s.low; e <= s.high; e += (s.high - s.low + mostLines - 1) / mostLines {
		all = append(all, e)
	}
	return all
}

// line is where in the box a power of ten is.
func (s scale) line(e int) float64 { return s.height(float64(e)) }

// y is where a value is; what has no logarithm is at the bottom.
func (s scale) y(v float64) float64 {
	if v <= 0 {
		return side
	}
	return s.height(math.Log10(min(v, math.MaxFloat64)))
}

func (s scale) height(log float64) float64 {
	return side * (float64(s.high) - log) / float64(s.high-s.low)
}
