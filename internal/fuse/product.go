package fuse

import (
	"math"
	"slices"

	"repfuse/internal/micro"
)

// pull adds the product of r and a stored kernel.
func (s *convStep) pull(p *puller, r, dst *block) error {
	limit := 0
	for _, at := range r.at {
		limit = max(limit, at.base+at.width)
	}
	for j := 0; j < len(r.at); {
		rows := run(r.at, j)
		for lo, end := rows[0].base, rows[0].base+rows[0].width; lo < end; {
			hi := min(end, (lo/s.perGroup+1)*s.perGroup)
			var err error
			if hi == lo+1 {
				err = s.pullRow(p, r, dst, rows, lo, limit)
			} else {
				err = s.product(p, r, dst, rows, channels{lo, hi})
			}
			if err != nil {
				return err
			}
			lo = hi
		}
		j += len(rows)
	}
	return nil
}

// pullRow adds multiples of row k of a stored kernel. It is the way of every first
// kernel, where a row of r is a single channel: no sums, the stored row once over.
func (s *convStep) pullRow(p *puller, r, dst *block, rows []place, k, limit int) error {
	b, err := p.kernels.row(s.conv, k, limit)
	if err != nil {
		return err
	}
	direct := s.whole && dst.direct
	var row []float64
	if !direct {
		row = p.kernels.decode(s.conv, b)
	}
	for _, at := range rows {
		for _, τ := range r.taken {
			a, mag := r.coefs(at, τ)
			if mag == nil {
				mag = a
			}
			i := k - at.base
			if direct {
				p.out.copy(at.row, s.conv, b, a[i])
				continue
			}
			dst.add(term{at.row, s.group(k).lo, s.table[τ*s.taps():][:s.taps()], a[i], math.Abs(mag[i]), row, row})
		}
	}
	return nil
}

// product adds, for rows that touch the same channels of one group, what they make of that
// group's stored rows k. There Σ|terms| ≤ ‖row‖·‖column‖ (Cauchy, Schwarz).
func (s *convStep) product(p *puller, r, dst *block, rows []place, k channels) error {
	mark := p.floats.used
	defer func() { p.floats.used = mark }()
	base := s.group(k.lo).lo
	norms := s.norms[k.lo/s.perGroup*s.cells:][:s.cells]
	var c []float64
	stride := dst.width
	if s.keeps && sideBySide(rows) {
		c = dst.grid(rows[0].row, len(rows), base)
	}
	direct := c != nil
	if !direct {
		c, stride = p.floats.alloc(len(rows)*r.taps()*s.cells), s.cells
		clear(c)
	}
	if err := s.multiply(p, c, stride, r, rows, k); err != nil {
		return err
	}
	for j, at := range rows {
		for _, τ := range r.taken {
			b := r.norm(at, τ, k)
			if direct {
				_, mag, _ := dst.line(at.row, τ, base-dst.at[at.row].base, s.width)
				raise(mag, norms, b)
				continue
			}
			table := s.table[τ*s.taps():][:s.taps()]
			dst.add(term{at.row, base, table, 1, b, c[(j*r.taps()+τ)*s.cells:][:s.cells], norms})
		}
	}
	return nil
}

// multiply adds the rows of r times the stored rows k to c, whose rows lie stride apart.
func (s *convStep) multiply(p *puller, c []float64, stride int, r *block, rows []place, k channels) error {
	m, first := len(rows)*r.taps(), rows[0]
	for from := k.lo; from < k.hi; {
		// chunks begin at multiples, so that every row adds in the same order
		count := min(k.hi, (from/s.chunk()+1)*s.chunk()) - from
		stored, err := p.kernels.rows(s.conv, from, count)
		if err != nil {
			return err
		}
		a := r.sum[first.src*r.taps()*r.width+first.skip+from-first.base:]
		for x := 0; x < s.cells; x += micro.Panel {
			width := min(micro.Panel, s.cells-x)
			s.decodePanel(&p.panel, stored, x, width)
			micro.Gemm64(c[x:], stride, a, r.width, p.panel[:], micro.Panel, m, width, count)
		}
		from += count
	}
	return nil
}

// decodePanel decodes the cells from x on, so many of each stored row.
func (n *conv) decodePanel(dst *[gemmBlock * micro.Panel]float64, stored []byte, x, width int) {
	size := n.weight.Type.Size()
	for at, to := x*size, 0; at < len(stored); at, to = at+n.rowBytes(), to+micro.Panel {
		micro.Scale(dst[to:][:width], stored[at:][:width*size], n.weight.Type, 1)
	}
}

// sideBySide reports whether rows go to rows one after the other.
func sideBySide(at []place) bool {
	return !slices.ContainsFunc(at, func(p place) bool { return p.row-at[0].row != p.src-at[0].src })
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
func (b *block) norm(p place, τ int, k channels) float64 {
	v, mag := b.coefs(p, τ)
	if mag != nil {
		v = mag
	}
	v = v[k.lo-p.base : k.hi-p.base]
	all := v
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
	if sum := (s[0] + s[1]) + (s[2] + s[3]); sum >= lostSquares {
		return math.Sqrt(sum)
	}
	most := 0.0
	for _, x := range all {
		most = max(most, math.Abs(x))
	}
	return math.Sqrt(float64(len(all))) * most
}
