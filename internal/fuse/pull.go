package fuse

import (
	"math"
	"slices"

	"repfuse/internal/exact"
)

// puller computes a block of rows in float64. Σ|terms| is carried along wherever an
// element has several.
type puller struct {
	*Workspace
	kernels *kernels
	out     *output // where rows end
}

func (s *sumStep) pull(p *puller, r, dst *block) error {
	shared := *r
	shared.owned = false
	for _, part := range s.parts {
		if err := part.pull(p, &shared, dst); err != nil {
			return err
		}
	}
	return nil
}

func (s *concatStep) pull(p *puller, r, dst *block) error {
	for k, part := range s.parts {
		sub := *r // parts touch channels of their own, so each may scale them in place
		if sub.at = partPlaces(r.at, s.of[k]); len(sub.at) == 0 {
			continue
		}
		if err := part.pull(p, &sub, dst); err != nil {
			return err
		}
	}
	return nil
}

func (s *chainStep) pull(p *puller, r, dst *block) (err error) {
	mark := p.floats.used
	defer func() { p.floats.used = mark }()
	for _, l := range s.links {
		if l.scale != nil {
			r = p.scaled(l.scale, r)
		} else if r, err = p.through(l, r); err != nil {
			return err
		}
	}
	return s.first.pull(p, r, dst)
}

// through makes the block that r becomes.
func (p *puller) through(l link, r *block) (*block, error) {
	mid := newBlock(l.mid, &p.floats, len(r.at))
	into := *r // rows go to those of mid
	into.at = slices.Clone(r.at)
	for j, at := range r.at {
		s := l.node.from(at.channels())
		mid.at[j] = place{row: at.row, src: j, base: s.lo, width: s.width()}
		into.at[j].row = j
	}
	err := l.step.pull(p, &into, mid)
	mid.beginAll()
	return mid, err
}

// scaled is r·diag(n), in place where nobody else needs r.
func (p *puller) scaled(n *diag, r *block) *block {
	s := *r
	s.at = shifted(r.at, n.offset)
	if n.factor == nil {
		return &s
	}
	if !r.owned {
		s.sum, s.mag, s.owned = p.floats.alloc(len(r.sum)), p.floats.alloc(len(r.mag)), true
		copy(s.sum, r.sum)
		copy(s.mag, r.mag)
	}
	for _, at := range s.at {
		by := n.factor.Value[at.base:][:at.width]
		for τ := range s.taps() {
			v, mag := s.coefs(at, τ)
			for i, f := range by {
				product := v[i] * f.Hi
				if exact.Lost(product, v[i], f.Hi) {
					p.out.lost = true
				}
				v[i] = product
			}
			for i := range mag {
				mag[i] *= math.Abs(by[i].Hi)
			}
		}
	}
	return &s
}

func (s *diagStep) pull(p *puller, r, dst *block) error {
	mark := p.floats.used
	defer func() { p.floats.used = mark }()
	taps := s.taps()
	together := taps > 1 && dst.interleaved // then all taps of a channel are added at once
	for _, at := range r.at {
		p.floats.used = mark
		v, mag := p.floats.alloc(at.width), p.floats.alloc(at.width)
		for _, τ := range r.taken {
			table := s.table[τ*taps:][:taps]
			t := term{o: at.row, base: at.base + s.offset, a: 1, c: 1}
			t.w, t.m = s.times(v, mag, r, at, τ)
			if together {
				t.w, t.m, t.table = p.repeat(t.w, taps), p.repeat(t.m, taps), table
				dst.add(t)
				continue
			}
			for k := range taps {
				t.table = table[k:][:1]
				dst.add(t)
			}
		}
	}
	return nil
}

// repeat is the elements of v, each so many times.
func (p *puller) repeat(v []float64, times int) []float64 {
	all := p.floats.alloc(len(v) * times)
	for i, x := range v {
		fill(all[i*times:][:times], x)
	}
	return all
}

// times is a row of r at a tap, times the factors, and its magnitudes, except for their
// sign: r's own numbers or, put there, v and mag.
func (s *diagStep) times(v, mag []float64, r *block, at place, τ int) (value, size []float64) {
	from, size := r.coefs(at, τ)
	if size == nil {
		size = from
	}
	if s.factor == nil && s.area <= 1 {
		return from, size
	}
	for i := range v {
		v[i], mag[i] = from[i], size[i]
	}
	if s.factor != nil {
		for i, f := range s.factor.Value[at.base:][:len(v)] {
			v[i], mag[i] = v[i]*f.Hi, mag[i]*f.Hi
		}
	}
	if s.area > 1 {
		for i := range v {
			v[i] /= float64(s.area)
			mag[i] /= float64(s.area)
		}
	}
	return v, mag
}
