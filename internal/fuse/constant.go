package fuse

import "repfuse/internal/micro"

// Bias stores the bias of all output channels in dst and returns how many of them
// were not zero and became subnormal or zero. It is zero where the form has none. The
// first call computes it, reading those kernels that a constant meets; a value that
// the element type cannot hold is an *OverflowError.
func (f *Fused) Bias(dst []byte) (small int, err error) {
	bias, err := f.Constant()
	if err != nil {
		return 0, err
	}
	size := f.Type.Size()
	hi := make([]float64, len(bias))
	for o, v := range bias {
		hi[o] = v[0]
		if encode(dst[o*size:(o+1)*size], []float64{rounded(dd{v[0], v[1]}, f.Type)}, f.Type).infinite {
			if err := f.finite(); err != nil {
				return 0, err
			}
			return 0, &OverflowError{Channel: o, Value: v[0], Type: f.Type, Bias: true}
		}
	}
	return countSmall(hi, f.Type), nil
}

// Constant is the bias as double-double numbers, hi and lo, an output channel each.
// Of n terms it errs by less than n·2⁻¹⁰⁰ of the sum of their magnitudes.
func (f *Fused) Constant() ([][2]float64, error) {
	f.biasOnce.Do(func() {
		f.bias, f.biasErr = constant(f.forward, nil)
	})
	if f.biasErr != nil {
		return nil, f.biasErr
	}
	all := make([][2]float64, f.Form.Out)
	for o, v := range f.bias {
		all[o] = [2]float64{v.hi, v.lo}
	}
	return all, nil
}

// constant is what n makes of an image that is the constant in everywhere; nil is
// zero. It may be in itself or a vector of n, and is not to be written to.
func constant(n node, in []dd) ([]dd, error) {
	switch n := n.(type) {
	case *diag:
		return n.constant(in), nil
	case *conv:
		return n.constant(in)
	case *seq:
		var err error
		for _, p := range n.parts {
			if in, err = constant(p, in); err != nil {
				return nil, err
			}
		}
		return in, nil
	case *sum:
		var all []dd
		for _, p := range n.parts {
			v, err := constant(p, in)
			if err != nil {
				return nil, err
			}
			all = sumOf(all, v)
		}
		return all, nil
	case *concat:
		var all []dd
		for k, p := range n.parts {
			v, err := constant(p, in)
			if err != nil {
				return nil, err
			}
			if v == nil {
				v = make([]dd, n.from[k+1]-n.from[k])
			}
			all = append(all, v...)
		}
		return all, nil
	}
	return in, nil
}

// sumOf is a+b as a new vector, or the other itself where one is nil.
func sumOf(a, b []dd) []dd {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	s := make([]dd, len(a))
	for i := range s {
		s[i] = a[i].add(b[i])
	}
	return s
}

// constant: an average of a constant is that constant.
func (n *diag) constant(in []dd) []dd {
	if in != nil && n.to > 0 {
		in = in[n.offset:n.to]
	}
	if in != nil && n.factor != nil {
		scaled := make([]dd, len(in))
		for c, v := range in {
			scaled[c] = v.mul(n.factor.value[c])
		}
		in = scaled
	}
	return sumOf(in, n.term)
}

// constant: the kernel summed over its taps, times in, plus the bias.
func (n *conv) constant(in []dd) ([]dd, error) {
	out := asDD(n.bias)
	if in == nil {
		return out, nil
	}
	if out == nil {
		out = make([]dd, n.rows)
	}
	hi, lo := n.overTaps(in)
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
func (n *conv) overTaps(in []dd) (hi, lo []float64) {
	hi, lo = make([]float64, 0, len(in)*n.taps()), make([]float64, 0, len(in)*n.taps())
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
