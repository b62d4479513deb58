package graph

import (
	"cmp"
	"slices"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// sink looks for the region that ends in node k: of those whose products are not more
// than those of their nodes, the one that saves most, and among equals the largest.
func (f *finder) sink(k int) {
	v := f.Nodes[k].Outputs[0]
	if f.of[v].dominator < 0 {
		f.why[k] = f.of[v].fail
		return
	}
	g := f.grow(k)
	all := identity()
	var best *layer
	var first *failure
	for _, c := range g.candidates {
		l, fail := f.weigh(g.nodes[:c.nodes], c, &all, &v)
		if fail != nil {
			if first == nil {
				first = fail
				f.blame(g.nodes[:c.nodes], fail)
			}
			if fail.final {
				break
			}
		}
		if l != nil && (best == nil || f.AnyCost || l.was-l.now >= best.was-best.now) {
			best = l
		}
	}
	if best != nil {
		if first = f.write(best, f.Nodes[k].Outputs[0]); first == nil {
			return
		}
	}
	f.why[k] = cmp.Or(first, f.why[k], g.end)
}

// blame notes why nodes are not in a region together, for those that find no other.
func (f *finder) blame(nodes []int, fail *failure) {
	for _, k := range nodes {
		f.why[k] = cmp.Or(f.why[k], fail)
	}
}

// layer is a candidate that would gain something.
type layer struct {
	form
	nodes    []int
	anchor   int
	was, now float64
}

// weigh is the layer of a candidate, nil where nothing would be gained. all is the form
// of the sink over *v, and is taken on to the candidate's anchor.
func (f *finder) weigh(nodes []int, c candidate, all *form, v *int) (*layer, *failure) {
	var first *form
	for *v != c.anchor {
		var fail *failure
		first = &f.of[*v].form
		if *all, fail = first.then(all); fail != nil {
			return nil, fail
		}
		*v = f.of[*v].dominator
		all.behind(*v)
	}
	switch {
	case all.layers == 0:
		return nil, nil
	case !f.forward && c.open && first.onChannels() && f.of[c.anchor].layered:
		f.again = append(f.again, nodes[0])
		return nil, nil
	}
	now, fail := all.whole()
	if all.like >= 0 {
		now = f.costs[all.like] // operators on channels change nothing of its cost
	}
	switch {
	case fail != nil:
		return nil, fail
	case now > c.was && !f.AnyCost:
		return nil, &failure{reason: Costly, was: c.was, now: now}
	case now >= c.was && c.steps <= all.steps():
		return nil, nil
	}
	return &layer{*all, nodes, c.anchor, c.was, now}, nil
}

// write adds the region of a layer. It asks op.Check, which knows no extents and of the
// channels only what the expression says, whether it sees the same layer.
func (f *finder) write(l *layer, sink int) *failure {
	r := Region{Nodes: slices.Sorted(slices.Values(l.nodes)), Anchor: l.anchor, Sink: sink,
		Axis: l.from, Like: l.like, Was: l.was, Now: l.now}
	r.Expr = f.expr(&r)
	rank := max(l.rank, 0)
	var err error
	if r.Form, err = op.Check(r.Expr); err != nil {
		return unfit("%v", err)
	}
	if _, err = op.CheckLayers(r.Expr); err != nil { // the graph itself shows borders that are no zeros
		r.Expr = op.OnPlane(r.Expr)
	}
	same := r.Form.Rank() == rank && r.Form.In == l.in && r.Form.Out == l.out && r.Form.Groups == l.groups && r.Form.Bias == l.bias
	for a, x := range l.axes[:rank] {
		if l.like >= 0 || !same {
			break
		}
		r.Begin, r.End = append(r.Begin, int(-x.lo)), append(r.End, int(x.extent+1+x.hi))
		same = same && [4]int{r.Form.Lo[a], r.Form.Hi[a], r.Form.Step[a], stride(r.Form, a)} == [4]int{int(x.lo), int(x.hi), int(x.step), int(x.stride)}
	}
	if !same {
		return unfit("%s is another layer than its steps", r.Expr)
	}
	for _, k := range r.Nodes {
		f.covered[k] = true
	}
	f.regions = append(f.regions, r)
	return nil
}

// expr is the region's nodes as one expression of its anchor.
func (f *finder) expr(r *Region) op.Expr {
	of := map[int]op.Seq{r.Anchor: nil}
	for _, k := range r.Nodes {
		n := &f.Nodes[k]
		var e op.Seq
		switch n.Kind {
		case Move:
			e = of[n.Inputs[0]]
			r.Moves = append(r.Moves, k)
		case Linear:
			e = then(of[n.Inputs[0]], n.Op)
		case Add:
			e = op.Seq{sum(n, of)}
		case Concat:
			var parts op.Concat
			for _, v := range n.Inputs {
				parts = append(parts, single(of[v]))
			}
			e = op.Seq{parts}
		}
		of[n.Outputs[0]] = e
	}
	return single(of[r.Sink])
}

// then is e with one operator more.
func then(e op.Seq, next op.Expr) op.Seq {
	switch next := next.(type) {
	case op.Seq:
		return append(slices.Clip(e), next...)
	case op.Identity:
		if next.Padding == nil && next.Stride == nil {
			return e
		}
	}
	return append(slices.Clip(e), next)
}

func single(e op.Seq) op.Expr {
	switch len(e) {
	case 0:
		return op.Identity{}
	case 1:
		return e[0]
	}
	return e
}

// sum is the sum that node n is, as one of all its branches where some are sums too.
func sum(n *Node, of map[int]op.Seq) op.Expr {
	var all op.Sum
	for i, v := range n.Inputs {
		part := of[v]
		if n.Minus != nil && n.Minus[i] {
			part = then(part, op.Scale{Factor: -1})
		}
		if inner, ok := single(part).(op.Sum); ok {
			all = append(all, inner...)
		} else {
			all = append(all, single(part))
		}
	}
	return all
}

// products is what a linear node multiplies for each position of its output (of its
// input, if it is a transposed convolution). Channels that nobody knows count as none.
func (f *finder) products(n *Node) float64 {
	channels := 0
	if s := f.Values[n.Outputs[0]].Shape; len(s) > 1 {
		if channels = s[1]; n.Axis == LastAxis {
			channels = s[len(s)-1]
		}
	}
	all := 0
	op.Walk(n.Op, func(e op.Expr) {
		switch e := e.(type) {
		case op.Conv:
			all += e.Weight.Len()
		case op.BatchNorm:
			all += e.Mean.Len()
		case op.Scale:
			if e.By != nil && e.By.Len() > 1 {
				all += e.By.Len()
			} else {
				all += max(channels, 0)
			}
		case op.AvgPool:
			all += max(channels, 0) * tensor.Elems(e.Kernel)
		}
	})
	return float64(all)
}
