package fuse

import (
	"math"
	"math/bits"
	"slices"

	"repfuse/internal/micro"
)

// place is where a row of a tile lies and what it touches.
type place struct {
	row   int // the row of the destination that it adds to
	src   int // the row of its own tile's storage
	base  int // the first channel it touches
	width int // how many channels it touches
	skip  int // where in the storage's row base stands
}

func (p place) span() span { return span{p.base, p.base + p.width} }

// tile is some rows of coefficients on their way, tap-major: for every row, tap and
// channel a number, and for the taps whose elements have several terms the sum of their
// magnitudes.
type tile struct {
	*layout
	at    []place
	val   []float64 // rows × taps × width
	mag   []float64 // rows × slots × width
	fresh []bool    // rows that nothing was added to yet and whose numbers are old
	owned bool      // nobody else reads val
	w     *Worker   // whose scratch memory it uses
}

// target is what pulled rows are added to: a tile, when another operator comes before,
// or the sheet that is stored.
type target interface {
	spread(s strip)
	// whole makes row o, which nothing was added to, a multiple of a stored row that
	// begins at channel base and has all elements of it; where it cannot, it reports so and
	// does nothing.
	whole(o, base int, n *conv, b []byte, a float64) bool
	// grid is where the products of n rows from o on may be added to, tap after tap of each
	// row, from channel base on, and how far the taps are apart; nil if they lie otherwise.
	grid(o, n, base int) (c []float64, stride int)
	// magnitudes is those of a tap of row o, which is in a grid.
	magnitudes(o, tap, base, width int) []float64
	// together reports whether the taps of a channel lie together, so that a strip of all of
	// them is added at once.
	together() bool
}

// strip is one stored row of a kernel on its way into a target: a·w is added, of
// magnitude b·|m|, at row o from channel base on. w and m hold all taps of a channel
// together, as they are stored; table says which taps of the target they go to.
type strip struct {
	o, base int
	table   []int
	a, b    float64
	w, m    []float64
}

// coef is the coefficient of row p at tap τ and channel c, and its magnitude.
func (t *tile) coef(p place, τ, c int) (a, mag float64) {
	v, m := t.coefs(p, τ)
	a = v[c-p.base]
	if m != nil {
		return a, m[c-p.base]
	}
	return a, math.Abs(a)
}

// coefs is the coefficients of row p at tap τ, and their magnitudes; nil where those
// are their own.
func (t *tile) coefs(p place, τ int) (a, mag []float64) {
	return t.line(p.src, τ, p.skip, p.width)
}

// line is the n numbers from channel at on at tap k of row o, and their magnitudes, nil
// where those are their own.
func (t *tile) line(o, k, at, n int) (val, mag []float64) {
	val = t.val[(o*t.taps()+k)*t.width+at:][:n]
	if s := t.slot[k]; s >= 0 {
		mag = t.mag[(o*t.slots+s)*t.width+at:][:n]
	}
	return val, mag
}

// begin makes row o of the tile ready to be added to.
func (t *tile) begin(o int) {
	if t.fresh[o] {
		t.fresh[o] = false
		clear(t.val[o*t.taps()*t.width:][:t.taps()*t.width])
		clear(t.mag[o*t.slots*t.width:][:t.slots*t.width])
	}
}

// settle clears the rows that got nothing.
func (t *tile) settle() {
	for o := range t.fresh {
		t.begin(o)
	}
}

func (t *tile) spread(s strip) {
	t.begin(s.o)
	taps := len(s.table)
	for k, to := range s.table {
		val, mag := t.line(s.o, to, s.base-t.at[s.o].base, len(s.w)/taps)
		s.add(val, mag, 1, k)
	}
}

func (t *tile) together() bool { return false }

func (t *tile) grid(o, n, base int) ([]float64, int) {
	from := base - t.at[o].base
	for k := range n {
		if t.at[o+k].base != t.at[o].base || t.slots < t.taps() {
			return nil, 0
		}
	}
	for k := range n {
		t.begin(o + k)
	}
	return t.val[o*t.taps()*t.width+from:], t.width
}

func (t *tile) magnitudes(o, tap, base, width int) []float64 {
	_, mag := t.line(o, tap, base-t.at[o].base, width)
	return mag
}

func (t *tile) whole(o, base int, n *conv, b []byte, a float64) bool {
	if !t.fresh[o] || t.taps() != n.taps() || t.slots > 0 || base != t.at[o].base || n.width != t.width {
		return false
	}
	t.fresh[o] = false
	if t.taps() == 1 { // as it is stored
		micro.Scale(t.val[o*t.width:][:t.width], b, n.weight.Type, a)
		return true
	}
	t.w.values = slices.Grow(t.w.values[:0], t.width)
	mag := t.w.values[:t.width] // which nobody asked for
	for k := range t.taps() {
		val, _ := t.line(o, k, 0, t.width)
		micro.Pick(val, mag, b[k*n.weight.Type.Size():], n.weight.Type, t.taps(), a)
		positive(val)
	}
	return true
}

// add adds tap k of the strip to every step-th number of val, and its magnitudes to
// those of mag, which may be nil.
func (s strip) add(val, mag []float64, step, k int) {
	taps := len(s.table)
	if mag != nil && step == 1 && taps == 1 {
		micro.AddScaled(val, mag, s.w, s.m, s.a, s.b)
		return
	}
	at, i := k, 0
	for range len(s.w) / taps {
		val[i] += float64(s.a * s.w[at])
		at += taps
		i += step
	}
	if mag == nil {
		return
	}
	at, i = k, 0
	for range len(s.w) / taps {
		mag[i] += float64(s.b * math.Abs(s.m[at]))
		at += taps
		i += step
	}
}

// roomFor is how much room is made for n: up to a quarter more, so that a little more has
// room the next time, unless that were a lot.
func roomFor(n int) int {
	if n > productBytes/8 {
		return n
	}
	step := max(1, 1<<bits.Len(uint(n))>>3)
	return (n + step - 1) / step * step
}

// arena hands out slices that are given back in the opposite order, by setting used
// to what it was.
type arena[T any] struct {
	buf  []T
	used int
	most int // ever used
}

// begin takes back all that was handed out, and makes room for n, or for as much as was
// needed before. Where there is none, it makes room for least at once: what is not used of
// it takes no memory, and what is outgrown does until it is collected.
func (a *arena[T]) begin(n, least int) {
	n = max(n, a.most)
	if a.used = 0; len(a.buf) < n {
		a.buf = nil // before there is another
		a.buf = make([]T, max(roomFor(n), least))
	}
}

// alloc is n numbers of any value. What is more than begin was told of has memory of its
// own.
func (a *arena[T]) alloc(n int) []T {
	from := a.used
	a.used += n
	a.most = max(a.most, a.used)
	if a.used > len(a.buf) {
		return make([]T, n)
	}
	return a.buf[from:a.used:a.used]
}
