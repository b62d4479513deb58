package fuse

import "math"

// pull adds r·n to dst: the rows r of what follows n, pulled back through n. It is
// the float64 interpreter; Σ|terms| is carried along wherever an element has
// several.
func (w *Worker) pull(n node, r, dst *tile) error {
	switch n := n.(type) {
	case *diag:
		pullDiag(n, r, dst)
		return nil
	case *conv:
		return w.pullConv(n, r, dst)
	case *sum:
		shared := *r
		shared.owned = false
		for _, p := range n.parts {
			if err := w.pull(p, &shared, dst); err != nil {
				return err
			}
		}
		return nil
	case *concat:
		return w.pullConcat(n, r, dst)
	case *seq:
		return w.pullSeq(n, r, dst)
	}
	return nil
}

func (w *Worker) pullSeq(n *seq, r, dst *tile) error {
	mark := w.floats.used
	defer func() { w.floats.used = mark }()
	for k := len(n.parts) - 1; k > 0; k-- {
		if n.mids[k] == nil {
			r = w.scaled(n.parts[k].(*diag), r)
			continue
		}
		mid := w.newTile(n.mids[k], n.parts[k], r)
		if err := w.pull(n.parts[k], r.into(mid), mid); err != nil {
			return err
		}
		mid.settle()
		r = mid
	}
	return w.pull(n.parts[0], r, dst)
}

// newTile makes the tile that r becomes when it is pulled through n.
func (w *Worker) newTile(l *layout, n node, r *tile) *tile {
	t := &tile{layout: l, at: make([]place, len(r.at)), fresh: make([]bool, len(r.at)), owned: true}
	for j, p := range r.at {
		s := spanOf(n, p.span())
		t.at[j] = place{row: p.row, src: j, base: s.lo, width: s.width()}
		t.fresh[j] = true
	}
	t.tapMajor()
	t.val = w.floats.alloc(len(t.at) * t.rs)
	t.mag = w.floats.alloc(len(t.at) * l.slots * l.width)
	return t
}

// into is r with its rows numbered as those of the tile made of it.
func (r *tile) into(mid *tile) *tile {
	view := *r
	view.at = append([]place(nil), r.at...)
	for j := range view.at {
		view.at[j].row = j
	}
	// r is done with once mid is made, but a Sum may read it several times
	return &view
}

// scaled is r·diag(s), in place where nobody else needs r.
func (w *Worker) scaled(n *diag, r *tile) *tile {
	s := *r
	if n.offset > 0 {
		s.at = append([]place(nil), r.at...)
		for j := range s.at {
			s.at[j].base += n.offset
		}
	}
	if n.factor == nil {
		return &s
	}
	if !r.owned {
		s.val, s.mag, s.owned = w.floats.alloc(len(r.val)), w.floats.alloc(len(r.mag)), true
		copy(s.val, r.val)
		copy(s.mag, r.mag)
	}
	for _, p := range s.at {
		for c := range p.width {
			f := n.factor.value[p.base+c].hi
			for τ := range s.taps() {
				s.val[p.src*s.rs+τ*s.ts+p.skip+c] *= f
			}
			for k := range s.slots {
				s.mag[(p.src*s.slots+k)*s.width+p.skip+c] *= math.Abs(f)
			}
		}
	}
	return &s
}

func pullDiag(n *diag, r, dst *tile) {
	for _, p := range r.at {
		dst.begin(p.row)
		for τ := range r.taps() {
			table := n.table[τ*n.taps():][:n.taps()]
			for c := p.base; c < p.base+p.width; c++ {
				v, mag := r.coef(p, τ, c)
				if n.factor != nil {
					f := n.factor.value[c].hi
					v, mag = float64(v*f), float64(mag*math.Abs(f))
				}
				if n.area > 1 {
					v, mag = v/float64(n.area), mag/float64(n.area)
				}
				for _, to := range table {
					dst.add(p.row, to, c+n.offset, v, mag)
				}
			}
		}
	}
}

func (w *Worker) pullConcat(n *concat, r, dst *tile) error {
	for k, p := range n.parts {
		if sub := r.part(n, k); len(sub.at) > 0 {
			if err := w.pull(p, sub, dst); err != nil {
				return err
			}
		}
	}
	return nil
}

// part is the rows of r as far as they touch part k. Parts touch channels of their
// own, so each may scale them in place.
func (r *tile) part(n *concat, k int) *tile {
	sub := *r
	sub.at = partPlaces(r.at, span{n.from[k], n.from[k+1]})
	return &sub
}

func partPlaces(at []place, part span) []place {
	var list []place
	for _, p := range at {
		if s := p.span().within(part); s.width() > 0 {
			p.skip += s.lo - p.base
			p.base, p.width = s.lo-part.lo, s.width()
			list = append(list, p)
		}
	}
	return list
}
