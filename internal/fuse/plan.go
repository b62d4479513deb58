package fuse

import (
	"math"

	"repfuse/internal/tensor"
)

// A step is a node whose taps are placed, ready to pull rows through. Steps are not
// written to: workers share them.
type step interface {
	// pull adds r times the node to dst.
	pull(p *puller, r, dst *block) error
	// numbers bounds what pulling one row takes beside r and dst.
	numbers() int
}

// convStep multiplies rows by a stored kernel.
type convStep struct {
	*conv
	table []int   // see box.table
	r, to *layout // of the rows that come, and of what theirs are added to
	keeps bool    // all taps of rows stay where they are
	whole bool    // rows of the fused kernel are multiples of stored rows
	dense bool    // rows of several channels meet it: a product of matrices
	// norms are ‖column‖₂ over the rows of each group, groups × cells, for the bound on
	// Σ|terms| of products.
	norms []float64
}

type diagStep struct {
	*diag
	table []int
}

type sumStep struct{ parts []step }

// concatStep has a step for each part that rows reach.
type concatStep struct {
	parts []step
	of    []channels // the output channels of each
}

// chainStep is a sequence: the links from the last operator to the second, and the first.
type chainStep struct {
	links []link
	first step
	held  int // numbers of a row that the links hold
}

// A link takes rows through an operator that is not the first of a sequence: it scales them
// where they are, as their taps stay, or else makes rows of their own, laid out as mid.
type link struct {
	scale *diag
	step  step
	node  node
	mid   *layout
}

// diagRoundings is those of a scale's own value, of the product and of the division by an
// area.
const diagRoundings = 3

// planner is what placing the taps of an expression needs, and tells.
type planner struct {
	kernels  *kernels
	products bool // of matrices are involved
}

func (n *diag) plan(_ *planner, r, dst *layout) (step, error) {
	s := &diagStep{n, r.table(n.box, dst.box)}
	dst.add(contribution{fanIn: 1, adds: 1, roundings: diagRoundings}, r, s.table)
	return s, nil
}

func (n *conv) plan(k *planner, r, dst *layout) (step, error) {
	s := &convStep{conv: n, table: r.table(n.box, dst.box), r: r, to: dst}
	s.keeps = n.taps() == 1 && len(r.taken) == r.taps() && r.taps() == dst.taps()
	c := contribution{fanIn: min(r.width, n.perGroup), adds: 1, roundings: 1}
	s.dense = c.fanIn > 1
	s.whole = !s.dense && !dst.begun && r.mags == 0 && n.taps() == dst.taps() && n.width == dst.width
	c.whole = s.whole
	var err error
	if s.dense {
		// micro.Gemm64 called for chunks of at most gemmBlock rows: each a chain of additions
		// of its own, which is added to the sum, or to those of the other chunks first
		c.roundings, c.adds = gemmBlock+2, 1+(c.fanIn+n.chunk()-1)/n.chunk()
		dst.byTap = dst.byTap || n.taps() == 1
		dst.byRow = dst.byRow || n.taps() > 1
		s.norms, err = n.norms(k.kernels)
		k.products = true
	}
	dst.add(c, r, s.table)
	return s, err
}

// norms is ‖column‖₂ over the rows of each group.
func (n *conv) norms(k *kernels) ([]float64, error) {
	norms := make([]float64, n.rows/n.perGroup*n.cells)
	err := k.scan(n, func(o int, row []float64) error {
		sums := norms[o/n.perGroup*n.cells:][:n.cells]
		for i, v := range row {
			sums[i] += float64(v * v)
		}
		return nil
	})
	small := false
	for i, v := range norms {
		norms[i], small = math.Sqrt(v), small || v < lostSquares
	}
	if err != nil || !small || n.weight.Type != tensor.F64 { // numbers of the others have larger squares, or are 0
		return norms, err
	}
	most := make([]float64, len(norms))
	err = k.scan(n, func(o int, row []float64) error {
		for i, v := range row {
			at := &most[o/n.perGroup*n.cells+i]
			*at = max(*at, math.Abs(v))
		}
		return nil
	})
	for i, v := range most {
		if norms[i]*norms[i] < lostSquares {
			norms[i] = math.Sqrt(float64(n.perGroup)) * v
		}
	}
	return norms, err
}

// lostSquares is what a sum of squares is above, or it may lack some that float64 has as 0: the norm is
// bounded by the largest number then.
const lostSquares = 0x1p-960

func (n *sum) plan(k *planner, r, dst *layout) (step, error) {
	s := &sumStep{}
	for _, p := range n.parts {
		part, err := p.plan(k, r, dst)
		if err != nil {
			return nil, err
		}
		s.parts = append(s.parts, part)
	}
	return s, nil
}

func (n *concat) plan(k *planner, r, dst *layout) (step, error) {
	s, begun, any := &concatStep{}, dst.begun, dst.begun
	for j, p := range n.parts {
		var each []channels
		for _, c := range r.each {
			if t := c.within(n.part(j)); t.width() > 0 {
				each = append(each, t.shifted(-n.first[j]))
			}
		}
		if len(each) == 0 {
			continue
		}
		if r.width == 1 {
			dst.begun = begun // each row goes through one part only
		}
		part, err := p.plan(k, r.scaled(each, 0), dst)
		if err != nil {
			return nil, err
		}
		any = any || dst.begun
		s.parts, s.of = append(s.parts, part), append(s.of, n.part(j))
	}
	dst.begun = any
	return s, nil
}

func (n *seq) plan(k *planner, r, dst *layout) (step, error) {
	s := &chainStep{held: r.numbers()} // of r once more: a scale of rows that others share
	for j := len(n.parts) - 1; j > 0; j-- {
		p, each := n.parts[j], r.each
		if d, ok := p.(*diag); !ok || d.offset > 0 {
			each = fromEach(p, each)
		}
		if d, ok := p.(*diag); ok && d.inPlace() {
			s.links = append(s.links, link{scale: d})
			r = r.scaled(each, diagRoundings)
			continue
		}
		mid := newLayout(p.reach(r.box), each)
		inner, err := p.plan(k, r, mid)
		if err != nil {
			return nil, err
		}
		mid.finish()
		s.links = append(s.links, link{nil, inner, p, mid})
		s.held += mid.numbers()
		r = mid
	}
	var err error
	s.first, err = n.parts[0].plan(k, r, dst)
	return s, err
}

func fromEach(n node, each []channels) []channels {
	before := make([]channels, len(each))
	for j, s := range each {
		before[j] = n.from(s)
	}
	return before
}

func (s *convStep) numbers() int {
	if !s.dense || s.keeps && s.to.mags == s.to.taps() && !s.to.interleaved {
		return 0
	}
	return s.r.taps() * s.cells
}

func (s *diagStep) numbers() int { return 0 }

func (s *sumStep) numbers() int { return most(s.parts) }

func (s *concatStep) numbers() int { return most(s.parts) }

func (s *chainStep) numbers() int {
	inner := s.first.numbers()
	for _, l := range s.links {
		if l.scale == nil {
			inner = max(inner, l.step.numbers())
		}
	}
	return s.held + inner
}

func most(parts []step) int {
	n := 0
	for _, p := range parts {
		n = max(n, p.numbers())
	}
	return n
}
