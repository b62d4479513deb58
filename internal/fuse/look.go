package fuse

import (
	"slices"

	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

// look counts the small elements of a strand, and notes those that are infinite, if
// there are any.
func (s *sheet) look(t strand, seen found) {
	if seen.small {
		s.small += countSmall(t.sum, s.typ)
	}
	if seen.infinite {
		for i, v := range t.sum {
			s.note(t.first+i*t.step, v)
		}
	}
}

// lookAll is look for all sums, once they are settled.
func (s *sheet) lookAll() {
	if s.seen == (found{}) {
		return
	}
	for o := range s.at {
		for _, t := range s.strands(o) {
			s.look(t, s.seen)
		}
	}
}

// lookAt is look for the elements of a single term of row o, which is a times the
// stored one b. What stands at the other taps is only the first term there.
func (s *sheet) lookAt(o int, b []byte, typ tensor.Type, a float64, seen found) {
	s.w.values = slices.Grow(s.w.values[:0], s.cells())
	v := s.w.values[:s.cells()]
	micro.Scale(v, b, typ, a)
	for i, x := range v {
		if s.slot[i%s.taps()] >= 0 {
			v[i] = 1 // which is not small
		} else if seen.infinite {
			s.note(o*s.cells()+i, x)
		}
	}
	if seen.small {
		s.small += countSmall(v, s.typ)
	}
}

// note remembers the first element that is infinite, or no number, as it is stored; v
// is what it was before.
func (s *sheet) note(at int, v float64) {
	if s.over != nil && s.overAt <= at {
		return
	}
	size := s.typ.Size()
	if scan(s.out[at*size:][:size], s.typ).infinite {
		s.over, s.overAt = &OverflowError{Channel: s.channel(at), Value: v, Type: s.typ}, at
	}
}

// channel is the output channel of an element.
func (s *sheet) channel(at int) int {
	o := at / s.cells()
	if s.w.f.Form.Transposed {
		return s.at[o].base + at%s.cells()/s.taps()
	}
	return s.first + o
}

// overflow is the error of an element that its type cannot hold, nil if there is none.
func (s *sheet) overflow() error {
	if s.over == nil {
		return nil
	}
	return s.over
}
