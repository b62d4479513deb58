package unfuse

import (
	"cmp"
	"math"
	"slices"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// piece is where a branch's own kernel lies in that of a block: row and col are the block's channels at which it begins.
type piece struct {
	op.Form
	row, col int
}

// in lists, for each element of the piece's kernel, its place among those of a form's kernel, -1 for none.
func (p piece) in(g op.Form) []int {
	taps := make([]int, p.Taps())
	for t := range taps {
		rest, unit := t, 1
		for a := p.Rank() - 1; a >= 0; a-- {
			n, step := p.Kernel()[a], g.Dilation()[a]
			at := p.Lo[a] + rest%n*p.Dilation()[a] - g.Lo[a]
			if rest /= n; at < 0 || at%step != 0 || at/step >= g.Kernel()[a] || taps[t] < 0 {
				taps[t] = -1
				continue
			}
			taps[t] += at / step * unit
			unit *= g.Kernel()[a]
		}
	}
	width, wide := p.In/p.Groups, g.In/g.Groups
	list := make([]int, 0, p.Out*width*len(taps))
	for o := range p.Out {
		row := p.row + o
		first := p.col + o/(p.Out/p.Groups)*width - row/(g.Out/g.Groups)*wide
		for i := first; i < first+width; i++ {
			for _, t := range taps {
				if t < 0 || i < 0 || i >= wide {
					list = append(list, -1)
				} else {
					list = append(list, (row*wide+i)*g.Taps()+t)
				}
			}
		}
	}
	return list
}

// cut is the elements of w that lie in a piece, as keep has them; elements that it has and w has not are zero.
func (w want) cut(p piece, keep func(at int, v float64) float64) tensor.Tensor {
	return tensor.Later(w.kernel.Type, p.WeightShape(), func() ([]float64, error) {
		v, err := w.kernel.Floats()
		if err != nil {
			return nil, err
		}
		list := p.in(w.form)
		part := make([]float64, len(list))
		for k, at := range list {
			if at >= 0 {
				part[k] = keep(at, v[at])
			}
		}
		return part, nil
	})
}

func whole(_ int, v float64) float64 { return v }

// minus is w less n times what an operator without tensors, such as the input itself, does.
func (w want) minus(e op.Expr, n float64) (want, error) {
	f, err := op.CheckFrom(e, w.form.In, w.form.Rank())
	w.kernel = changed(w.kernel, func(v []float64) {
		for _, at := range (piece{Form: f}).in(w.form) {
			if at >= 0 {
				v[at] -= n / float64(f.Taps())
			}
		}
	})
	return w, err
}

// pieceOf is a branch without the channels that it selects first, and where it lies.
func (s *solver) pieceOf(e op.Expr, c channels) (op.Expr, piece, error) {
	var p piece
	rest := e
	if q, ok := e.(op.Seq); ok && len(q) > 1 {
		if x, ok := q[0].(op.Select); ok {
			rest, p.col, c.in = q[1:], x.From, x.To-x.From
		}
	} else if x, ok := e.(op.Select); ok {
		rest, p.col, c.in = op.Identity{}, x.From, x.To-x.From
	}
	var err error
	p.Form, err = op.CheckFrom(rest, c.in, s.rank)
	return rest, p, err
}

// placeRows places the kernel in parts that are stacked, some rows in each.
func (s *solver) placeRows(e op.Concat, c channels, w want) error {
	f, err := op.CheckFrom(e, c.in, s.rank)
	switch {
	case err != nil:
		return err
	case w.less != 0:
		return refuse(3, inputAdded)
	case f.Out != w.form.Out:
		return refuse(0, noKernel)
	}
	row := 0
	for _, part := range e {
		rest, p, err := s.pieceOf(part, c)
		switch {
		case err != nil:
			return err
		case !s.some && !slices.Equal(p.WeightShape()[1:], w.form.WeightShape()[1:]):
			return refuse(0, noKernel)
		}
		here := want{form: p.Form}
		if len(w.bias) > 0 {
			here.bias = w.bias[row:][:p.Out]
		}
		if !addsConstant(part) && nothing(here.bias) {
			here.bias = nil
		}
		p.row = row
		here.kernel = w.cut(p, whole)
		if err := s.place(rest, channels{in: p.In}, here); err != nil {
			return err
		}
		row += p.Out
	}
	return nil
}

// placeSplit has each branch of a sum take what it can of a kernel and the branches before it cannot.
func (s *solver) placeSplit(e op.Sum, c channels, w want) error {
	if !s.some || w.less != 0 || w.form.Transposed {
		return refuse(0, noKernel)
	}
	taken := make([]int, w.kernel.Len()) // by which branch, from 1 on
	some := false
	for k, branch := range e {
		rest, p, err := s.pieceOf(branch, c)
		if err == nil && p.Out != w.form.Out {
			err = refuse(0, noKernel)
		}
		if err != nil {
			return err
		}
		here := want{form: p.Form}
		if addsConstant(branch) {
			here.bias, w.bias = w.bias, nil
		}
		mine := p.in(w.form)
		swap := func(from, to int) {
			for _, at := range mine {
				if at >= 0 && taken[at] == from {
					taken[at] = to
				}
			}
		}
		here.kernel = w.cut(p, func(at int, v float64) float64 {
			if taken[at] != k+1 {
				return 0
			}
			return v
		})
		err = s.first(2, func(n int) error {
			if n == 1 {
				swap(k+1, 0)
				return s.silence(branch)
			}
			swap(0, k+1)
			err := s.place(rest, channels{in: p.In}, here)
			some = some || err == nil
			return err
		})
		if err != nil {
			return err
		}
	}
	if !some {
		return refuse(0, noKernel)
	}
	return s.constant(nil, w.bias)
}

// share is a small part of a kernel, which a branch has: of each element no more than most, another share of each.
type share struct {
	piece
	seed uint64
	most float64
}

// of is a whole number of ulps of v, of v's sign and no larger: v less some such is exact. It is 0 only where one ulp is
// more than most.
func (p share) of(at int, v float64, typ tensor.Type) float64 {
	x := p.seed<<40 + uint64(at) // mixed as in splitmix64, by Steele, Lea and Flood
	for _, by := range []uint64{0xbf58476d1ce4e5b9, 0x94d049bb133111eb} {
		x = (x ^ x>>31) * by
	}
	u := tensor.Ulp(v, typ)
	return math.Copysign(math.Ceil(math.Floor(math.Abs(v)/u*p.most)*float64(x>>11)*0x1p-53), v) * u
}

// amid places the kernel in e and makes the others zero, or a small part of the kernel, of which e has the rest.
func (s *solver) amid(others []op.Expr, e op.Expr, c channels, w want) error {
	var shares []share
	for _, branch := range others {
		err := s.first(2, func(n int) error {
			if n == 1 {
				return s.silence(branch)
			}
			p, err := s.placeShare(branch, c, w, s.small/float64(len(others)))
			if err == nil {
				shares = append(shares, p)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if len(shares) > 0 {
		kernel := w.kernel
		w.kernel = changed(kernel, func(v []float64) {
			of := slices.Clone(v)
			for _, p := range shares {
				for _, at := range p.in(w.form) {
					if at >= 0 {
						v[at] -= p.of(at, of[at], kernel.Type)
					}
				}
			}
		})
	}
	return s.place(e, c, w)
}

// placeShare places at most so much of each element in a branch that can have it. A kernel of zeros it does not: silence
// is better at that.
func (s *solver) placeShare(e op.Expr, c channels, w want, most float64) (share, error) {
	rest, p, err := s.pieceOf(e, c)
	if err != nil {
		return share{}, err
	}
	if most == 0 || p.Transposed || p.In != w.form.In || p.Out != w.form.Out {
		return share{}, refuse(0, noKernel)
	}
	s.parts++
	part := share{p, s.parts, most}
	here := want{form: p.Form, kernel: w.cut(p, func(at int, v float64) float64 { return part.of(at, v, w.kernel.Type) })}
	if v, err := here.kernel.Floats(); err != nil || nothing(v) {
		return share{}, cmp.Or(err, refuse(0, noKernel))
	}
	return part, s.place(rest, c, here)
}

// setGain has a batch norm multiply each channel by an element of what is wanted, a depthwise kernel of one tap.
func (s *solver) setGain(e op.BatchNorm, w want) error {
	if e.Gamma == nil || storedType(*e.Gamma) != s.typ || w.less != 0 || w.form.Taps() > 1 || w.form.Groups < w.form.In {
		return refuse(0, noKernel)
	}
	// σ²+ε is within a quarter ulp of 1, and half of that in its root
	gamma := w.kernel
	gamma.Shape = e.Gamma.Shape
	return cmp.Or(s.put(*e.Gamma, gamma), s.fill(*e.Var, 1-e.Eps), s.fill(*e.Mean, 0), s.constant(e.Beta, w.bias))
}
