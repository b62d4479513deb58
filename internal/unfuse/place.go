package unfuse

import (
	"math"
	"slices"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// place makes e the output's kernel and what is wanted beside it.
func (s *solver) place(e op.Expr, c channels, w want) error {
	switch e := e.(type) {
	case op.Conv:
		if w.less != 0 {
			return refuse(3, "it adds its input as it is, which no other branch takes away exactly")
		}
		return s.setKernel(e, c, w.bias)
	case op.Seq:
		return s.first(len(e), func(k int) error { return s.placeIn(e, k, c, w) })
	case op.Sum:
		return s.first(len(e), func(k int) error { return s.placeAmong(e, k, c, w) })
	}
	return refuse(0, noKernel)
}

// placeIn places the kernel in part k of a sequence. The last part that adds a constant
// takes the bias.
func (s *solver) placeIn(e op.Seq, k int, c channels, w want) error {
	taker := k
	for j := len(e) - 1; j >= 0; j-- {
		if addsConstant(e[j]) && taker == k && j > k {
			taker = j
		}
		f, ok := e[j].(op.Scale)
		if !ok || f.By != nil {
			continue
		}
		if frac, _ := math.Frexp(f.Factor); math.Abs(frac) != 0.5 {
			return refuse(3, "%s is no power of two, by which a kernel can be divided exactly", f)
		}
		s.kernel, w.less = divided(s.kernel, f.Factor), w.less/f.Factor
		if j > k && taker == k {
			w.bias = quotients(w.bias, f.Factor)
		}
	}
	for j, part := range e {
		f, err := op.CheckFrom(part, c.in, s.form.Rank())
		if err != nil {
			return err
		}
		here := want{less: w.less}
		if j == taker {
			here.bias = w.bias
		}
		from := 0
		switch stacked, isConcat := part.(op.Concat); {
		case j != k:
			err = s.pass(part, c, here.bias)
		case isConcat:
			from, err = s.placeStacked(stacked, c, here)
		default:
			err = s.place(part, c, here)
		}
		if err != nil {
			return err
		}
		c = channels{f.Out, from}
	}
	return nil
}

// addsConstant reports whether an operator can take a bias.
func addsConstant(e op.Expr) bool {
	switch e := e.(type) {
	case op.BatchNorm:
		return true
	case op.Conv:
		return e.Bias != nil
	case op.Shift:
		return e.By != nil
	case op.Seq:
		return slices.ContainsFunc(e, addsConstant)
	}
	return false
}

// divided is a kernel whose elements are divided when it is opened.
func divided(kernel tensor.Tensor, by float64) tensor.Tensor {
	open := kernel
	kernel.Open = func() (tensor.Data, error) {
		v, err := open.Floats()
		if err != nil {
			return nil, err
		}
		return tensor.Of(kernel.Type, kernel.Shape, quotients(v, by)).Open()
	}
	return kernel
}

func quotients(v []float64, by float64) []float64 {
	v = slices.Clone(v)
	for k := range v {
		v[k] /= by
	}
	return v
}

// placeStacked places the kernel in one of the parts that a concat stacks, and gives the channel at which it begins.
func (s *solver) placeStacked(e op.Concat, c channels, w want) (from int, err error) {
	err = s.first(len(e), func(k int) error {
		from = 0
		for j, part := range e {
			f, err := op.CheckFrom(part, c.in, s.form.Rank())
			switch {
			case err != nil:
			case j == k:
				err = s.place(part, c, w)
			default:
				err = s.silence(part)
			}
			if err != nil {
				return err
			}
			if j < k {
				from += f.Out
			}
		}
		return nil
	})
	return from, err
}

// placeAmong places the kernel in part k of a sum. An input that is added as it is must be
// taken away by another branch, or within part k: the kernel less 1 would not round back.
func (s *solver) placeAmong(e op.Sum, k int, c channels, w want) error {
	var others []op.Expr
	for j, branch := range e {
		if _, isInput := branch.(op.Identity); isInput && j != k {
			w.less++
		} else if j != k {
			others = append(others, branch)
		}
	}
	if w.less == 0 {
		return s.amid(others, e[k], c, w)
	}
	n := len(others)
	return s.first(2*n+1, func(j int) error {
		if j == 2*n {
			return s.amid(others, e[k], c, w)
		}
		here, there := w.bias, []float64(nil)
		if !addsConstant(e[k]) && addsConstant(others[j%n]) {
			here, there = nil, w.bias
		}
		s.tight = j >= n // a branch without a batch norm does it for every kernel, and is tried first
		err := s.cancel(others[j%n], c, w.less, there)
		s.tight = false
		if err != nil {
			return err
		}
		return s.amid(without(others, j%n), e[k], c, want{bias: here})
	})
}

// amid places the kernel in e and makes the others zero.
func (s *solver) amid(others []op.Expr, e op.Expr, c channels, w want) error {
	if err := s.place(e, c, w); err != nil {
		return err
	}
	return s.silenceAll(others)
}

// without is the parts except part k.
func without(parts []op.Expr, k int) []op.Expr { return slices.Delete(slices.Clone(parts), k, k+1) }

// setKernel gives a convolution the kernel, and its bias.
func (s *solver) setKernel(e op.Conv, c channels, bias []float64) error {
	f, err := op.CheckFrom(e, c.in, s.form.Rank())
	if err != nil {
		return err
	}
	same := slices.Equal(e.Weight.Shape, s.form.WeightShape())
	t := s.kernel
	switch {
	case e.Weight.Computed != nil:
		return computed(e.Weight)
	case f.Transposed != s.form.Transposed || !slices.Equal(f.Lo, s.form.Lo) || !slices.Equal(f.Hi, s.form.Hi) || !slices.Equal(f.Step, s.form.Step),
		!same && (f.Transposed || f.Groups != s.form.Groups || f.Out < s.form.Out || f.In < s.form.In):
		return refuse(1, "no one kernel of it holds %v (%s is %v)", s.form.WeightShape(), e.Weight.Key, e.Weight.Shape)
	case e.Weight.Type != t.Type:
		return refuse(3, "%s is %s, want %s as the fused kernel", e.Weight.Key, e.Weight.Type, t.Type)
	case !same:
		t = widened(t, e.Weight.Shape, f.Groups)
	}
	if err := s.put(e.Weight, t); err != nil {
		return err
	}
	return s.constant(e.Bias, bias)
}

// widened is a kernel in the first rows and columns of each group of a larger one that is zero elsewhere. It is put
// together when it is opened.
func widened(kernel tensor.Tensor, shape []int, groups int) tensor.Tensor {
	wide := tensor.Tensor{Type: kernel.Type, Shape: shape}
	wide.Open = func() (tensor.Data, error) {
		small, err := kernel.ReadAll()
		if err != nil {
			return nil, err
		}
		row, wideRow := len(small)/kernel.Shape[0], int(wide.Bytes())/shape[0]
		rows, wideRows := kernel.Shape[0]/groups, shape[0]/groups
		b := make([]byte, wide.Bytes())
		for o := range kernel.Shape[0] {
			copy(b[(o/rows*wideRows+o%rows)*wideRow:], small[o*row:(o+1)*row])
		}
		return tensor.FromBytes(kernel.Type, shape, b).Open()
	}
	return wide
}
