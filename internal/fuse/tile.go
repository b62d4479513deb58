package fuse

import "math"

// place is where a row of a tile lies and what it touches.
type place struct {
	row   int // the row of the destination that it adds to
	src   int // the row of its own tile's storage
	base  int // the first channel it touches
	width int // how many channels it touches
	skip  int // where in the storage's row base stands
}

func (p place) span() span { return span{p.base, p.base + p.width} }

// tile is some rows of coefficients: for every row, tap and channel a number, and
// for the taps whose elements have several terms the sum of their magnitudes.
type tile struct {
	*layout
	at    []place
	val   []float64 // row stride rs, tap stride ts, channel stride cs
	mag   []float64 // rows × slots × width
	fresh []bool    // rows that nothing was added to yet and whose numbers are old
	owned bool      // nobody else reads val

	rs, ts, cs int
}

// tapMajor and channelMajor are the two orders of a tile: what a product reads, and
// what is stored.
func (t *tile) tapMajor()     { t.rs, t.ts, t.cs = t.taps()*t.width, t.width, 1 }
func (t *tile) channelMajor() { t.rs, t.ts, t.cs = t.taps()*t.width, 1, t.taps() }

// coef is the coefficient of row p at tap τ and channel c, and its magnitude. The
// tile is tap-major.
func (t *tile) coef(p place, τ, c int) (a, mag float64) {
	at := p.skip + c - p.base
	a = t.val[p.src*t.rs+τ*t.ts+at]
	if s := t.slot[τ]; s >= 0 {
		return a, t.mag[(p.src*t.slots+s)*t.width+at]
	}
	return a, math.Abs(a)
}

// begin makes row o of the tile ready to be added to.
func (t *tile) begin(o int) {
	if t.fresh[o] {
		clear(t.val[o*t.rs : (o+1)*t.rs])
		clear(t.mag[o*t.slots*t.width : (o+1)*t.slots*t.width])
		t.fresh[o] = false
	}
}

// settle clears the rows that got nothing.
func (t *tile) settle() {
	for o := range t.fresh {
		t.begin(o)
	}
}

// add adds v, of magnitude mag, to row o at tap k and channel c.
func (t *tile) add(o, k, c int, v, mag float64) {
	at := c - t.at[o].base
	t.val[o*t.rs+k*t.ts+at*t.cs] += v
	if s := t.slot[k]; s >= 0 {
		t.mag[(o*t.slots+s)*t.width+at] += mag
	}
}

// strip is one stored row of a kernel on its way into a tile: a·w is added, of
// magnitude b·|m|, at row o from channel base on. w and m hold all taps of a channel
// together, as they are stored; table says where in the tile they go.
type strip struct {
	o, base int
	table   []int
	a, b    float64
	w, m    []float64
}

// spread adds a strip.
func (t *tile) spread(s strip) {
	t.begin(s.o)
	from, taps := s.base-t.at[s.o].base, len(s.table)
	n := len(s.w) / taps
	for k, to := range s.table {
		addTo(t.val[s.o*t.rs+to*t.ts+from*t.cs:], t.cs, s.w[k:], taps, n, s.a)
		if slot := t.slot[to]; slot >= 0 {
			addMagnitudes(t.mag[(s.o*t.slots+slot)*t.width+from:], s.m[k:], taps, n, s.b)
		}
	}
}

// addTo adds a·w to n elements of dst, one in every cs, from one in every taps of w.
func addTo(dst []float64, cs int, w []float64, taps, n int, a float64) {
	i, j := 0, 0
	for range n {
		dst[i] += float64(a * w[j])
		i += cs
		j += taps
	}
}

// addMagnitudes adds b·|m| to n elements of dst, from one in every taps of m.
func addMagnitudes(dst, m []float64, taps, n int, b float64) {
	at := 0
	for i := range dst[:n] {
		dst[i] += float64(b * math.Abs(m[at]))
		at += taps
	}
}

// magnitudes sets dst to |v|, taking one in every cs.
func magnitudes(dst, v []float64, cs int) {
	at := 0
	for i := range dst {
		dst[i] = math.Abs(v[at])
		at += cs
	}
}

// arena hands out slices that are given back in the opposite order, by setting used
// to what it was.
type arena[T any] struct {
	buf  []T
	used int
}

func (a *arena[T]) alloc(n int) []T {
	if a.used+n > len(a.buf) {
		// what was handed out stays valid: it has the old array
		a.buf = make([]T, max(a.used+n, len(a.buf)+len(a.buf)/2))
	}
	s := a.buf[a.used : a.used+n : a.used+n]
	a.used += n
	return s
}
