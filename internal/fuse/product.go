package fuse

import (
	"math"
	"slices"

	"repfuse/internal/micro"
)

// run is the rows from j on that touch the same channels and are stored together.
func run(at []place, j int) int {
	first, end := at[j], j+1
	for end < len(at) {
		p := at[end]
		if p.base != first.base || p.width != first.width || p.skip != first.skip || p.src != first.src+end-j {
			break
		}
		end++
	}
	return end
}

// pullConv adds the product of r and a stored kernel.
func (w *Worker) pullConv(n *conv, r *tile, dst target) error {
	src := w.source(n)
	limit := 0
	for _, p := range r.at {
		limit = max(limit, p.base+p.width)
	}
	perGroup := n.rows / n.groups
	for j := 0; j < len(r.at); {
		end := run(r.at, j)
		s := r.at[j].span()
		for lo := s.lo; lo < s.hi; {
			hi := min(s.hi, (lo/perGroup+1)*perGroup)
			var err error
			if hi == lo+1 {
				err = w.pullRow(n, src, r, dst, r.at[j:end], lo, limit)
			} else {
				err = w.product(n, src, r, dst, r.at[j:end], span{lo, hi})
			}
			if err != nil {
				return err
			}
			lo = hi
		}
		j = end
	}
	return nil
}

// pullRow adds multiples of row k of a stored kernel. It is the way of every first
// kernel, where a row of r is a single channel: no sums, the stored row once over.
func (w *Worker) pullRow(n *conv, src *source, r *tile, dst target, at []place, k, limit int) error {
	b, err := src.row(k, limit)
	if err != nil {
		return err
	}
	base := k / (n.rows / n.groups) * n.width
	var row []float64
	for _, p := range at {
		for _, τ := range r.taken {
			a, mag := r.coef(p, τ, k)
			table := n.table[τ*n.taps():][:n.taps()]
			if r.slots == 0 && dst.whole(p.row, base, n, b, a) {
				continue
			}
			if row == nil {
				row = w.decode(b, n)
			}
			dst.spread(strip{p.row, base, table, a, mag, row, row})
		}
	}
	return nil
}

func (w *Worker) decode(b []byte, n *conv) []float64 {
	w.row = slices.Grow(w.row[:0], n.cells)
	row := w.row[:n.cells]
	micro.Scale(row, b, n.weight.Type, 1)
	return row
}

// product adds, for rows that touch several channels of one group, what they make
// of that group's stored rows k. There Σ|terms| ≤ ‖row‖·‖column‖ (Cauchy, Schwarz).
func (w *Worker) product(n *conv, src *source, r *tile, dst target, at []place, k span) error {
	held, err := w.f.multiplied(n)
	if err != nil {
		return err
	}
	src.held = held
	mark := w.floats.used
	defer func() { w.floats.used = mark }()
	group := k.lo / (n.rows / n.groups)
	base, norms := group*n.width, n.norms[group*n.cells:][:n.cells]
	m := len(at) * r.taps()
	var c []float64
	var stride int
	if n.keeps && sideBySide(at) {
		c, stride = dst.grid(at[0].row, len(at), base)
	}
	direct := c != nil
	if !direct {
		c, stride = w.floats.alloc(m*n.cells), n.cells
		clear(c)
	}
	for from := k.lo; from < k.hi; {
		// chunks begin at multiples, so that every row adds in the same order
		rows := min(k.hi, (from/n.chunk()+1)*n.chunk()) - from
		stored, err := src.rows(from, rows)
		if err != nil {
			return err
		}
		p := at[0]
		a := r.val[p.src*r.taps()*r.width+p.skip+from-p.base:]
		for x := 0; x < n.cells; x += micro.Panel {
			width := min(micro.Panel, n.cells-x)
			n.decodePanel(&w.panel, stored, x, width)
			micro.Gemm64(c[x:], stride, a, r.width, w.panel[:], micro.Panel, m, width, rows)
		}
		from += rows
	}
	for j, p := range at {
		for _, τ := range r.taken {
			b := r.norm(p, τ, k)
			if direct {
				raise(dst.magnitudes(p.row, τ, base, n.width), norms, b)
				continue
			}
			table := n.table[τ*n.taps():][:n.taps()]
			dst.spread(strip{p.row, base, table, 1, b, c[(j*r.taps()+τ)*n.cells:][:n.cells], norms})
		}
	}
	return nil
}

// decodePanel decodes the cells from x on, so many of each stored row.
func (n *conv) decodePanel(dst *[gemmBlock * micro.Panel]float64, stored []byte, x, width int) {
	size := n.weight.Type.Size()
	row := n.cells * size
	for at, to := x*size, 0; at < len(stored); at, to = at+row, to+micro.Panel {
		micro.Scale(dst[to:][:width], stored[at:][:width*size], n.weight.Type, 1)
	}
}

// sideBySide reports whether rows go to rows one after the other.
func sideBySide(at []place) bool {
	for j, p := range at {
		if p.row != at[0].row+j {
			return false
		}
	}
	return true
}

// raise adds b·m to mag; m has no negative numbers. Its halves are added at once.
func raise(mag, m []float64, b float64) {
	h := len(mag) / 2
	micro.AddScaled(mag[:h], mag[h:2*h], m[:h], m[h:2*h], b, b)
	if n := len(mag); 2*h < n {
		mag[n-1] += float64(b * m[n-1])
	}
}

// norm is ‖r‖₂ over some channels of a row at a tap, of magnitudes where it has them.
func (r *tile) norm(p place, τ int, k span) float64 {
	v, mag := r.coefs(p, τ)
	if mag != nil {
		v = mag
	}
	v = v[k.lo-p.base : k.hi-p.base]
	var s [4]float64 // chains that do not wait for each other
	for ; len(v) >= 4; v = v[4:] {
		s[0] += float64(v[0] * v[0])
		s[1] += float64(v[1] * v[1])
		s[2] += float64(v[2] * v[2])
		s[3] += float64(v[3] * v[3])
	}
	for _, x := range v {
		s[0] += float64(x * x)
	}
	return math.Sqrt((s[0] + s[1]) + (s[2] + s[3]))
}
