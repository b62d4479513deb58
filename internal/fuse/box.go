package fuse

import "repfuse/internal/op"

// box is the taps of a kernel on the lattice of shifts: along axis a those at
// lo[a], lo[a]+step[a], …, ext[a] of them. Taps are counted row-major.
type box struct{ lo, step, ext []int }

func boxOf(f op.Form) box { return box{f.Lo, f.Dilation(), f.Kernel()} }

// point is the box of the one tap that lies on the output's own place.
func point(rank int) box {
	all := make([]int, 3*rank)
	b := box{all[:rank:rank], all[rank : 2*rank : 2*rank], all[2*rank:]}
	for a := range b.ext {
		b.step[a], b.ext[a] = 1, 1
	}
	return b
}

func (b box) taps() int {
	n := 1
	for _, k := range b.ext {
		n *= k
	}
	return n
}

// gap is the distance of the taps along an axis, 0 where there is one only.
func (b box) gap(a int) int {
	if b.ext[a] == 1 {
		return 0
	}
	return b.step[a]
}

func (b box) hi(a int) int { return b.lo[a] + (b.ext[a]-1)*b.step[a] }

// times is where the taps of a product of two kernels lie.
func (b box) times(c box) box {
	p := point(len(b.lo))
	for a := range b.lo {
		p.set(a, b.lo[a]+c.lo[a], b.hi(a)+c.hi(a), op.GCD(b.gap(a), c.gap(a)))
	}
	return p
}

// plus is where the taps of a sum of two kernels lie.
func (b box) plus(c box) box {
	p := point(len(b.lo))
	for a := range b.lo {
		gap := op.GCD(op.GCD(b.gap(a), c.gap(a)), b.lo[a]-c.lo[a])
		p.set(a, min(b.lo[a], c.lo[a]), max(b.hi(a), c.hi(a)), gap)
	}
	return p
}

func (b box) set(a, lo, hi, gap int) {
	b.lo[a] = lo
	if gap > 0 {
		b.step[a], b.ext[a] = gap, 1+(hi-lo)/gap
	}
}

// table says which tap of dst the product of tap τ of b and tap t of c is, for all
// pairs, t running fastest.
func (b box) table(c, dst box) []int {
	list := make([]int, 0, b.taps()*c.taps())
	b.each(func(s []int) {
		c.each(func(t []int) {
			k := 0
			for a := range s {
				k = k*dst.ext[a] + (s[a]+t[a]-dst.lo[a])/dst.step[a]
			}
			list = append(list, k)
		})
	})
	return list
}

// each visits the shifts of all taps in order.
func (b box) each(visit func(shift []int)) {
	s := append([]int(nil), b.lo...)
	for range b.taps() {
		visit(s)
		for a := len(s) - 1; a >= 0; a-- {
			if s[a] += b.step[a]; s[a] <= b.hi(a) {
				break
			}
			s[a] = b.lo[a]
		}
	}
}
