package fuse

import (
	"math"
	"slices"

	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

// sheet is some rows of the fused kernel as they will be stored. An element of a single
// term is rounded as soon as it is made, where a whole stored row makes it straight from
// that row's bytes; a zero keeps the sign of its term. Elements of several terms are
// summed beside their magnitudes and rounded when all is there: see strands.
type sheet struct {
	*layout
	w     *Worker // whose scratch memory it uses
	first int     // the row of the kernel that it begins with
	at    []place
	typ   tensor.Type
	out   []byte    // rows × width × taps
	sum   []float64 // rows × width × slots; see strands
	mag   []float64 // the same
	fresh []bool    // rows that nothing was added to yet
	list  []strand  // for strands

	seen   found // among the sums
	small  int   // elements that are not zero and became subnormal or zero
	over   *OverflowError
	overAt int // the first element that is infinite, if over says that one is
}

// newSheet is the sheet of rows a to a+n-1, stored in out. It takes the place of the one
// before.
func (w *Worker) newSheet(out []byte, typ tensor.Type, a, n int) *sheet {
	s := &w.sheet
	*s = sheet{layout: w.f.root, w: w, first: a, at: w.places.alloc(n), typ: typ, out: out, fresh: allFresh(s.fresh, n), list: s.list}
	w.f.place(s.at, a)
	s.sum = w.floats.alloc(n * s.slots * s.width)
	s.mag = w.floats.alloc(n * s.slots * s.width)
	return s
}

// allFresh is n rows that nothing was added to, in the memory of list if that is enough.
func allFresh(list []bool, n int) []bool {
	list = slices.Grow(list[:0], n)[:n]
	for o := range list {
		list[o] = true
	}
	return list
}

// cells is how many elements a row has.
func (s *sheet) cells() int { return s.taps() * s.width }

// row is the stored elements of row o.
func (s *sheet) row(o int) []byte {
	size := s.cells() * s.typ.Size()
	return s.out[o*size : (o+1)*size]
}

// l1Bytes is how much of a stored row is looked at twice before the rest of it is.
const l1Bytes = 8 << 10

// strand is sums that lie side by side, with their magnitudes: the elements first,
// first+step, … of the sheet. Unless all lie as they are stored, the sums of a tap are
// apart from those of the others, so that what is done to them runs at the speed of the
// cache.
type strand struct {
	sum, mag    []float64
	first, step int
}

// strands is the sums of row o: one strand for each tap that has them, or a single one
// of all. It is good until the next call.
func (s *sheet) strands(o int) []strand {
	s.list = s.list[:0]
	sum, mag := s.sums(o)
	if s.asStored {
		s.list = append(s.list, strand{sum, mag, o * s.cells(), 1})
		return s.list
	}
	for slot, k := range s.summed {
		from := slot * s.width
		s.list = append(s.list, strand{sum[from:][:s.width], mag[from:][:s.width], o*s.cells() + k, s.taps()})
	}
	return s.list
}

// sums is all sums of row o and their magnitudes.
func (s *sheet) sums(o int) (sum, mag []float64) {
	n := s.slots * s.width
	return s.sum[o*n:][:n], s.mag[o*n:][:n]
}

// line is where the sums at tap k of row o begin, and how far they lie apart. There
// are none where the slot of the tap is -1.
func (s *sheet) line(o, k int) (sum, mag []float64, step int) {
	sum, mag = s.sums(o)
	if s.asStored {
		return sum[k:], mag[k:], s.taps()
	}
	from := s.slot[k] * s.width
	return sum[from:][:s.width], mag[from:][:s.width], 1
}

// begin makes row o ready to be added to.
func (s *sheet) begin(o int) {
	if !s.fresh[o] {
		return
	}
	s.fresh[o] = false
	if !s.asStored {
		clear(s.row(o))
	}
	sum, mag := s.sums(o)
	clear(sum)
	clear(mag)
}

func (s *sheet) together() bool { return s.asStored }

func (s *sheet) grid(o, n, base int) ([]float64, int) {
	if s.asStored || s.slots < s.taps() {
		return nil, 0
	}
	for k := range n {
		if s.at[o+k].base != s.at[o].base {
			return nil, 0
		}
	}
	for k := range n {
		s.begin(o + k)
	}
	return s.sum[o*s.slots*s.width+base-s.at[o].base:], s.width
}

func (s *sheet) magnitudes(o, tap, base, width int) []float64 {
	_, mag, _ := s.line(o, tap)
	return mag[base-s.at[o].base:][:width]
}

func (s *sheet) spread(t strip) {
	s.begin(t.o)
	from := t.base - s.at[t.o].base
	if s.asStored && len(t.table) == s.taps() { // then it is 0, 1, 2, …
		sum, mag := s.sums(t.o)
		from, n := from*s.taps(), len(t.w)
		micro.AddScaled(sum[from:][:n], mag[from:][:n], t.w, t.m, t.a, t.b)
		return
	}
	n := len(t.w) / len(t.table)
	for k, to := range t.table {
		if s.slot[to] < 0 {
			s.single(t, from, k)
			continue
		}
		sum, mag, step := s.line(t.o, to)
		if step == 1 {
			sum, mag = sum[from:][:n], mag[from:][:n]
		} else {
			sum, mag = sum[from*step:], mag[from*step:]
		}
		t.add(sum, mag, step, k)
	}
}

// single stores tap k of a strip where no other term is added.
func (s *sheet) single(t strip, from, k int) {
	taps, v := len(t.table), t.w
	if taps > 1 || t.a != 1 {
		s.w.values = slices.Grow(s.w.values[:0], len(t.w)/taps)
		v = s.w.values[:len(t.w)/taps]
		for i := range v {
			v[i] = t.a * t.w[i*taps+k]
		}
	}
	to := strand{sum: v, first: t.o*s.cells() + from*s.taps() + t.table[k], step: s.taps()}
	s.look(to, s.put(to))
}

func (s *sheet) whole(o, base int, n *conv, b []byte, a float64) bool {
	if !s.fresh[o] || s.asStored || s.taps() != n.taps() || base != s.at[o].base || n.width != s.width {
		return false
	}
	s.fresh[o] = false
	typ := n.weight.Type
	out, list, seen := s.row(o), s.strands(o), found{}
	channels := max(1, l1Bytes/(s.taps()*typ.Size()))
	for c := 0; c < s.width; c += channels {
		from, to := c*s.taps(), min(c+channels, s.width)*s.taps()
		part := b[from*typ.Size() : to*typ.Size()]
		if len(list) < s.taps() {
			seen = seen.or(recode(out[from*s.typ.Size():to*s.typ.Size()], s.typ, part, typ, a))
		}
		for _, t := range list {
			end := min(c+channels, s.width)
			micro.Pick(t.sum[c:end], t.mag[c:end], part[(t.first-o*s.cells())*typ.Size():], typ, s.taps(), a)
			if s.byTap {
				positive(t.sum[c:end])
			}
		}
	}
	if seen != (found{}) {
		s.lookAt(o, b, typ, a, seen)
	}
	return true
}

// positive gives zeros the sign of what was added to zero.
func positive(v []float64) {
	for ; len(v) >= 4; v = v[4:] {
		v[0] += 0
		v[1] += 0
		v[2] += 0
		v[3] += 0
	}
	for i := range v {
		v[i] += 0
	}
}

// round stores all sums, and clears the rows that got none.
func (s *sheet) round() {
	for o := range s.fresh {
		s.begin(o)
		for _, t := range s.strands(o) {
			seen := s.put(t)
			s.seen = s.seen.or(seen)
		}
	}
}

// put stores a strand, and tells what there is among its elements.
func (s *sheet) put(t strand) found {
	size := s.typ.Size()
	to := s.out[t.first*size:]
	if t.step == 1 {
		return encode(to[:len(t.sum)*size], t.sum, s.typ)
	}
	s.w.stored = slices.Grow(s.w.stored[:0], len(t.sum)*size)
	b := s.w.stored[:len(t.sum)*size]
	seen := encode(b, t.sum, s.typ)
	micro.Scatter(to, b, size, t.step)
	return seen
}

// set stores one element anew.
func (s *sheet) set(at int, v dd) {
	size := s.typ.Size()
	seen := encode(s.out[at*size:][:size], []float64{rounded(v, s.typ)}, s.typ)
	if sum, _ := s.element(at); sum != nil {
		*sum = v.hi
		s.seen = s.seen.or(seen)
	} else if seen.infinite { // if it is small, that was counted when it was made
		s.note(at, v.hi)
	}
}

// element is the sum that an element is, and its magnitude; nil where it is none.
func (s *sheet) element(at int) (sum, mag *float64) {
	if s.asStored {
		return &s.sum[at], &s.mag[at]
	}
	k := at % s.taps()
	if s.slot[k] < 0 {
		return nil, nil
	}
	sums, mags, _ := s.line(at/s.cells(), k)
	i := at % s.cells() / s.taps()
	return &sums[i], &mags[i]
}

// magnitude is Σ|terms| of an element, or a bound on it; of a single term, the element
// as it is stored.
func (s *sheet) magnitude(at int) float64 {
	if _, mag := s.element(at); mag != nil {
		return *mag
	}
	var v [1]float64
	size := s.typ.Size()
	tensor.Decode(v[:], s.out[at*size:][:size], s.typ)
	return math.Abs(v[0])
}
