package family

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/big"
	"sync"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// scaled is a form of weights: a stored kernel times a factor for each index along one
// axis. Of a stored float64 a factor is the sum of two, within 2⁻⁹⁰ of the real one, and
// an element the real one rounded to float64 once, up to 2⁻³⁰ of an ulp. Of what is stored
// in fewer bits factors and elements are within 2⁻⁴² of the real ones, which is 2⁻¹⁸ of an
// ulp of float32. The kernel is read in pieces, once for the factors and once for the
// elements, and never held whole.
type scaled struct {
	of      *op.Param
	axis    int // noAxis: one factor for all
	make    func() ([]factor, error)
	once    sync.Once
	by      []factor
	less    []factor // what is taken from each element before, by the factor's index, where centred
	centred bool
	err     error
	room    sync.Pool // of *piece
}

const noAxis = -1

type factor struct{ hi, lo float64 }

// normed(V), normed(V, G): the weight norm, g·v/‖v‖. The norm is over all axes except the
// one along which g lies, over all of them where g is one number, and over all except the
// first where there is no g.
func normed(a []argument) (*scaled, error) {
	v := a[0].tensor
	if len(v.Shape) < 1 || len(a) > 2 {
		return nil, errors.New("want a kernel and perhaps its norms")
	}
	s := &scaled{of: v}
	var g *op.Param
	if len(a) == 2 {
		var err error
		if g = a[1].tensor; g == nil {
			return nil, errors.New("want the norms under a key")
		}
		if s.axis, err = along(g, v); err != nil {
			return nil, err
		}
	}
	s.make = func() ([]factor, error) {
		sums := make([]sum, s.factors())
		err := s.each(func(at int, v []float64) {
			for k, part := range s.runs(at, v) {
				sums[k].addSquares(part, s.of.Type)
			}
		})
		if err != nil {
			return nil, err
		}
		norms := make([]float64, len(sums))
		for k := range norms {
			norms[k] = 1
		}
		if g != nil {
			if err := g.ReadFloats(norms); err != nil {
				return nil, err
			}
		}
		list := make([]factor, len(sums))
		for k, total := range sums {
			if total.hi == 0 {
				return nil, fmt.Errorf("%s: what lies at %d has norm 0, and so no direction", v.Key, k)
			}
			list[k] = quotient(norms[k], total, true)
		}
		return list, nil
	}
	return s, nil
}

// along is the axis of v along which g has one element an index.
func along(g, v *op.Param) (int, error) {
	if g.Len() == 1 {
		return noAxis, nil
	}
	axis := 0
	if len(g.Shape) == len(v.Shape) {
		for axis < len(g.Shape)-1 && g.Shape[axis] == 1 {
			axis++
		}
	}
	if g.Len() != v.Shape[axis] || g.Len() != g.Shape[axis] {
		return 0, fmt.Errorf("%s has shape %v, want one number, or one an index along an axis of %s %v", g.Key, g.Shape, v.Key, v.Shape)
	}
	return axis, nil
}

// spectral(W, U, V), spectral(W, U, V, 1): the spectral norm, w/σ with σ = uᵀ·W·v, where
// the rows of W lie along an axis: the second of a transposed convolution's weight, else
// the first. Without 1 it is the first of the two that the lengths of u and v fit.
func spectral(a []argument) (*scaled, error) {
	if len(a) < 3 || len(a) > 4 || len(a) == 4 && a[3].word != "1" {
		return nil, errors.New("want a kernel, two vectors and perhaps 1, the second axis")
	}
	w, u, v := a[0].tensor, a[1].tensor, a[2].tensor
	fits := func(axis int) bool {
		return axis < len(w.Shape) && u.Len() == w.Shape[axis] && u.Len()*v.Len() == w.Len()
	}
	axis := 0
	if !fits(0) || len(a) == 4 {
		axis = 1
	}
	if !fits(axis) {
		return nil, fmt.Errorf("%s %v and %s %v, want as many as the rows and the columns of %s %v", u.Key, u.Shape, v.Key, v.Shape, w.Key, w.Shape)
	}
	inner := tensor.Elems(w.Shape[axis+1:])
	s := &scaled{of: w, axis: noAxis}
	s.make = func() ([]factor, error) {
		left, err := u.Floats()
		if err != nil {
			return nil, err
		}
		right, err := v.Floats()
		if err != nil {
			return nil, err
		}
		var total sum
		err = s.each(func(at int, v []float64) {
			for k, x := range v {
				k += at
				row, rest := k/inner%len(left), k/inner/len(left)*inner+k%inner
				p := float64(left[row] * right[rest])
				total.add(p, x)
				total.add(math.FMA(left[row], right[rest], -p), x)
			}
		})
		if err == nil && total.value() == 0 {
			err = fmt.Errorf("%s: σ is 0", w.Key)
		}
		if err != nil {
			return nil, err
		}
		return []factor{quotient(1, total, false)}, nil
	}
	return s, nil
}

// standardized(W, EPS): weight standardization, (w − μ)/√(σ² + ε), with the mean μ and the variance σ² of
// each row of W along its first axis.
func standardized(a []argument) (*scaled, error) {
	w := a[0].tensor
	eps, ok := readEps(a[len(a)-1].word)
	if len(a) != 2 || !ok || len(w.Shape) < 2 {
		return nil, errors.New("want a kernel and ε")
	}
	s := &scaled{of: w, centred: true}
	n := float64(tensor.Elems(w.Shape[1:]))
	s.make = func() ([]factor, error) {
		sums, squares := make([]sum, s.factors()), make([]sum, s.factors())
		err := s.each(func(at int, v []float64) {
			for k, part := range s.runs(at, v) {
				for _, x := range part {
					sums[k].add(x, 1)
				}
			}
		})
		if err != nil {
			return nil, err
		}
		s.less = make([]factor, len(sums))
		for k, total := range sums {
			s.less[k] = ratio(total, n)
		}
		err = s.each(func(at int, v []float64) {
			for k, part := range s.runs(at, v) {
				for _, x := range part {
					d := s.less[k].from(x)
					squares[k].add(d.hi, d.hi)
					squares[k].add(2*d.hi, d.lo)
				}
			}
		})
		list := make([]factor, len(sums))
		for k, total := range squares {
			variance := ratio(total, n)
			d := sum(variance)
			if d.add(eps, 1); d.hi == 0 && err == nil {
				err = fmt.Errorf("%s: row %d is one number everywhere, and ε is 0", w.Key, k)
			}
			list[k] = quotient(1, d, true)
		}
		return list, err
	}
	return s, nil
}

// ratio is t/n.
func ratio(t sum, n float64) factor {
	hi := t.hi / n
	return factor{hi, (math.FMA(-hi, n, t.hi) + t.lo) / n}
}

// from is x − f in twice the precision.
func (f factor) from(x float64) factor {
	hi := float64(x - f.hi)
	z := float64(hi - x)
	return factor{hi, float64(x-float64(hi-z)) - float64(f.hi+z) - f.lo}
}

// quotient is a/t, or a/√t.
func quotient(a float64, t sum, root bool) factor {
	if v := a * t.hi; math.IsNaN(v) || math.IsInf(v, 0) {
		return factor{hi: math.NaN()}
	}
	const precision = 160
	part := func(v float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(v) }
	d := part(t.hi)
	d.Add(d, part(t.lo))
	if root {
		d.Sqrt(d)
	}
	q := part(a)
	q.Quo(q, d)
	hi, _ := q.Float64()
	if math.IsInf(hi, 0) {
		return factor{hi: hi}
	}
	lo, _ := q.Sub(q, part(hi)).Float64()
	return factor{hi, lo}
}

// sum adds products up as if in twice the precision (Ogita, Rump and Oishi, "Accurate Sum
// and Dot Product", 2005, algorithm 5.3).
type sum struct{ hi, lo float64 }

func (s *sum) add(a, b float64) {
	p := float64(a * b)
	t := float64(s.hi + p)
	z := float64(t - s.hi)
	s.lo += float64(float64(s.hi-float64(t-z))+float64(p-z)) + math.FMA(a, b, -p)
	s.hi = t
}

func (s *sum) value() float64 { return s.hi + s.lo }

// addSquares adds the squares of a piece of a kernel. Those of what is stored in fewer
// bits than float64 are exact, and so many of them lose 2⁻⁴³ of their sum at most.
func (s *sum) addSquares(v []float64, stored tensor.Type) {
	if stored == tensor.F64 {
		for _, x := range v {
			s.add(x, x)
		}
		return
	}
	var a, b, c, d float64
	for ; len(v) >= 4; v = v[4:] {
		a += float64(v[0] * v[0])
		b += float64(v[1] * v[1])
		c += float64(v[2] * v[2])
		d += float64(v[3] * v[3])
	}
	for _, x := range v {
		a += float64(x * x)
	}
	s.add(a, 1)
	s.add(b, 1)
	s.add(c, 1)
	s.add(d, 1)
}

func (s *scaled) factors() int {
	if s.axis == noAxis {
		return 1
	}
	return s.of.Shape[s.axis]
}

// runs cuts elements from the one at place at on into those of one factor each, which
// come with its place among the factors.
func (s *scaled) runs(at int, v []float64) iter.Seq2[int, []float64] {
	inner := s.of.Len()
	if s.axis != noAxis {
		inner = tensor.Elems(s.of.Shape[s.axis+1:])
	}
	return func(yield func(int, []float64) bool) {
		for len(v) > 0 {
			run := min(inner-at%inner, len(v))
			if !yield(at/inner%s.factors(), v[:run]) {
				return
			}
			v, at = v[run:], at+run
		}
	}
}

// each reads the stored kernel from end to end, in pieces.
func (s *scaled) each(do func(at int, v []float64)) error {
	d, err := s.of.Open()
	if err != nil {
		return err
	}
	defer d.Close()
	p := s.piece()
	defer s.room.Put(p)
	for at, n := 0, s.of.Len(); at < n; {
		v, err := p.read(d, at, n-at)
		if err != nil {
			return err
		}
		do(at, v)
		at += len(v)
	}
	return nil
}

// tensor is the kernel of real weights, computed where it is read.
func (s *scaled) tensor() tensor.Tensor {
	// The products, their sum, its root or none, the quotient, the product with it.
	how := &tensor.Computation{Type: s.of.Type, Steps: 4, Sums: s.of.Len()/max(s.factors(), 1) - 1}
	if s.centred { // and the mean, its difference, the variance and ε
		how.Steps, how.Sums = how.Steps+5, 2*how.Sums
	}
	t := tensor.Tensor{Type: tensor.F64, Shape: s.of.Shape, Computed: how}
	t.Open = func() (tensor.Data, error) {
		if s.once.Do(func() { s.by, s.err = s.make() }); s.err != nil {
			return nil, s.err
		}
		d, err := s.of.Open()
		return &scaledData{s, d}, err
	}
	return t
}

// scaledData is the elements of a scaled kernel as bytes of float64.
type scaledData struct {
	*scaled
	tensor.Data
}

func (d *scaledData) ReadAt(p []byte, off int64) (int, error) {
	const size = 8
	if off%size != 0 || len(p)%size != 0 {
		return 0, errors.New("family: a computed kernel is read by whole elements")
	}
	at, n := int(off/size), len(p)/size
	have := min(n, max(d.of.Len()-at, 0))
	in := d.piece()
	defer d.room.Put(in)
	for done := 0; done < have; {
		v, err := in.read(d.Data, at+done, have-done)
		if err != nil {
			return done * size, err
		}
		d.scale(v, at+done)
		tensor.Encode(p[done*size:], v, tensor.F64)
		done += len(v)
	}
	if have < n {
		return have * size, io.EOF
	}
	return len(p), nil
}

// scale multiplies elements from the one at place at on.
func (d *scaledData) scale(v []float64, at int) {
	for k, run := range d.runs(at, v) {
		f := d.by[k]
		if d.centred {
			for j, x := range run {
				e := d.less[k].from(x)
				p := float64(e.hi * f.hi)
				run[j] = p + (math.FMA(e.hi, f.hi, -p) + float64(e.hi*f.lo) + float64(e.lo*f.hi))
			}
			continue
		}
		if d.of.Type != tensor.F64 {
			for k := range run {
				run[k] *= f.hi
			}
			continue
		}
		for k, x := range run {
			p := float64(x * f.hi)
			run[k] = p + (math.FMA(x, f.hi, -p) + float64(x*f.lo))
		}
	}
}

// piece is room for some elements of a stored tensor.
type piece struct {
	typ   tensor.Type
	bytes []byte
	v     []float64
}

func (s *scaled) piece() *piece {
	if p, ok := s.room.Get().(*piece); ok {
		return p
	}
	const elements = 4096
	return &piece{s.of.Type, make([]byte, elements*s.of.Type.Size()), make([]float64, elements)}
}

// read is elements from at on, n of them or fewer.
func (p *piece) read(d io.ReaderAt, at, n int) ([]float64, error) {
	n = min(n, len(p.v))
	b := p.bytes[:n*p.typ.Size()]
	if err := tensor.ReadFull(d, b, int64(at)*int64(p.typ.Size())); err != nil {
		return nil, err
	}
	tensor.Decode(p.v[:n], b, p.typ)
	return p.v[:n], nil
}

// gain(EPS, VARIANCE), gain(EPS, VARIANCE, GAMMA): what a batch norm multiplies by,
// γ/√(σ²+ε), each rounded once.
func gain(a []argument) ([]int, formula, error) {
	eps, ok := readEps(a[0].word)
	if !ok || len(a) > 3 {
		return nil, nil, errors.New("want ε, variances and perhaps factors")
	}
	variance := a[1].tensor
	if len(a) == 3 && a[2].tensor != nil && a[2].tensor.Len() != variance.Len() {
		return nil, nil, fmt.Errorf("%s has shape %v, want %v", a[2].tensor.Key, a[2].tensor.Shape, variance.Shape)
	}
	return []int{variance.Len()}, func(v [][]float64) []float64 {
		for k, x := range v[1] {
			var s sum
			s.add(x, 1)
			s.add(eps, 1)
			gamma := 1.0
			if len(a) == 3 && a[2].tensor != nil {
				gamma = v[2][k]
			}
			v[1][k] = quotient(gamma, s, true).hi
		}
		return v[1]
	}, nil
}
