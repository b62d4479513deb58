package fuse

import (
	"cmp"
	"math"
	"math/big"
	"slices"

	"repfuse/internal/exact"
	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

// bias computes the constant that the expression adds to each output channel, all zero
// where nothing does. It reads those kernels that a constant meets. What is too small or too
// large on the way for double-double numbers is computed at 256 bits.
func (f *Fused) bias(k *kernels) ([]exact.DD, error) {
	low := false
	double := &constants[exact.DD, exact.Doubles]{exact.Doubles{Low: &low}, k, addProducts(&low)}
	bias, err := double.of(f.forward, nil)
	if fine := allFinite(bias); err == nil && (low || !fine) {
		if err := f.finite(k); err != nil && !fine {
			return nil, err
		}
		real := &constants[*big.Float, exact.Reals]{exact.Reals{}, k, nil}
		v, err := real.of(f.forward, nil)
		for o := range v {
			bias[o] = exact.Reals{}.DD(v[o])
		}
		return bias, err
	}
	if bias == nil {
		bias = make([]exact.DD, f.Form.Out)
	}
	return bias, err
}

func allFinite(v []exact.DD) bool {
	return !slices.ContainsFunc(v, func(x exact.DD) bool { return math.IsNaN(x.Hi-x.Hi) || math.IsNaN(x.Lo-x.Lo) })
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

// constants computes, in any field, what nodes make of images that are constant.
type constants[T any, F exact.Field[T]] struct {
	field   F
	kernels *kernels
	// conv adds a kernel, summed over its taps, times in to out; nil is term by term.
	conv func(k *kernels, n *conv, in, out []T) error
}

// of is what the node makes of an image that is the constant in everywhere. nil is zero; the
// result may be in itself.
func (e *constants[T, F]) of(n node, in []T) (all []T, err error) {
	switch n := n.(type) {
	case *seq:
		for _, p := range n.parts {
			if in, err = e.of(p, in); err != nil {
				return nil, err
			}
		}
		return in, nil
	case *sum:
		for _, p := range n.parts {
			v, err := e.of(p, in)
			if err != nil {
				return nil, err
			}
			all = e.add(all, v)
		}
	case *concat:
		all = make([]T, n.first[len(n.parts)])
		for j, p := range n.parts {
			v, err := e.of(p, in)
			if err != nil {
				return nil, err
			}
			copy(all[n.first[j]:], v)
		}
	case *diag:
		return e.diag(n, in), nil
	case *conv:
		return e.product(n, in)
	}
	return all, nil
}

// add is a+b as a new vector, or the other itself where one is nil.
func (e *constants[T, F]) add(a, b []T) []T {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	s := make([]T, len(a))
	for i := range s {
		s[i] = e.field.Add(a[i], b[i])
	}
	return s
}

// terms is a vector of constants; nil stays nil.
func (e *constants[T, F]) terms(t *exact.Terms) []T {
	if t == nil {
		return nil
	}
	v := make([]T, len(t.Value))
	for c := range v {
		v[c] = e.field.Term(t, c)
	}
	return v
}

// diag: an average of a constant is that constant.
func (e *constants[T, F]) diag(n *diag, in []T) []T {
	if in != nil && n.to > 0 {
		in = in[n.offset:n.to]
	}
	if in != nil && n.factor != nil {
		scaled := make([]T, len(in))
		for c, v := range in {
			scaled[c] = e.field.Scale(v, n.factor, c)
		}
		in = scaled
	}
	return e.add(in, e.terms(n.term))
}

// product: the kernel summed over its taps, times in, plus the bias.
func (e *constants[T, F]) product(n *conv, in []T) ([]T, error) {
	out := e.terms(exact.VectorTerms(n.bias))
	if in == nil {
		return out, nil
	}
	if out == nil {
		out = make([]T, cmp.Or(n.scatters, n.rows))
	}
	if n.scatters == 0 && e.conv != nil {
		return out, e.conv(e.kernels, n, in, out)
	}
	taps := n.taps()
	return out, e.kernels.scan(n, func(k int, row []float64) error {
		if n.scatters > 0 { // a row is an input channel of a matrix [I, O/g]
			e.field.MulAdd(out[k/n.perGroup*n.width:][:n.width], in[k], row, 1)
			return nil
		}
		for i := range row {
			e.field.MulAdd(out[k:][:1], in[k/n.perGroup*n.width+i/taps], row[i:], 1)
		}
		return nil
	})
}

// addProducts is the conv of double-double numbers. Of many products only their sum is looked at
// to see whether digits were lost.
func addProducts(low *bool) func(k *kernels, n *conv, in, out []exact.DD) error {
	return func(k *kernels, n *conv, in, out []exact.DD) error {
		hi, lo := n.overTaps(in)
		tiny := n.weight.Type == tensor.F64 // else a kernel's numbers are above 2⁻¹⁵⁰
		return k.scan(n, func(o int, row []float64) error {
			from := o / n.perGroup * n.cells
			sum := dot(hi[from:from+n.cells], lo[from:from+n.cells], row)
			*low = *low || exact.Lost(sum.Hi, 1, sum.Hi) || tiny && sum.Hi == 0
			out[o] = out[o].Add(sum)
			return nil
		})
	}
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
