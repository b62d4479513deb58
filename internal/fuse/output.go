package fuse

import (
	"fmt"
	"math"
	"slices"

	"repfuse/internal/exact"
	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

// OverflowError says that a value of the fused convolution is too large for its
// element type.
type OverflowError struct {
	Channel int // output channel
	Value   float64
	Type    tensor.Type
	Bias    bool // of the bias, not of the kernel
}

func (e *OverflowError) Error() string {
	what := "kernel"
	if e.Bias {
		what = "bias"
	}
	return fmt.Sprintf("%s of channel %d: %g is beyond %s, want at most %g", what, e.Channel, e.Value, e.Type, tensor.Max(e.Type))
}

// output is some rows of the fused kernel on their way to be stored. There are two ways
// from a stored kernel. An element of a single term is copied: it is rounded at once, with
// the whole stored row it lies in. All else is summed in the block and rounded when all is
// there.
type output struct {
	*block
	*Workspace
	typ        tensor.Type
	bytes      []byte // rows × width × taps
	first      int    // the row of the kernel that it begins with
	transposed bool
	copied     []bool // rows that were
	seen       found  // among the sums
	lost       bool   // a number on the way here was, or may have been, too small or too large for float64

	small  int            // elements that are not zero and became subnormal or zero
	over   *OverflowError // of the first element that is infinite, nil where none is
	overAt int            // that element, where over is not nil
}

// row is the stored elements of row o.
func (s *output) row(o int) []byte {
	size := s.cells() * s.typ.Size()
	return s.bytes[o*size : (o+1)*size]
}

// l1Bytes is how much of a stored row is looked at twice before the rest of it is.
const l1Bytes = 8 << 10

// copy makes row o, which nothing was added to, a times the stored row b of n, which has all
// elements of it.
func (s *output) copy(o int, n *conv, b []byte, a float64) {
	s.fresh[o], s.copied[o] = false, true
	from, size, taps := n.weight.Type, n.weight.Type.Size(), s.taps()
	out, seen := s.row(o), found{}
	channels := max(1, l1Bytes/(taps*size))
	for c := 0; c < s.width; c += channels {
		end := min(c+channels, s.width)
		part := b[c*taps*size : end*taps*size]
		if s.sums < taps {
			seen = seen.or(recode(out[c*taps*s.typ.Size():end*taps*s.typ.Size()], s.typ, part, from, a))
		}
		for k, at := range s.sumLine {
			if at < 0 {
				continue
			}
			sum, mag, _ := s.line(o, k, c, end-c)
			micro.Pick(sum, mag, part[k*size:], from, taps, a)
			if s.byTap {
				positive(sum)
			}
		}
	}
	if seen != (found{}) {
		s.lookAt(o, b, from, a, seen)
	}
}

// positive gives zeros the sign of what was added to zero.
func positive(v []float64) {
	for i := range v {
		v[i] += 0
	}
}

// round stores all sums.
func (s *output) round() {
	s.beginAll()
	for o := range s.at {
		if !s.copied[o] && !s.interleaved {
			clear(s.row(o))
		}
		for l := range s.rowLines(o) {
			s.seen = s.seen.or(s.put(l))
		}
	}
}

// put stores a line, and tells what there is among its elements.
func (s *output) put(l line) found {
	size := s.typ.Size()
	to := s.bytes[l.first*size:]
	if l.step == 1 {
		return encode(to[:len(l.sum)*size], l.sum, s.typ)
	}
	s.stored = slices.Grow(s.stored[:0], len(l.sum)*size)[:len(l.sum)*size]
	seen := encode(s.stored, l.sum, s.typ)
	micro.Scatter(to, s.stored, size, l.step)
	return seen
}

// doubtful lists the elements that float64 does not decide, row by row: all where the
// result is float64 itself or numbers on the way left its range.
func (s *output) doubtful(test exact.Test) []int {
	var list, among []int
	if test.Type == tensor.F64 || s.lost {
		for at := range len(s.at) * s.cells() {
			list = append(list, at)
		}
		return list
	}
	for o := range s.at {
		for l := range s.rowLines(o) {
			if !l.several {
				continue
			}
			among = test.Doubtful(among[:0], l.sum, l.mag)
			for _, i := range among {
				list = append(list, l.first+i*l.step)
			}
		}
	}
	return list
}

// element is the sum that an element is, and its magnitude, a slice of one number each; nil
// where there is none.
func (s *output) element(at int) (sum, mag []float64) {
	k := at % s.taps()
	if s.sumLine[k] < 0 {
		return nil, nil
	}
	sum, mag, _ = s.line(at/s.cells(), k, at%s.cells()/s.taps(), 1)
	return sum, mag
}

// magnitude is Σ|terms| of an element, or a bound on it; of a single term, the element
// as it is stored.
func (s *output) magnitude(at int) float64 {
	if _, mag := s.element(at); mag != nil {
		return mag[0]
	}
	var v [1]float64
	tensor.Decode(v[:], s.bytes[at*s.typ.Size():][:s.typ.Size()], s.typ)
	return math.Abs(v[0])
}

// set stores one element anew.
func (s *output) set(at int, v exact.DD) {
	size := s.typ.Size()
	seen := encode(s.bytes[at*size:][:size], []float64{rounded(v, s.typ)}, s.typ)
	if sum, _ := s.element(at); sum != nil {
		sum[0] = v.Hi
		s.seen = s.seen.or(seen)
	} else if seen.infinite { // if it is small, that was counted when it was copied
		s.note(at, v.Hi)
	}
}

// rounded is v as a float64 that storing rounds as it would v.
func rounded(v exact.DD, t tensor.Type) float64 {
	if t == tensor.F64 {
		return v.Hi
	}
	return v.Odd()
}

// bounds sets bound to those of the errors of all elements, which are v.
func (s *output) bounds(bound, v []float64, e float64) {
	micro.Magnify(bound[:len(v)], v, e)
	for o := range s.at {
		for l := range s.rowLines(o) {
			at := l.first
			for _, m := range l.mag {
				bound[at] = e * m
				at += l.step
			}
		}
	}
}

// finish counts the sums that are small and notes those that are infinite, once they are
// final. An element that the type cannot hold is an error.
func (s *output) finish() error {
	if s.seen != (found{}) {
		for o := range s.at {
			for l := range s.rowLines(o) {
				s.look(l)
			}
		}
	}
	if s.over == nil {
		return nil
	}
	return s.over
}

func (s *output) look(l line) {
	if s.seen.small {
		s.small += countSmall(l.sum, s.typ)
	}
	if s.seen.infinite {
		for i, v := range l.sum {
			s.note(l.first+i*l.step, v)
		}
	}
}

// lookAt is look for the elements of row o that were copied: a times the stored row b.
// What was copied to the other taps is only the first term there.
func (s *output) lookAt(o int, b []byte, typ tensor.Type, a float64, seen found) {
	s.values = slices.Grow(s.values[:0], s.cells())[:s.cells()]
	micro.Scale(s.values, b, typ, a)
	for i, x := range s.values {
		if s.sumLine[i%s.taps()] >= 0 {
			s.values[i] = 1 // which is not small
		} else if seen.infinite {
			s.note(o*s.cells()+i, x)
		}
	}
	if seen.small {
		s.small += countSmall(s.values, s.typ)
	}
}

// note remembers the first element that is infinite, or no number, as it is stored; v
// is what it was before.
func (s *output) note(at int, v float64) {
	if s.over != nil && s.overAt <= at {
		return
	}
	size := s.typ.Size()
	if scan(s.bytes[at*size:][:size], s.typ).infinite {
		s.over, s.overAt = &OverflowError{Channel: s.channel(at), Value: v, Type: s.typ}, at
	}
}

// channel is the output channel of an element.
func (s *output) channel(at int) int {
	o := at / s.cells()
	if s.transposed {
		return s.at[o].base + at%s.cells()/s.taps()
	}
	return s.first + o
}
