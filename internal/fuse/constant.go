package fuse

import (
	"repfuse/internal/exact"
	"repfuse/internal/micro"
)

// bias computes the constant that the expression adds to each output channel, all zero
// where nothing does. It reads those kernels that a constant meets.
func (f *Fused) bias(k *kernels) ([]exact.DD, error) {
	bias, err := f.forward.constant(k, nil)
	if bias == nil {
		bias = make([]exact.DD, f.Form.Out)
	}
	return bias, err
}

// storeBias stores the bias in dst and tells how many elements were not zero and became
// subnormal or zero.
func (f *Fused) storeBias(dst []byte, k *kernels) (small int, err error) {
	bias, err := f.bias(k)
	if err != nil {
		return 0, err
	}
	v := make([]float64, len(bias))
	for o := range v {
		v[o] = rounded(bias[o], f.Type)
	}
	if encode(dst, v, f.Type).infinite {
		if err := f.finite(k); err != nil {
			return 0, err
		}
		size, o := f.Type.Size(), 0
		for !scan(dst[o*size:][:size], f.Type).infinite {
			o++
		}
		return 0, &OverflowError{Channel: o, Value: bias[o].Hi, Type: f.Type, Bias: true}
	}
	return countSmall(v, f.Type), nil
}

func (n *seq) constant(k *kernels, in []exact.DD) (_ []exact.DD, err error) {
	for _, p := range n.parts {
		if in, err = p.constant(k, in); err != nil {
			return nil, err
		}
	}
	return in, nil
}

func (n *sum) constant(k *kernels, in []exact.DD) ([]exact.DD, error) {
	var all []exact.DD
	for _, p := range n.parts {
		v, err := p.constant(k, in)
		if err != nil {
			return nil, err
		}
		all = sumOf(all, v)
	}
	return all, nil
}

func (n *concat) constant(k *kernels, in []exact.DD) ([]exact.DD, error) {
	all := make([]exact.DD, n.first[len(n.parts)])
	for j, p := range n.parts {
		v, err := p.constant(k, in)
		if err != nil {
			return nil, err
		}
		copy(all[n.first[j]:], v)
	}
	return all, nil
}

// sumOf is a+b as a new vector, or the other itself where one is nil.
func sumOf(a, b []exact.DD) []exact.DD {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	s := make([]exact.DD, len(a))
	for i := range s {
		s[i] = a[i].Add(b[i])
	}
	return s
}

// constant: an average of a constant is that constant.
func (n *diag) constant(_ *kernels, in []exact.DD) ([]exact.DD, error) {
	if in != nil && n.to > 0 {
		in = in[n.offset:n.to]
	}
	if in != nil && n.factor != nil {
		scaled := make([]exact.DD, len(in))
		for c, v := range in {
			scaled[c] = v.Mul(n.factor.Value[c])
		}
		in = scaled
	}
	return sumOf(in, n.term), nil
}

// constant: the kernel summed over its taps, times in, plus the bias.
func (n *conv) constant(k *kernels, in []exact.DD) ([]exact.DD, error) {
	out := inDD(n.bias)
	if in == nil {
		return out, nil
	}
	if n.scatters > 0 {
		return n.scatter(k, in, out)
	}
	if out == nil {
		out = make([]exact.DD, n.rows)
	}
	hi, lo := n.overTaps(in)
	err := k.scan(n, func(o int, row []float64) error {
		from := o / n.perGroup * n.cells
		out[o] = out[o].Add(dot(hi[from:from+n.cells], lo[from:from+n.cells], row))
		return nil
	})
	return out, err
}

// scatter adds what a product by a matrix [I, O/g] makes of a constant.
func (n *conv) scatter(k *kernels, in, out []exact.DD) ([]exact.DD, error) {
	if out == nil {
		out = make([]exact.DD, n.scatters)
	}
	err := k.scan(n, func(i int, row []float64) error {
		for j, w := range row {
			o := i/n.perGroup*n.width + j
			out[o] = out[o].Add(in[i].Times(w))
		}
		return nil
	})
	return out, err
}

// overTaps is the input of each group as the rows of the kernel meet it: every channel
// once for every tap.
func (n *conv) overTaps(in []exact.DD) (hi, lo []float64) {
	taps := n.taps()
	hi, lo = make([]float64, len(in)*taps), make([]float64, len(in)*taps)
	for c, v := range in {
		fill(hi[c*taps:][:taps], v.Hi)
		fill(lo[c*taps:][:taps], v.Lo)
	}
	return hi, lo
}

// dot is Σ (hi+lo)·w. micro.Twofold is given so few products a lane, 32, that it errs
// by less than 2⁻¹⁰⁰ for each.
func dot(hi, lo, w []float64) exact.DD {
	var sum exact.DD
	for len(w) > 0 {
		n := min(len(w), 32*micro.TwofoldLanes)
		var lanes [2 * micro.TwofoldLanes]float64
		micro.Twofold(&lanes, hi[:n], lo[:n], w[:n])
		for k := range micro.TwofoldLanes {
			sum = sum.Add(exact.QuickTwoSum(lanes[k], lanes[micro.TwofoldLanes+k]))
		}
		hi, lo, w = hi[n:], lo[n:], w[n:]
	}
	return sum
}
