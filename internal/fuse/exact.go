package fuse

import (
	"slices"

	"repfuse/internal/tensor"
)

// field is the numbers that the careful interpreter computes with.
type field[T any] interface {
	one() T
	add(a, b T) T
	// scale is a·s, where s is a factor of channel c.
	scale(a T, f *factors, c int) T
	divide(a T, n int) T
	// axpy adds a·w[i] to dst[at+i] for all i, or, where want is not nil, for those
	// places at+i that it lists.
	axpy(dst []T, at int, a T, w []float64, want []int)
}

// careful is the interpreter of pull once more, in any field and without its
// haste: for the elements that float64 does not settle.
type careful[T any, F field[T]] struct {
	f     F
	w     *Worker
	cells arena[T]
	tiles arena[cells[T]]
	pairs []pair

	gathered []bool // by tap of a kernel
	columns  []int  // 0, 1, 2, …
}

func (e *careful[T, F]) pull(n node, r, dst *cells[T]) error {
	switch n := n.(type) {
	case *diag:
		e.pullDiag(n, r, dst)
		return nil
	case *conv:
		return e.pullConv(n, r, dst)
	case *sum:
		shared := *r
		shared.owned = false
		for _, p := range n.parts {
			if err := e.pull(p, &shared, dst); err != nil {
				return err
			}
		}
		return nil
	case *concat:
		for k, p := range n.parts {
			sub := *r // parts touch channels of their own, so each may scale them in place
			if sub.at = partPlaces(r.at, span{n.from[k], n.from[k+1]}); len(sub.at) > 0 {
				if err := e.pull(p, &sub, dst); err != nil {
					return err
				}
			}
		}
		return nil
	case *seq:
		return e.pullSeq(n, r, dst)
	}
	return nil
}

func (e *careful[T, F]) pullSeq(n *seq, r, dst *cells[T]) error {
	numbers, tiles, mark := e.cells.used, e.tiles.used, e.w.mark()
	defer func() {
		e.cells.used, e.tiles.used = numbers, tiles
		e.w.release(mark)
	}()
	for k := len(n.parts) - 1; k > 0; k-- {
		if n.mids[k] == nil {
			r = e.scaled(n.parts[k].(*diag), r)
			continue
		}
		at, into := e.w.places.alloc(len(r.at)), e.tile(*r)
		into.at = e.w.samePlaces(r.at)
		for j, p := range r.at {
			s := spanOf(n.parts[k], p.span())
			at[j] = place{row: p.row, src: j, base: s.lo, width: s.width()}
			into.at[j].row = j
		}
		mid := e.newCells(n.mids[k], at, nil)
		if k == n.second() {
			e.wantFor(mid, n.parts[0], r.at, dst)
		}
		if err := e.pull(n.parts[k], into, mid); err != nil {
			return err
		}
		r = mid
	}
	return e.pull(n.parts[0], r, dst)
}

// scaled is r·diag(s), in place where nobody else needs r.
func (e *careful[T, F]) scaled(n *diag, r *cells[T]) *cells[T] {
	s := e.tile(*r)
	s.at = e.w.samePlaces(r.at)
	if n.factor != nil && !r.owned {
		s.val, s.owned = e.cells.alloc(len(r.val)), true
		copy(s.val, r.val)
	}
	for j, p := range r.at {
		s.at[j].base += n.offset
		for τ := range r.taps() {
			if n.factor == nil || !s.wants(p.src, τ) {
				continue
			}
			row := s.row(p.src, τ)[p.skip:][:p.width]
			for c := range row {
				row[c] = e.f.scale(row[c], n.factor, p.base+c)
			}
		}
	}
	return s
}

// tile is c in e's memory.
func (e *careful[T, F]) tile(c cells[T]) *cells[T] {
	p := &e.tiles.alloc(1)[0]
	*p = c
	return p
}

func (e *careful[T, F]) pullDiag(n *diag, r, dst *cells[T]) {
	for _, p := range r.at {
		s := span{p.base + n.offset, p.base + p.width + n.offset}
		x, y := dst.columns(p.row, s)
		for τ := range r.taps() {
			from := r.row(p.src, τ)[p.skip:][:p.width]
			for i := x; i < y; i++ {
				c := dst.channel(p.row, i) - n.offset
				v := from[c-p.base]
				if n.factor != nil {
					v = e.f.scale(v, n.factor, c)
				}
				if n.area > 1 {
					v = e.f.divide(v, n.area)
				}
				for _, to := range n.table[τ*n.taps():][:n.taps()] {
					cell := &dst.row(p.row, to)[i]
					*cell = e.f.add(*cell, v)
				}
			}
		}
	}
}

func (e *careful[T, F]) pullConv(n *conv, r, dst *cells[T]) error {
	src := e.w.source(n)
	limit := 0
	for _, p := range r.at {
		limit = max(limit, p.base+p.width)
	}
	for j := 0; j < len(r.at); {
		end := run(r.at, j)
		for k := j + 1; k < end; k++ {
			if dst.at[r.at[k].row].base != dst.at[r.at[j].row].base {
				end = k
			}
		}
		e.pairs = wantedPairs(e.pairs[:0], n, r, dst, r.at[j:end])
		for k := r.at[j].base; k < r.at[j].base+r.at[j].width; k++ {
			b, err := src.row(k, limit)
			if err != nil {
				return err
			}
			e.pullRow(n, b, r, dst, r.at[j:end], e.pairs, k)
		}
		j = end
	}
	return nil
}

// pair is a tap of a row, a tap of the kernel that it meets, and the tap of the
// destination that their product goes to.
type pair struct{ row, τ, t, to int }

// wantedPairs adds to list the pairs whose products are wanted, of the rows at.
func wantedPairs[T any](list []pair, n *conv, r, dst *cells[T], at []place) []pair {
	for j, p := range at {
		for k, to := range n.table {
			if dst.wants(p.row, to) {
				list = append(list, pair{j, k / n.taps(), k % n.taps(), to})
			}
		}
	}
	return list
}

// pullRow adds what the rows at make of stored row k. They touch the same channels,
// and their columns in the destination begin at the same one.
func (e *careful[T, F]) pullRow(n *conv, b []byte, r, dst *cells[T], at []place, pairs []pair, k int) {
	group := k / (n.rows / n.groups)
	s := span{group * n.width, (group + 1) * n.width}
	x, y := dst.columns(at[0].row, s)
	if x >= y {
		return
	}
	strips := e.gather(n, b, dst, at[0].row, s.lo, x, y, pairs)
	for _, q := range pairs {
		p := at[q.row]
		a := r.row(p.src, q.τ)[p.skip+k-p.base]
		e.f.axpy(dst.row(p.row, q.to), x, a, strips[q.t*(y-x):][:y-x], dst.wanted(p.row, q.to))
	}
}

// gather decodes, tap after tap, the elements of a stored row that stand in the
// columns from x to y-1 of row o; the stored row begins at channel base. Those at taps that
// no pair has are anything.
func (e *careful[T, F]) gather(n *conv, b []byte, dst *cells[T], o, base, x, y int, pairs []pair) []float64 {
	taps, size, w := n.taps(), n.weight.Type.Size(), e.w
	w.strips = slices.Grow(w.strips[:0], taps*(y-x))[:taps*(y-x)]
	var row []float64 // all of it decoded, where nearly all of it is asked for
	if dst.cols == nil {
		row = w.decode(b, n)
	}
	e.gathered = slices.Grow(e.gathered[:0], taps)[:taps]
	clear(e.gathered)
	for _, q := range pairs {
		if e.gathered[q.t] {
			continue
		}
		e.gathered[q.t] = true
		for i := x; i < y; i++ {
			from := (dst.channel(o, i)-base)*taps + q.t
			to := w.strips[q.t*(y-x)+i-x:][:1]
			if row != nil {
				to[0] = row[from]
			} else {
				tensor.Decode(to, b[from*size:(from+1)*size], n.weight.Type)
			}
		}
	}
	return w.strips
}
