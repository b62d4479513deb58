package fuse

import (
	"iter"
	"math"
	"slices"

	"repfuse/internal/micro"
)

// place is where a row of a block lies and what it touches.
type place struct {
	row   int // the row of the destination that it adds to
	src   int // the row of its own block's storage
	base  int // the first channel it touches
	width int // how many channels it touches
	skip  int // where in the storage's row base stands
}

func (p place) channels() channels { return channels{p.base, p.base + p.width} }

// block is some rows of coefficients being computed: sums that terms are added to and,
// where they have several, Σ|terms|.
type block struct {
	*layout
	at    []place
	sum   []float64 // rows × sums × width
	mag   []float64 // rows × mags × width
	fresh []bool    // rows that nothing was added to yet and whose numbers are old
	owned bool      // nobody else reads sum
}

// newBlock is n rows of any numbers laid out as l.
func newBlock(l *layout, floats *arena[float64], n int) *block {
	b := &block{layout: l, at: make([]place, n), fresh: make([]bool, n), owned: true}
	for o := range b.fresh {
		b.fresh[o] = true
	}
	b.sum, b.mag = floats.alloc(n*l.sums*l.width), floats.alloc(n*l.mags*l.width)
	return b
}

// line is n sums at tap k of stored row o from channel i on, and their magnitudes, nil
// where those are their own. Sums lie step apart.
func (b *block) line(o, k, i, n int) (sum, mag []float64, step int) {
	if b.interleaved {
		from := (o*b.width+i)*b.count + k
		end := from + (n-1)*b.count + 1
		return b.sum[from:end], b.mag[from:end], b.count
	}
	sum = b.sum[(o*b.sums+b.sumLine[k])*b.width+i:][:n]
	if at := b.magLine[k]; at >= 0 {
		mag = b.mag[(o*b.mags+at)*b.width+i:][:n]
	}
	return sum, mag, 1
}

// coefs is the coefficients of row p at tap τ, and their magnitudes; nil where those are
// their own.
func (b *block) coefs(p place, τ int) (a, mag []float64) {
	a, mag, _ = b.line(p.src, τ, p.skip, p.width)
	return a, mag
}

// begin makes row o ready to be added to.
func (b *block) begin(o int) {
	if !b.fresh[o] {
		return
	}
	b.fresh[o] = false
	clear(b.sum[o*b.sums*b.width:][:b.sums*b.width])
	clear(b.mag[o*b.mags*b.width:][:b.mags*b.width])
}

// beginAll clears the rows that got nothing.
func (b *block) beginAll() {
	for o := range b.fresh {
		b.begin(o)
	}
}

// term is one row on its way into a block: a·w is added, of magnitude c·|m|, to row o
// from channel base on. w and m hold all taps of a channel together, as they are stored;
// table says which taps of the block they go to.
type term struct {
	o, base int
	table   []int
	a, c    float64
	w, m    []float64
}

func (b *block) add(t term) {
	b.begin(t.o)
	from := t.base - b.at[t.o].base
	if b.interleaved && len(t.table) == b.count { // then it is 0, 1, 2, …
		sum, mag := b.sum[t.o*b.cells()+from*b.count:], b.mag[t.o*b.cells()+from*b.count:]
		micro.AddScaled(sum[:len(t.w)], mag[:len(t.w)], t.w, t.m, t.a, t.c)
		return
	}
	for k, to := range t.table {
		sum, mag, step := b.line(t.o, to, from, len(t.w)/len(t.table))
		if b.single[to] {
			t.putTap(sum, k)
			continue
		}
		t.addTap(sum, mag, step, k)
	}
}

// putTap stores tap k of the term in sum.
func (t *term) putTap(sum []float64, k int) {
	a, w, taps := t.a, t.w, len(t.table)
	if a == 1 && taps == 1 {
		copy(sum, w)
		return
	}
	for i := range sum {
		sum[i] = a * w[k]
		k += taps
	}
}

// addTap adds tap k of the term to every step-th number of sum, and its magnitudes to
// those of mag, which may be nil.
func (t *term) addTap(sum, mag []float64, step, k int) {
	taps := len(t.table)
	if mag != nil && step == 1 && taps == 1 {
		micro.AddScaled(sum, mag, t.w, t.m, t.a, t.c)
		return
	}
	for at, i := k, 0; at < len(t.w); at, i = at+taps, i+step {
		sum[i] += float64(t.a * t.w[at])
	}
	if mag == nil {
		return
	}
	for at, i := k, 0; at < len(t.m); at, i = at+taps, i+step {
		mag[i] += float64(t.c * math.Abs(t.m[at]))
	}
}

// grid is where the products of n rows from o on may be added to, line after line of each
// row, from channel base on; nil if they lie otherwise.
func (b *block) grid(o, n, base int) []float64 {
	if b.interleaved || b.mags < b.count {
		return nil
	}
	for k := range n {
		if b.at[o+k].base != b.at[o].base {
			return nil
		}
	}
	for k := range n {
		b.begin(o + k)
	}
	return b.sum[o*b.sums*b.width+base-b.at[o].base:]
}

// line is sums that lie side by side, with their magnitudes: the elements first,
// first+step, … of a block of the fused kernel.
type line struct {
	sum, mag    []float64
	first, step int
	several     bool // they have several terms
}

// rowLines is the sums of row o: a line for each tap that has them, or a single one of all.
func (b *block) rowLines(o int) iter.Seq[line] {
	return func(visit func(line) bool) {
		if b.interleaved {
			from, end := o*b.cells(), (o+1)*b.cells()
			visit(line{b.sum[from:end], b.mag[from:end], from, 1, true})
			return
		}
		for k, at := range b.sumLine {
			if at < 0 {
				continue
			}
			sum, mag, _ := b.line(o, k, 0, b.width)
			if !visit(line{sum, mag, o*b.cells() + k, b.count, !b.single[k]}) {
				return
			}
		}
	}
}

// run is the rows from j on that touch the same channels and are stored together.
func run(at []place, j int) []place {
	first, end := at[j], j+1
	for end < len(at) {
		p := at[end]
		if p.base != first.base || p.width != first.width || p.skip != first.skip || p.src != first.src+end-j {
			break
		}
		end++
	}
	return at[j:end]
}

// partPlaces is the rows as far as they touch the channels of a part of a concatenation.
func partPlaces(at []place, part channels) []place {
	var list []place
	for _, p := range at {
		if s := p.channels().within(part); s.width() > 0 {
			p.skip += s.lo - p.base
			p.base, p.width = s.lo-part.lo, s.width()
			list = append(list, p)
		}
	}
	return list
}

// shifted is the rows at, touching channels that lie by higher.
func shifted(at []place, by int) []place {
	if by == 0 {
		return at
	}
	list := slices.Clone(at)
	for j := range list {
		list[j].base += by
	}
	return list
}
