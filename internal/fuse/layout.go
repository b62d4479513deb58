package fuse

import "slices"

// layout is where the numbers of a block of rows lie, known before there is one: the taps,
// how many channels a row touches, and how the elements at a tap come about. Planning
// counts contributions first; finish or finishRoot then gives every tap its line.
type layout struct {
	box
	count int        // taps
	each  []channels // that every row of the fused kernel touches here
	width int        // the most of them
	terms []int      // products that are added up in an element of each tap, at most
	adds  []int      // additions into an element of each tap
	mixed []bool     // taps that get terms otherwise than by whole stored rows
	taken []int      // the taps that have terms: between dilated ones there are holes
	kappa int        // roundings that one term suffers, at most
	begun bool       // something has contributed

	// Sums lie tap by tap, a line of width numbers for each tap, or interleaved, as the
	// elements are stored. Beside those with several terms lies Σ|terms|.
	sumLine, magLine []int // by tap, the number of its line; -1 is none
	sums, mags       int   // lines
	interleaved      bool
	// direct says that these are rows of the fused kernel, and that stored rows are copied to
	// taps without a line.
	direct bool
	// single is the taps whose sum is one term: it keeps the sign of its zero.
	single []bool
	// byTap and byRow report products whose rows are of one tap, and of several.
	byTap, byRow bool
}

// many is where the counting of terms stops.
const many = 1 << 20

func newLayout(b box, each []channels) *layout {
	n := b.taps()
	l := &layout{box: b, count: n, each: each, terms: make([]int, n), adds: make([]int, n), mixed: make([]bool, n), single: make([]bool, n)}
	for _, s := range each {
		l.width = max(l.width, s.width())
	}
	return l
}

// taps is that of the box, counted once.
func (l *layout) taps() int { return l.count }

// cells is how many elements a row has.
func (l *layout) cells() int { return l.count * l.width }

// unitRows is the layout that pulling starts with: row o is one, times channel o.
func unitRows(rows, rank int) *layout {
	each := make([]channels, rows)
	for o := range each {
		each[o] = channels{o, o + 1}
	}
	l := newLayout(point(rank), each)
	l.terms[0] = 1
	l.finish()
	return l
}

// contribution is what comes to a layout from rows r through a kernel or a scale: every
// term of r makes fanIn terms, with more roundings and by so many additions.
type contribution struct {
	fanIn, adds, roundings int
	whole                  bool // rows are multiples of stored rows, and nothing was there before
}

// add counts a contribution; table says which tap each pair of taps goes to.
func (l *layout) add(c contribution, r *layout, table []int) {
	each := len(table) / r.taps()
	for k, to := range table {
		l.terms[to] = min(l.terms[to]+r.terms[k/each]*c.fanIn, many)
		l.adds[to] += c.adds
		l.mixed[to] = l.mixed[to] || !c.whole
	}
	l.kappa = max(l.kappa, r.kappa+c.roundings)
	l.begun = true
}

// lines numbers the taps for which has is true, and counts the lines.
func (l *layout) lines(has func(tap int) bool) (line []int, n int) {
	line = make([]int, l.count)
	for t := range line {
		line[t] = -1
		if has(t) {
			line[t] = n
			n++
		}
	}
	return line, n
}

// finish gives lines to the taps of rows that stand before another operator: all have
// sums.
func (l *layout) finish() {
	l.close()
	l.sumLine, l.sums = l.lines(func(int) bool { return true })
	l.magLine, l.mags = l.lines(func(t int) bool { return l.terms[t] > 1 })
	l.single[0] = l.count == 1 && l.terms[0] == 1 && !l.mixed[0]
}

// finishRoot gives lines to the taps of the fused kernel. One whose only term is a whole
// stored row needs none. Where rows are narrow, as in depthwise kernels, a tap is too little
// to be handled by itself: all have sums, which lie as they are stored.
func (l *layout) finishRoot(narrow bool) {
	l.close()
	l.sumLine, l.sums = l.lines(func(t int) bool {
		return narrow || l.terms[t] > 1 || l.terms[t] == 1 && l.mixed[t]
	})
	l.magLine, l.mags = l.lines(func(t int) bool { return narrow || l.terms[t] > 1 })
	l.interleaved = narrow || l.mags == l.count && (l.byRow || !l.byTap)
	l.direct = !l.interleaved
	for t, n := range l.terms {
		l.single[t] = n == 1 && !narrow
	}
}

// close lists the taps once all contributions are known.
func (l *layout) close() {
	l.kappa += slices.Max(l.adds)
	for t, n := range l.terms {
		if n > 0 {
			l.taken = append(l.taken, t)
		}
	}
}

// numbers is the size of one row.
func (l *layout) numbers() int { return (l.sums + l.mags) * l.width }

// scaled is l, as rows whose channels are shifted to each and which suffer more roundings.
func (l *layout) scaled(each []channels, roundings int) *layout {
	same := *l
	same.each = each
	same.kappa += roundings
	return &same
}
