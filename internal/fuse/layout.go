package fuse

import (
	"slices"
	"sync/atomic"
)

// layout is what is known of a tile of rows before there is one: its taps, how many
// channels a row spans, and how the elements at a tap come about.
type layout struct {
	box
	count int    // taps
	spans []span // of every row of the fused kernel that gets here
	width int    // the largest of them
	terms []int  // products that are added up in an element of each tap, at most
	adds  []int  // additions into an element of each tap
	taken []int  // the taps that have terms: between dilated ones there are holes
	kappa int    // roundings that one term suffers, at most
	// slot numbers the taps whose elements have several terms: beside those, Σ|terms|
	// is kept. It is -1 for the others, whose magnitude is their own.
	slot   []int
	slots  int
	summed []int // the taps that have one
	// byTap and byRow report products whose rows are of one tap, and of several.
	byTap, byRow bool
	// asStored reports that all taps have slots and that sums lie as the elements do.
	asStored bool
}

// many is where the counting of terms stops.
const many = 1 << 20

func newLayout(b box, spans []span) *layout {
	n := b.taps()
	l := &layout{box: b, count: n, spans: spans, terms: make([]int, n), adds: make([]int, n)}
	for _, s := range spans {
		l.width = max(l.width, s.width())
	}
	return l
}

// taps is that of the box, counted once.
func (l *layout) taps() int { return l.count }

// unitRows is the layout that pulling starts with: row o is one, times channel o.
func unitRows(rows, rank int) *layout {
	l := newLayout(point(rank), unitSpans(rows))
	l.terms[0] = 1
	l.finish(false)
	return l
}

// ones is the spans of single channels, as many as were asked for so far. They are not
// written to again.
var ones atomic.Pointer[[]span]

// unitSpans is n spans of one channel each.
func unitSpans(n int) []span {
	if all := ones.Load(); all != nil && len(*all) >= n {
		return (*all)[:n]
	}
	spans := make([]span, roomFor(n))
	for o := range spans {
		spans[o] = span{o, o + 1}
	}
	ones.Store(&spans)
	return spans[:n]
}

// gets notes that terms of rows r come to tap t of l, each after some roundings and
// by so many additions.
func (l *layout) gets(t int, r *layout, τ, fanIn, adds, roundings int) {
	l.terms[t] = min(l.terms[t]+r.terms[τ]*fanIn, many)
	l.adds[t] += adds
	l.kappa = max(l.kappa, r.kappa+roundings)
}

// finish lists the taps and numbers the slots once all contributions are known. Every
// tap gets one if that is asked for.
func (l *layout) finish(all bool) {
	l.kappa += slices.Max(l.adds)
	l.slot = make([]int, len(l.terms))
	for t, n := range l.terms {
		l.slot[t] = -1
		if n > 0 {
			l.taken = append(l.taken, t)
		}
		if n > 1 || all {
			l.slot[t] = l.slots
			l.slots++
			l.summed = append(l.summed, t)
		}
	}
	l.asStored = l.slots == l.count && (all || l.byRow || !l.byTap)
}

// numbers is the size of one row of a tile; the careful interpreter keeps no magnitudes.
func (l *layout) numbers(careful bool) int {
	if careful {
		return l.taps() * l.width
	}
	return (l.taps() + l.slots) * l.width
}

// prepare places the taps of n between rows laid out as r and the tile dst that
// n's contribution is added to.
func prepare(n node, r, dst *layout) {
	switch n := n.(type) {
	case *diag:
		n.table = r.table(n.box, dst.box)
		for k, t := range n.table {
			dst.gets(t, r, k/n.taps(), 1, 1, diagRoundings)
		}
	case *conv:
		prepareConv(n, r, dst)
	case *sum:
		for _, p := range n.parts {
			prepare(p, r, dst)
		}
	case *concat:
		prepareConcat(n, r, dst)
	case *seq:
		prepareSeq(n, r, dst)
	}
}

// diagRoundings is those of a scale's own value, of the product and of the
// division by an area.
const diagRoundings = 3

func prepareConv(n *conv, r, dst *layout) {
	n.table = r.table(n.box, dst.box)
	n.to, n.keeps = dst, n.taps() == 1 && len(r.taken) == r.taps() && r.taps() == dst.taps()
	fanIn := min(r.width, n.rows/n.groups)
	n.dense = fanIn > 1
	adds, roundings := 1, 1
	if n.dense {
		// micro.Gemm64 called for chunks of at most a block: each a chain of its own, that is
		// added to the sum, or to those of the other chunks first
		roundings, adds = gemmBlock+2, 1+(fanIn+n.chunk()-1)/n.chunk()
		dst.byTap = dst.byTap || n.taps() == 1
		dst.byRow = dst.byRow || n.taps() > 1
	}
	for k, t := range n.table {
		dst.gets(t, r, k/n.taps(), fanIn, adds, roundings)
	}
}

func prepareConcat(n *concat, r, dst *layout) {
	for k, p := range n.parts {
		var spans []span
		for _, s := range r.spans {
			if t := s.within(span{n.from[k], n.from[k+1]}); t.width() > 0 {
				spans = append(spans, span{t.lo - n.from[k], t.hi - n.from[k]})
			}
		}
		n.subs = append(n.subs, nil)
		if len(spans) > 0 {
			sub := *r
			sub.spans = spans
			n.subs[k] = &sub
			prepare(p, &sub, dst)
		}
	}
}

func prepareSeq(n *seq, r, dst *layout) {
	n.mids = make([]*layout, len(n.parts))
	for k := len(n.parts) - 1; k > 0; k-- {
		spans := spansOf(n.parts[k], r.spans)
		if d, ok := n.parts[k].(*diag); ok && d.inPlace() {
			same := *r
			same.spans = spans
			same.kappa += diagRoundings
			r = &same
			continue
		}
		mid := newLayout(reachOf(n.parts[k], r.box), spans)
		prepare(n.parts[k], r, mid)
		mid.finish(false)
		n.mids[k], r = mid, mid
	}
	prepare(n.parts[0], r, dst)
}

// spansOf is what rows that look at spans look at before n.
func spansOf(n node, spans []span) []span {
	if d, ok := n.(*diag); ok && d.offset == 0 {
		return spans
	}
	before := make([]span, len(spans))
	for j, s := range spans {
		before[j] = spanOf(n, s)
	}
	return before
}

// rowNumbers bounds the numbers that pulling one row laid out as r through n takes,
// beside r and the destination.
func rowNumbers(n node, r *layout, careful bool) int {
	switch n := n.(type) {
	case *conv:
		if n.dense && !careful && !(n.keeps && n.to.slots == n.to.taps() && !n.to.asStored) {
			return r.taps() * n.cells
		}
	case *sum:
		most := 0
		for _, p := range n.parts {
			most = max(most, rowNumbers(p, r, careful))
		}
		return most
	case *concat:
		most := 0
		for k, sub := range n.subs {
			if sub != nil {
				most = max(most, rowNumbers(n.parts[k], sub, careful))
			}
		}
		return most
	case *seq:
		held, inner := r.numbers(careful), 0 // r once more: a scale of rows that others share
		for k := len(n.parts) - 1; k >= 0; k-- {
			inner = max(inner, rowNumbers(n.parts[k], r, careful))
			if n.mids[k] != nil {
				r = n.mids[k]
				held += r.numbers(careful)
			}
		}
		return held + inner
	}
	return 0
}
