package fuse

import (
	"slices"

	"repfuse/internal/exact"
	"repfuse/internal/op"
)

// A node is an operator with its vectors read. Everything that a kind of node has to tell
// is a method here, except what it becomes once its taps are placed: a step.
type node interface {
	// from is the input channels that the output channels s are computed from.
	from(s channels) channels
	// reach is the taps that rows with taps b have after they are pulled through the node.
	reach(b box) box
	// plan places the node's taps between rows laid out as r and the rows dst, to which its
	// contribution is added.
	plan(p *planner, r, dst *layout) (step, error)
}

// conv multiplies by a stored kernel of rows [I/g, k…].
type conv struct {
	box
	id       int // its place among the expression's kernels
	weight   op.Param
	bias     []float64 // nil where there is none
	rows     int       // all of the kernel: its output channels
	perGroup int       // rows of a group
	width    int       // input channels of a group
	cells    int       // elements of a row: width × taps
	scatters int       // transposed: the output channels, as rows are input channels; else 0
}

// diag acts on each channel by itself: BatchNorm, Scale, Shift, Identity, Select
// and AvgPool. Its one tap lies elsewhere than the output in an Identity that shifts.
type diag struct {
	box
	factor *exact.Factors // nil is 1
	term   *exact.Terms   // the constant added to each channel, nil is 0
	offset int            // Select: the first channel
	to     int            // Select: the end; else 0
	area   int            // AvgPool: the number of taps that share a coefficient; else 1
}

type seq struct{ parts []node }

type sum struct{ parts []node }

type concat struct {
	parts []node
	first []int // channel of each part, and the end
}

// inPlace reports whether rows keep their taps through n.
func (n *diag) inPlace() bool {
	return n.area == 1 && !slices.ContainsFunc(n.lo, func(lo int) bool { return lo != 0 })
}

// channels is those from lo to hi-1.
type channels struct{ lo, hi int }

func (s channels) width() int { return s.hi - s.lo }

func (s channels) with(t channels) channels {
	if s.width() == 0 {
		return t
	}
	return channels{min(s.lo, t.lo), max(s.hi, t.hi)}
}

// within is the part of s that lies in t; it is empty where lo ≥ hi.
func (s channels) within(t channels) channels {
	return channels{max(s.lo, t.lo), min(s.hi, t.hi)}
}

func (s channels) shifted(by int) channels { return channels{s.lo + by, s.hi + by} }

// group is the input channels of the group that row k of the kernel is of.
func (n *conv) group(k int) channels {
	lo := k / n.perGroup * n.width
	return channels{lo, lo + n.width}
}

// part is the output channels of part k.
func (n *concat) part(k int) channels { return channels{n.first[k], n.first[k+1]} }

func (n *conv) from(s channels) channels {
	return channels{n.group(s.lo).lo, n.group(s.hi - 1).hi}
}

func (n *diag) from(s channels) channels { return s.shifted(n.offset) }

func (n *seq) from(s channels) channels {
	for k := len(n.parts) - 1; k >= 0; k-- {
		s = n.parts[k].from(s)
	}
	return s
}

func (n *sum) from(s channels) channels {
	var all channels
	for _, p := range n.parts {
		all = all.with(p.from(s))
	}
	return all
}

func (n *concat) from(s channels) channels {
	var all channels
	for k, p := range n.parts {
		if t := s.within(n.part(k)); t.width() > 0 {
			all = all.with(p.from(t.shifted(-n.first[k])))
		}
	}
	return all
}

func (n *conv) reach(b box) box { return b.times(n.box) }

func (n *diag) reach(b box) box { return b.times(n.box) }

func (n *seq) reach(b box) box {
	for k := len(n.parts) - 1; k >= 0; k-- {
		b = n.parts[k].reach(b)
	}
	return b
}

func (n *sum) reach(b box) box { return reachOfAll(n.parts, b) }

func (n *concat) reach(b box) box { return reachOfAll(n.parts, b) }

func reachOfAll(parts []node, b box) box {
	all := parts[0].reach(b)
	for _, p := range parts[1:] {
		all = all.plus(p.reach(b))
	}
	return all
}
