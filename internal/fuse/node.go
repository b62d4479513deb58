package fuse

import (
	"slices"
	"sync"

	"repfuse/internal/op"
)

// A node is a part of an expression made ready: its vectors read, its taps placed.
// The interpreters are functions with a switch over the kinds: span and reach and
// prepare here, pull (float64), exactly (double-double and beyond) and constant.
type node interface{ isNode() }

// conv multiplies by a stored kernel of rows [I/g, k…].
type conv struct {
	box
	id     int // its place among the fused expression's kernels
	weight op.Param
	bias   []float64 // nil where there is none
	rows   int       // all of the kernel: its output channels
	width  int       // input channels of a group
	groups int
	cells  int // elements of a row: width × taps

	table []int   // see box.table
	to    *layout // of what rows of it are added to
	keeps bool    // all taps of rows stay where they are
	dense bool    // rows of several channels meet it: a product of matrices
	// norms are ‖column‖₂ over the rows of each group, groups × cells, for the bound
	// on Σ|terms|; held is the stored rows, nil where they are not in memory. The first worker
	// that needs them makes them.
	norms []float64
	held  []byte
	mu    sync.Mutex // of norms and held
	holds bool       // it is to be held, from byte shelf of the expression's place on
	shelf int
}

// diag acts on each channel by itself: BatchNorm, Scale, Shift, Identity, Window,
// Select and AvgPool.
type diag struct {
	box
	factor *factors // nil is 1
	term   []dd     // the constant added to each channel, nil is 0
	offset int      // Select: the first channel
	to     int      // Select: the end; else 0
	area   int      // AvgPool: the number of taps that share a coefficient; else 1

	table []int
}

// inPlace reports whether rows keep their taps through n.
func (n *diag) inPlace() bool {
	return n.area == 1 && !slices.ContainsFunc(n.lo, func(lo int) bool { return lo != 0 })
}

type seq struct {
	parts []node
	mids  []*layout // rows before part k; nil where they stay in place
}

// second is the part whose rows come to the first with no other tile between, 0 if there
// is none.
func (n *seq) second() int {
	for k, mid := range n.mids {
		if mid != nil {
			return k
		}
	}
	return 0
}

// tables adds to list those by which rows go through n, where there is no tile on the way;
// else ok is false.
func tables(list [][]int, n node) (all [][]int, ok bool) {
	switch n := n.(type) {
	case *conv:
		return append(list, n.table), true
	case *diag:
		return append(list, n.table), true
	case *seq:
		if n.second() == 0 {
			return tables(list, n.parts[0])
		}
	case *sum:
		ok = true
		for k := 0; ok && k < len(n.parts); k++ {
			list, ok = tables(list, n.parts[k])
		}
		return list, ok
	}
	return nil, false
}

type sum struct{ parts []node }

type concat struct {
	parts []node
	from  []int     // first channel of each part, and the end
	subs  []*layout // rows that reach each part, nil where none does
}

func (*conv) isNode()   {}
func (*diag) isNode()   {}
func (*seq) isNode()    {}
func (*sum) isNode()    {}
func (*concat) isNode() {}

// span is the channels from lo to hi-1.
type span struct{ lo, hi int }

func (s span) width() int { return s.hi - s.lo }

func (s span) with(t span) span {
	if s.width() == 0 {
		return t
	}
	return span{min(s.lo, t.lo), max(s.hi, t.hi)}
}

// within is the part of s that lies in t; it is empty where lo ≥ hi.
func (s span) within(t span) span { return span{max(s.lo, t.lo), min(s.hi, t.hi)} }

// spanOf is the input channels that the output channels s of n look at.
func spanOf(n node, s span) span {
	switch n := n.(type) {
	case *conv:
		perGroup := n.rows / n.groups
		return span{s.lo / perGroup * n.width, ((s.hi-1)/perGroup + 1) * n.width}
	case *diag:
		return span{s.lo + n.offset, s.hi + n.offset}
	case *seq:
		for k := len(n.parts) - 1; k >= 0; k-- {
			s = spanOf(n.parts[k], s)
		}
		return s
	case *sum:
		var all span
		for _, p := range n.parts {
			all = all.with(spanOf(p, s))
		}
		return all
	case *concat:
		var all span
		for k, p := range n.parts {
			if t := s.within(span{n.from[k], n.from[k+1]}); t.width() > 0 {
				all = all.with(spanOf(p, span{t.lo - n.from[k], t.hi - n.from[k]}))
			}
		}
		return all
	}
	return s
}

// reachOf is the taps that rows with taps r have after n is pulled through.
func reachOf(n node, r box) box {
	switch n := n.(type) {
	case *conv:
		return r.times(n.box)
	case *diag:
		return r.times(n.box)
	case *seq:
		for k := len(n.parts) - 1; k >= 0; k-- {
			r = reachOf(n.parts[k], r)
		}
		return r
	case *sum:
		return reachOfAll(n.parts, r)
	case *concat:
		return reachOfAll(n.parts, r)
	}
	return r
}

func reachOfAll(parts []node, r box) box {
	all := reachOf(parts[0], r)
	for _, p := range parts[1:] {
		all = all.plus(reachOf(p, r))
	}
	return all
}
