package conv

import "repfuse/internal/tensor"

// frame is the box that all maps of a Runner lie in, laid out flat: the image and
// as much around it as the expression looks at. In it a tap is one shift of the
// whole plane. Where a row ends, a shifted row runs on into the next; what is
// computed there is rubbish that nothing wanted looks at, and is never handed out.
type frame struct {
	lo, size []int
	// step is the distance between neighbours on each axis, plane that between
	// channels, both in elements. A plane ends in at least a line of slack, into
	// which whole vectors may run; and it is an odd number of lines, so that the
	// same place of many channels does not fall into the same set of a cache.
	step  []int
	plane int
}

// newFrame lays out a box for elements of which a line holds lanes.
func newFrame(lo, size []int, lanes int) frame {
	f := frame{lo: lo, size: size, step: make([]int, len(size))}
	n := 1
	for a := len(size) - 1; a >= 0; a-- {
		f.step[a] = n
		n *= size[a]
	}
	lines := (n+lanes-1)/lanes + 1
	f.plane = (lines | 1) * lanes
	return f
}

// shift is how far apart, in the plane, two places are that differ by at.
func (f frame) shift(at []int) int {
	n := 0
	for a, d := range at {
		n += d * f.step[a]
	}
	return n
}

// index is the place of p in a plane.
func (f frame) index(p []int) int { return f.shift(p) - f.shift(f.lo) }

// lines is where the rows of a box begin in a plane, and how long they are.
type lines struct {
	begin  []int
	length int
}

func (f frame) lines(b box) lines {
	first, l, outer := f.index(b.lo), lines{length: 1}, b.size
	if last := len(b.size) - 1; last >= 0 {
		outer, l.length = b.size[:last], b.size[last]
	}
	places(outer, func(p []int) { l.begin = append(l.begin, first+f.shift(p)) })
	return l
}

// solid reports whether the rows lie one behind the other.
func (l lines) solid() bool {
	last := len(l.begin) - 1
	return last >= 0 && l.begin[last] == l.begin[0]+last*l.length
}

// span is a box as a stretch of the plane: where it begins, and how many elements
// there are from its first to its last.
func (f frame) span(b box) (first, n int) {
	n = 1
	for a, size := range b.size {
		if size == 0 {
			return 0, 0
		}
		n += (size - 1) * f.step[a]
	}
	return f.index(b.lo), n
}

// box is a part of the plane.
type box struct{ lo, size []int }

func (b box) elems() int { return tensor.Elems(b.size) }

// upTo rounds n up to a multiple of k.
func upTo(n, k int) int { return (n + k - 1) / k * k }
