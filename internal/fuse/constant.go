package fuse

import (
	"slices"

	"repfuse/internal/micro"
)

// Bias stores the bias of all output channels in dst and returns how many of them
// were not zero and became subnormal or zero. It is zero where the form has none. The
// first call computes it, reading those kernels that a constant meets; a value that
// the element type cannot hold is an *OverflowError.
func (f *Fused) Bias(dst []byte) (small int, err error) {
	bias, err := f.constant()
	if err != nil {
		return 0, err
	}
	size := f.Type.Size()
	var part [256]float64
	for first := 0; first < len(bias); first += len(part) {
		v := part[:min(len(part), len(bias)-first)]
		for o := range v {
			v[o] = rounded(bias[first+o], f.Type)
		}
		if encode(dst[first*size:][:len(v)*size], v, f.Type).infinite {
			return 0, f.biasOverflow(dst, bias)
		}
		small += countSmall(v, f.Type)
	}
	return small, nil
}

// biasOverflow is the error of a stored bias that is infinite somewhere.
func (f *Fused) biasOverflow(dst []byte, bias []dd) error {
	if err := f.finite(); err != nil {
		return err
	}
	size := f.Type.Size()
	o := 0
	for !scan(dst[o*size:][:size], f.Type).infinite {
		o++
	}
	return &OverflowError{Channel: o, Value: bias[o].hi, Type: f.Type, Bias: true}
}

// Constant is the bias as double-double numbers, hi and lo, an output channel each.
// Of n terms it errs by less than n·2⁻¹⁰⁰ of the sum of their magnitudes.
func (f *Fused) Constant() ([][2]float64, error) {
	bias, err := f.constant()
	if err != nil {
		return nil, err
	}
	all := make([][2]float64, len(bias))
	for o, v := range bias {
		all[o] = [2]float64{v.hi, v.lo}
	}
	return all, nil
}

// constant is the bias, all zero where nothing adds one.
func (f *Fused) constant() ([]dd, error) {
	f.biasOnce.Do(func() {
		f.bias, f.biasErr = f.store.constant(f.forward, nil)
		if f.bias == nil {
			f.bias = f.store.zeros(f.Form.Out)
		}
	})
	return f.bias, f.biasErr
}

// constant is what n makes of an image that is the constant in everywhere; nil is
// zero. It may be in itself or a vector of n, and is not to be written to.
func (m *store) constant(n node, in []dd) ([]dd, error) {
	switch n := n.(type) {
	case *diag:
		return m.ofDiag(n, in), nil
	case *conv:
		return m.ofConv(n, in)
	case *seq:
		var err error
		for _, p := range n.parts {
			if in, err = m.constant(p, in); err != nil {
				return nil, err
			}
		}
		return in, nil
	case *sum:
		return m.ofSum(n, in)
	case *concat:
		return m.ofConcat(n, in)
	}
	return in, nil
}

func (m *store) ofSum(n *sum, in []dd) ([]dd, error) {
	var all []dd
	for _, p := range n.parts {
		v, err := m.constant(p, in)
		if err != nil {
			return nil, err
		}
		all = m.sumOf(all, v)
	}
	return all, nil
}

func (m *store) ofConcat(n *concat, in []dd) ([]dd, error) {
	all := m.zeros(n.from[len(n.parts)])
	for k, p := range n.parts {
		v, err := m.constant(p, in)
		if err != nil {
			return nil, err
		}
		copy(all[n.from[k]:], v)
	}
	return all, nil
}

func (m *store) zeros(n int) []dd {
	v := m.pairs.alloc(n)
	clear(v)
	return v
}

// sumOf is a+b as a new vector, or the other itself where one is nil.
func (m *store) sumOf(a, b []dd) []dd {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	s := m.pairs.alloc(len(a))
	for i := range s {
		s[i] = a[i].add(b[i])
	}
	return s
}

// ofDiag: an average of a constant is that constant.
func (m *store) ofDiag(n *diag, in []dd) []dd {
	if in != nil && n.to > 0 {
		in = in[n.offset:n.to]
	}
	if in != nil && n.factor != nil {
		scaled := m.pairs.alloc(len(in))
		for c, v := range in {
			scaled[c] = v.mul(n.factor.value[c])
		}
		in = scaled
	}
	return m.sumOf(in, n.term)
}

// ofConv: the kernel summed over its taps, times in, plus the bias.
func (m *store) ofConv(n *conv, in []dd) ([]dd, error) {
	out := m.asDD(n.bias)
	if in == nil {
		return out, nil
	}
	if out == nil {
		out = m.zeros(n.rows)
	}
	hi, lo := m.overTaps(n, in)
	perGroup := n.rows / n.groups
	err := n.scan(func(o int, row []float64) error {
		from := o / perGroup * n.cells
		out[o] = out[o].add(dot(hi[from:from+n.cells], lo[from:from+n.cells], row))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// overTaps is the input of each group as the rows of the kernel meet it: every channel
// once for every tap.
func (m *store) overTaps(n *conv, in []dd) (hi, lo []float64) {
	total := len(in) * n.taps()
	m.spread = slices.Grow(m.spread[:0], 2*total)
	hi, lo = m.spread[:0:total], m.spread[total:total:2*total]
	for _, v := range in {
		for range n.taps() {
			hi, lo = append(hi, v.hi), append(lo, v.lo)
		}
	}
	return hi, lo
}

// dot is Σ (hi+lo)·w. micro.Twofold is given so few products a lane, 32, that it errs
// by less than 2⁻¹⁰⁰ for each.
func dot(hi, lo, w []float64) dd {
	var sum dd
	for len(w) > 0 {
		n := min(len(w), 32*micro.TwofoldLanes)
		var lanes [2 * micro.TwofoldLanes]float64
		micro.Twofold(&lanes, hi[:n], lo[:n], w[:n])
		for k := range micro.TwofoldLanes {
			sum = sum.add(quickTwoSum(lanes[k], lanes[micro.TwofoldLanes+k]))
		}
		hi, lo, w = hi[n:], lo[n:], w[n:]
	}
	return sum
}
