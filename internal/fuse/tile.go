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
	val   []float64 // row stride rs, tap stride ts, channel stride cs; see line
	sum   []float64 // channel-major tiles: the numbers that have a magnitude, as it lies
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

// coefs is the coefficients of row p at tap τ, and their magnitudes; nil where those
// are their own. The tile is tap-major.
func (t *tile) coefs(p place, τ int) (a, mag []float64) {
	a = t.val[p.src*t.rs+τ*t.ts+p.skip:][:p.width]
	if s := t.slot[τ]; s >= 0 {
		mag = t.mag[(p.src*t.slots+s)*t.width+p.skip:][:p.width]
	}
	return a, mag
}

// line is where numbers are added at tap k of row o, one in every stride, and their
// magnitudes, nil where there are none. In a channel-major tile the taps that much is
// added to lie apart, side by side, until settle puts them in their place: all that is
// done to them then runs at the speed of the cache. Where all taps are such, there is
// no val until then.
func (t *tile) line(o, k int) (val []float64, stride int, mag []float64) {
	if s := t.slot[k]; s >= 0 {
		at := (o*t.slots + s) * t.width
		mag = t.mag[at:][:t.width]
		if t.sum != nil {
			return t.sum[at:][:t.width], 1, mag
		}
	}
	return t.val[o*t.rs+k*t.ts:], t.cs, mag
}

// begin makes row o of the tile ready to be added to.
func (t *tile) begin(o int) {
	if !t.fresh[o] {
		return
	}
	t.fresh[o] = false
	if t.val != nil {
		clear(t.val[o*t.rs : (o+1)*t.rs])
	}
	from, to := o*t.slots*t.width, (o+1)*t.slots*t.width
	clear(t.mag[from:to])
	if t.sum != nil {
		clear(t.sum[from:to])
	}
}

// settle clears the rows that got nothing, and puts in their place the numbers that
// lay apart.
func (t *tile) settle() {
	for o := range t.fresh {
		t.begin(o)
		for k, s := range t.slot {
			if s < 0 || t.sum == nil {
				continue
			}
			scatter(t.val[o*t.rs+k*t.ts:], t.sum[(o*t.slots+s)*t.width:][:t.width], t.cs)
		}
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
		val, stride, mag := t.line(s.o, to)
		if mag == nil {
			addTo(val[from*stride:], stride, s.w[k:], taps, n, s.a)
			continue
		}
		if stride == 1 && taps == 1 {
			addBoth(val[from:][:n], mag[from:][:n], s.w, s.m, s.a, s.b)
			continue
		}
		addTo(val[from*stride:], stride, s.w[k:], taps, n, s.a)
		addMagnitudes(mag[from:][:n], s.m[k:], taps, s.b)
	}
}

// addBoth adds a·w to dst and b·|m| to mag, which are of one length.
func addBoth(dst, mag, w, m []float64, a, b float64) {
	mag, w, m = mag[:len(dst)], w[:len(dst)], m[:len(dst)]
	for i := range dst {
		dst[i] += float64(a * w[i])
		mag[i] += float64(b * math.Abs(m[i]))
	}
}

// addTo adds a·w to n elements of dst, one in every stride, from one in every taps of w.
func addTo(dst []float64, stride int, w []float64, taps, n int, a float64) {
	i, j := 0, 0
	for range n {
		dst[i] += float64(a * w[j])
		i += stride
		j += taps
	}
}

// addMagnitudes adds b·|m| to dst, from one in every taps of m.
func addMagnitudes(dst, m []float64, taps int, b float64) {
	at := 0
	for i := range dst {
		dst[i] += float64(b * math.Abs(m[at]))
		at += taps
	}
}

// gather sets dst to one in every stride of v, and mag to their magnitudes.
func gather(dst, mag, v []float64, stride int) {
	at := 0
	mag = mag[:len(dst)]
	for i := range dst {
		x := v[at]
		dst[i], mag[i] = x, math.Abs(x)
		at += stride
	}
}

// scatter puts src at one in every stride of dst.
func scatter(dst, src []float64, stride int) {
	at := 0
	for _, v := range src {
		dst[at] = v
		at += stride
	}
}

// arena hands out slices that are given back in the opposite order, by setting used
// to what it was.
type arena[T any] struct {
	buf  []T
	used int
}

// begin takes back all that was handed out, and makes room for n.
func (a *arena[T]) begin(n int) {
	if a.used = 0; len(a.buf) < n {
		a.buf = nil // before there is another
		a.buf = make([]T, n)
	}
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
