package fuse

import "math"

// pull adds r·n to dst: the rows r of what follows n, pulled back through n. It is
// the float64 interpreter; Σ|terms| is carried along wherever an element has
// several.
func (w *Worker) pull(n node, r *tile, dst target) error {
	switch n := n.(type) {
	case *diag:
		w.pullDiag(n, r, dst)
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

func (w *Worker) pullSeq(n *seq, r *tile, dst target) error {
	mark := w.mark()
	defer w.release(mark)
	for k := len(n.parts) - 1; k > 0; k-- {
		if n.mids[k] == nil {
			r = w.scaled(n.parts[k].(*diag), r)
			continue
		}
		mid := w.newTile(n.mids[k], n.parts[k], r)
		if err := w.pull(n.parts[k], w.into(r), mid); err != nil {
			return err
		}
		mid.settle()
		r = mid
	}
	return w.pull(n.parts[0], r, dst)
}

// marks is how much of a worker's memory is in use.
type marks struct{ floats, places, tiles, bools int }

func (w *Worker) mark() marks {
	return marks{w.floats.used, w.places.used, w.tiles.used, w.bools.used}
}

// release gives back what was taken since the mark.
func (w *Worker) release(m marks) {
	w.floats.used, w.places.used, w.tiles.used, w.bools.used = m.floats, m.places, m.tiles, m.bools
}

// tile is t in the worker's memory.
func (w *Worker) tile(t tile) *tile {
	p := &w.tiles.alloc(1)[0]
	*p = t
	return p
}

// newTile makes the tile that r becomes when it is pulled through n.
func (w *Worker) newTile(l *layout, n node, r *tile) *tile {
	t := w.tile(tile{layout: l, at: w.places.alloc(len(r.at)), fresh: allFresh(w.bools.alloc(len(r.at)), len(r.at)), owned: true, w: w})
	for j, p := range r.at {
		s := spanOf(n, p.span())
		t.at[j] = place{row: p.row, src: j, base: s.lo, width: s.width()}
	}
	t.val = w.floats.alloc(len(t.at) * l.taps() * l.width)
	t.mag = w.floats.alloc(len(t.at) * l.slots * l.width)
	return t
}

// into is r with its rows numbered as those of the tile made of it.
func (w *Worker) into(r *tile) *tile {
	view := w.tile(*r)
	view.at = w.samePlaces(r.at)
	for j := range view.at {
		view.at[j].row = j
	}
	// r is done with once mid is made, but a Sum may read it several times
	return view
}

func (w *Worker) samePlaces(at []place) []place {
	same := w.places.alloc(len(at))
	copy(same, at)
	return same
}

// scaled is r·diag(s), in place where nobody else needs r.
func (w *Worker) scaled(n *diag, r *tile) *tile {
	s := w.tile(*r)
	if n.offset > 0 {
		s.at = w.samePlaces(r.at)
		for j := range s.at {
			s.at[j].base += n.offset
		}
	}
	if n.factor == nil {
		return s
	}
	if !r.owned {
		s.val, s.mag, s.owned = w.floats.alloc(len(r.val)), w.floats.alloc(len(r.mag)), true
		copy(s.val, r.val)
		copy(s.mag, r.mag)
	}
	for _, p := range s.at {
		by := n.factor.value[p.base:][:p.width]
		for τ := range s.taps() {
			v, mag := s.coefs(p, τ)
			for i, f := range by {
				v[i] *= f.hi
			}
			for i := range mag {
				mag[i] *= math.Abs(by[i].hi)
			}
		}
	}
	return s
}

func (w *Worker) pullDiag(n *diag, r *tile, dst target) {
	mark := w.floats.used
	defer func() { w.floats.used = mark }()
	for _, p := range r.at {
		w.floats.used = mark
		own, ownMag := w.floats.alloc(p.width), w.floats.alloc(p.width)
		for _, τ := range r.taken {
			v, mag := n.times(own, ownMag, r, p, τ)
			w.everywhere(strip{p.row, p.base + n.offset, n.table[τ*n.taps():][:n.taps()], 1, 1, v, mag}, dst)
		}
	}
}

// everywhere adds a strip of one tap at all the taps of its table.
func (w *Worker) everywhere(s strip, dst target) {
	taps := len(s.table)
	if taps == 1 || !dst.together() {
		for k := range taps {
			one := s
			one.table = s.table[k:][:1]
			dst.spread(one)
		}
		return
	}
	mark := w.floats.used
	defer func() { w.floats.used = mark }()
	v, mag := s.w, s.m
	s.w, s.m = w.floats.alloc(len(v)*taps), w.floats.alloc(len(v)*taps)
	repeat(s.w, v, taps)
	repeat(s.m, mag, taps)
	dst.spread(s)
}

// repeat sets dst to the elements of v, each so many times.
func repeat(dst, v []float64, times int) {
	for _, x := range v {
		for k := range dst[:times] {
			dst[k] = x
		}
		dst = dst[times:]
	}
}

// times is a row of r at a tap, times n, and its magnitudes, but for their sign: r's own
// numbers or, put there, v and mag.
func (n *diag) times(v, mag []float64, r *tile, p place, τ int) (value, size []float64) {
	from, size := r.coefs(p, τ)
	if size == nil {
		size = from
	}
	if n.factor == nil && n.area <= 1 {
		return from, size
	}
	mag, from, size = mag[:len(v)], from[:len(v)], size[:len(v)]
	if n.factor == nil {
		for i, x := range from {
			v[i], mag[i] = x, math.Abs(size[i])
		}
	} else {
		for i, f := range n.factor.value[p.base:][:len(v)] {
			v[i], mag[i] = from[i]*f.hi, math.Abs(size[i]*f.hi)
		}
	}
	if n.area > 1 {
		for i := range v {
			v[i] /= float64(n.area)
			mag[i] /= float64(n.area)
		}
	}
	return v, mag
}

func (w *Worker) pullConcat(n *concat, r *tile, dst target) error {
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
