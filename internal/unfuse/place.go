package unfuse

import (
	"math"
	"slices"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// inputAdded is why a block that adds its input as it is does not take a kernel.
const inputAdded = "it adds its input as it is, which no other branch takes away exactly"

// place makes e compute what is wanted.
func (s *solver) place(e op.Expr, c channels, w want) error {
	switch e := e.(type) {
	case op.Conv:
		return s.setKernel(e, c, w)
	case op.Seq:
		ways := 1
		if w.less != 0 {
			ways = 2 // with and without channels to spare
		}
		return s.first(ways*len(e), func(k int) error { return s.placeIn(e, k/ways, k%ways == 1, c, w) })
	case op.Sum:
		return s.first(len(e)+1, func(k int) error {
			if k == len(e) {
				return s.placeSplit(e, c, w)
			}
			return s.placeAmong(e, k, c, w)
		})
	case op.Concat:
		return s.placeRows(e, c, w)
	case op.BatchNorm:
		return s.setGain(e, w)
	case op.Identity, op.AvgPool:
		v, err := w.kernel.Floats()
		if err != nil || w.less == 0 && nothing(w.bias) && !slices.ContainsFunc(v, func(x float64) bool { return x != 1/float64(w.form.Taps()) }) {
			return err // it is what it is
		}
	}
	return refuse(0, noKernel)
}

// placeIn places the kernel in part k of a sequence. The last part that adds a constant takes the bias, of those that
// stand before what makes up for a factor. What is to be taken away is so, if spare, by channels that
// the kernel has beyond those that are wanted, and that the convolution behind subtracts.
func (s *solver) placeIn(e op.Seq, k int, spare bool, c channels, w want) error {
	up, err := s.scales(e, k, &w)
	if err != nil {
		return err
	}
	taker := k
	for j, part := range e {
		if j > k && (up.at < 0 || j < up.at) && addsConstant(part) {
			taker = j
		}
	}
	_, alone := e[k].(op.Conv)
	used := false
	if spare {
		w.spare, c.bare = &used, !alone
	}
	for j, part := range e {
		f, err := op.CheckFrom(part, c.in, s.rank)
		if err != nil {
			return err
		}
		next, here := channels{in: f.Out, bare: c.bare}, w
		switch part.(type) {
		case op.BatchNorm, op.Scale, op.Shift:
			next = c
		}
		if j != taker {
			here.bias = nil
		}
		switch stacked, isConcat := part.(op.Concat); {
		case j != k && settled(part):
		case j == up.at:
			err = s.dirac(part.(op.Conv), c, up.by, nil)
		case j != k:
			err = s.pass(part, c, here.bias)
		case isConcat && f.Out > w.form.Out:
			next.from, err = s.placeStacked(stacked, c, here)
		default:
			err = s.place(part, c, here)
		}
		if err != nil {
			return err
		}
		if j == k && used {
			next.less = w.form.Out
		}
		c = next
	}
	if c.less > 0 {
		return refuse(3, inputAdded)
	}
	return nil
}

// settled reports whether scales sets an operator.
func settled(e op.Expr) bool {
	f, ok := e.(op.Shift)
	_, isScale := e.(op.Scale)
	return isScale || ok && f.By == nil
}

// gain is the factor by which a convolution of a sequence makes up for what cannot be divided by; at is -1 where none is
// needed.
type gain struct {
	at int
	by float64
}

// scales sets the factors of a sequence around part k, and divides what is wanted by them. One by which a kernel
// cannot be divided exactly is made up for by a convolution that only passes on.
func (s *solver) scales(e op.Seq, k int, w *want) (gain, error) {
	up := gain{at: -1}
	for j := len(e) - 1; j >= 0; j-- {
		behind := j > k && !slices.ContainsFunc(e[j+1:], addsConstant)
		if f, ok := e[j].(op.Shift); ok && f.By == nil && j != k {
			if !behind && f.Term != 0 {
				return up, refuse(2, "%s does not pass its input on", f)
			}
			w.bias = added(w.bias, -f.Term)
		}
		f, ok := e[j].(op.Scale)
		if !ok || j == k {
			continue
		}
		by := f.Factor
		if f.By != nil {
			err := s.first(2, func(n int) error { // a gate is never 1
				by = 1 / float64(1+n)
				return s.fill(*f.By, by)
			})
			if err != nil {
				return up, err
			}
		}
		if frac, _ := math.Frexp(by); math.Abs(frac) != 0.5 {
			if up = s.gain(e[:j], k, by); up.at < 0 {
				return up, refuse(3, "%s is no power of two, by which a kernel can be divided exactly", f)
			}
			continue
		}
		w.kernel, w.less = divided(w.kernel, by), w.less/by
		if behind {
			w.bias = quotients(w.bias, by)
		}
	}
	return up, nil
}

// gain finds a convolution behind part k that can be 1/by so nearly that a kernel times both rounds back.
func (s *solver) gain(e op.Seq, k int, by float64) gain {
	held, err := tensor.Of(s.typ, nil, []float64{1 / by}).Floats()
	for j := len(e) - 1; j > k && err == nil && math.Abs(held[0]*by-1) < tensor.Ulp(1, s.typ)/128; j-- {
		if _, ok := e[j].(op.Conv); ok {
			return gain{j, held[0]}
		}
	}
	return gain{at: -1}
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
	case op.Concat:
		return !slices.ContainsFunc(e, func(part op.Expr) bool { return !addsConstant(part) })
	}
	return false
}

// placeStacked places the kernel in one of the parts that a concat stacks, and gives the channel at which it begins. The
// others, which nobody reads, stay as they are.
func (s *solver) placeStacked(e op.Concat, c channels, w want) (from int, err error) {
	err = s.first(len(e), func(k int) error {
		from = 0
		for _, part := range e[:k] {
			f, err := op.CheckFrom(part, c.in, s.rank)
			if err != nil {
				return err
			}
			from += f.Out
		}
		return s.place(e[k], c, w)
	})
	return from, err
}

// placeAmong places the kernel in part k of a sum. An input that is added as it is must be
// taken away by another branch, or within part k: the kernel less 1 would not round back.
func (s *solver) placeAmong(e op.Sum, k int, c channels, w want) error {
	var others []op.Expr
	for _, branch := range without(e, k) {
		switch b := branch.(type) {
		case op.Identity:
			w.less++
			continue
		case op.AvgPool:
			if s.some {
				var err error
				if w, err = w.minus(b, 1); err != nil {
					return err
				}
				continue
			}
		}
		others = append(others, branch)
	}
	if w.less == 0 {
		return s.amid(others, e[k], c, w)
	}
	n := len(others)
	return s.first(2*n+1, func(j int) error {
		if j == 2*n {
			return s.amid(others, e[k], c, w)
		}
		rest, there := w, []float64(nil)
		rest.less = 0
		if !addsConstant(e[k]) && addsConstant(others[j%n]) {
			rest.bias, there = nil, w.bias
		}
		s.tight = j >= n // a branch without a batch norm does it for every kernel, and is tried first
		err := s.cancel(others[j%n], c, w.less, there)
		s.tight = false
		if err != nil {
			return err
		}
		return s.amid(without(others, j%n), e[k], c, rest)
	})
}

// without is the parts except part k.
func without(parts []op.Expr, k int) []op.Expr { return slices.Delete(slices.Clone(parts), k, k+1) }

// setKernel gives a convolution the kernel, and its bias.
func (s *solver) setKernel(e op.Conv, c channels, w want) error {
	f, err := op.CheckFrom(e, c.in, s.rank)
	if err != nil {
		return err
	}
	same := slices.Equal(e.Weight.Shape, w.form.WeightShape()) && f.Groups == w.form.Groups
	switch typ := storedType(e.Weight); {
	case f.Transposed != w.form.Transposed || !slices.Equal(f.Lo, w.form.Lo) || !slices.Equal(f.Hi, w.form.Hi) || !slices.Equal(f.Step, w.form.Step),
		!same && (e.Weight.Computed != nil || f.Transposed || f.Groups != w.form.Groups || f.Out < w.form.Out || f.In < w.form.In):
		return refuse(1, "no one kernel of it holds %v (%s is %v)", w.form.WeightShape(), e.Weight.Key, e.Weight.Shape)
	case typ != s.typ:
		return refuse(3, "%s is %s, want %s as the fused kernel", e.Weight.Key, typ, s.typ)
	}
	own := 0
	if w.less != 0 {
		if own, err = ownTap(e, f); err != nil {
			return err
		}
	}
	t := w.kernel
	switch {
	case w.less != 0 && w.spare != nil && f.Groups == 1 && f.Out >= 2*w.form.Out:
		*w.spare = true
		t = widened(w, e.Weight, own)
	case w.less != 0 && !s.some:
		return refuse(3, inputAdded)
	case w.less != 0:
		if w, err = w.minus(op.Identity{}, w.less); err != nil {
			return err
		}
		w.less, t = 0, w.kernel
	}
	if !same && w.less == 0 {
		t = widened(w, e.Weight, own)
	}
	if err := s.put(e.Weight, t); err != nil {
		return err
	}
	return s.constant(e.Bias, w.bias)
}
