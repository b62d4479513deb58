package family

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"sync"

	"repfuse/internal/exact"
	"repfuse/internal/micro"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// scaled is a form of weights: a stored kernel times a factor for each index along one
// axis. Of a stored float64 a factor is within 2⁻⁹⁰ of the real one, and an element the
// real one rounded to float64 once, up to 2⁻³⁰ of an ulp. Of what is stored in fewer bits
// factors and elements are within 2⁻⁴² of the real ones, which is 2⁻¹⁸ of an ulp of
// float32. Elements are computed as they are read, in the reader's memory. Factors are
// computed before, from all of the kernel, except where who reads a whole row has in it all
// that its factor is made of.
type scaled struct {
	of      *op.Param
	axis    int  // noAxis: one factor for all
	centred bool // factors have something to take away
	all     func() ([]factor, error)
	// row, where it is not nil, is factor k from the stored elements of row k: the same as in all.
	row func(k int, v []float64) (factor, error)
}

const noAxis = -1

// leastPair is the least number that two float64 hold within 2⁻⁹⁰, as the least of one is 2⁻¹⁰⁷⁴.
const leastPair = 0x1p-984

// factor says that less is taken from an element, and the rest multiplied; by back too where it
// is not 0, as two float64 do not hold by times back.
type factor struct {
	by, less exact.DD
	back     float64
}

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
	norms := sync.OnceValues(func() ([]float64, error) {
		if g == nil {
			return slices.Repeat([]float64{1}, s.factors()), nil
		}
		return g.Floats()
	})
	divided := func(k int, squares exact.DD) (f factor, err error) {
		g, err := norms()
		switch norm := math.Sqrt(squares.Hi); {
		case err != nil:
		case norm == 0:
			err = fmt.Errorf("%s: what lies at %d has norm 0, and so no direction", v.Key, k)
		case !(squares.Hi >= leastPair): // or no number, as one beyond float64 becomes
			err = fmt.Errorf("%s: what lies at %d has norm %.3g, whose square float64 does not hold", v.Key, k, norm)
		case math.IsInf(g[k], 0) || math.IsNaN(g[k]):
			err = fmt.Errorf("%s[%d] is %g, want a finite number", a[1].tensor.Key, k, g[k])
		default:
			f = over(g[k], squares.Sqrt())
		}
		return f, err
	}
	if s.axis == 0 {
		s.row = func(k int, v []float64) (factor, error) { return divided(k, s.squares(exact.DD{}, k*len(v), v)) }
	}
	s.all = sync.OnceValues(func() ([]factor, error) {
		return s.each(func(total exact.DD, _, at int, v []float64) exact.DD { return s.squares(total, at, v) }, divided)
	})
	return s, nil
}

// over is g/norm.
func over(g float64, norm exact.DD) factor {
	nearer := 0x1p1000
	switch by := (exact.DD{Hi: g}.Div(norm)); {
	case math.IsNaN(by.Hi): // beyond float64
		nearer = 0x1p-1000
	case math.Abs(by.Hi) >= leastPair:
		return factor{by: by}
	}
	return factor{by: exact.DD{Hi: g * nearer}.Div(norm), back: 1 / nearer}
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
	axis, err := spectralAxis(a)
	if err != nil {
		return nil, err
	}
	w, u, v := a[0].tensor, a[1].tensor, a[2].tensor
	inner := tensor.Elems(w.Shape[axis+1:])
	s := &scaled{of: w, axis: noAxis}
	s.all = sync.OnceValues(func() ([]factor, error) {
		left, err := u.Floats()
		if err != nil {
			return nil, err
		}
		right, err := v.Floats()
		if err != nil {
			return nil, err
		}
		return s.each(func(total exact.DD, _, at int, v []float64) exact.DD {
			for k, x := range v {
				k += at
				row, rest := k/inner%len(left), k/inner/len(left)*inner+k%inner
				total = total.Add(exact.DD{Hi: left[row]}.Times(right[rest]).Times(x))
			}
			return total
		}, func(_ int, σ exact.DD) (factor, error) {
			if σ.Hi == 0 {
				return factor{}, fmt.Errorf("%s: σ is 0", w.Key)
			}
			return factor{by: exact.DD{Hi: 1}.Div(σ)}, nil
		})
	})
	return s, nil
}

// spectralAxis is the axis of the weight along which the rows of W lie.
func spectralAxis(a []argument) (int, error) {
	if len(a) < 3 || len(a) > 4 || len(a) == 4 && a[3].word != "1" {
		return 0, errors.New("want a kernel, two vectors and perhaps 1, the second axis")
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
		return 0, fmt.Errorf("%s %v and %s %v, want as many as the rows and the columns of %s %v", u.Key, u.Shape, v.Key, v.Shape, w.Key, w.Shape)
	}
	return axis, nil
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
	n := exact.DD{Hi: float64(tensor.Elems(w.Shape[1:]))}
	s.all = sync.OnceValues(func() ([]factor, error) {
		means, err := s.each(func(total exact.DD, _, _ int, v []float64) exact.DD {
			for _, x := range v {
				total = total.Add(exact.DD{Hi: x})
			}
			return total
		}, func(_ int, total exact.DD) (factor, error) { return factor{less: total.Div(n)}, nil })
		if err != nil {
			return nil, err
		}
		return s.each(func(squares exact.DD, k, _ int, v []float64) exact.DD {
			for _, x := range v {
				d := means[k].from(x)
				squares = squares.Add(d.Mul(d))
			}
			return squares
		}, func(k int, squares exact.DD) (factor, error) {
			d := squares.Div(n).Add(exact.DD{Hi: eps})
			if d.Hi == 0 {
				return factor{}, fmt.Errorf("%s: row %d is one number everywhere, and ε is 0", w.Key, k)
			}
			return factor{by: exact.DD{Hi: 1}.Div(d.Sqrt()), less: means[k].less}, nil
		})
	})
	return s, nil
}

// from is x without what is taken from it.
func (f factor) from(x float64) exact.DD {
	return exact.DD{Hi: x}.Add(exact.DD{Hi: -f.less.Hi, Lo: -f.less.Lo})
}

// scale makes elements of those stored, which are of one factor.
func (s *scaled) scale(v []float64, f factor) {
	switch {
	case s.centred:
		for k, x := range v {
			v[k] = f.from(x).Mul(f.by).Hi
		}
	case s.of.Type == tensor.F64:
		for k, x := range v {
			v[k] = f.by.Times(x).Hi
		}
	default:
		for k := range v {
			v[k] *= f.by.Hi
		}
	}
	if f.back != 0 {
		for k := range v {
			v[k] *= f.back
		}
	}
}

// pieceLen is how many elements are added up in float64 at most, and read at once where
// there may be many more.
const pieceLen = 4096

// squares adds the squares of elements from place at on. Those of what is stored in
// fewer bits than float64 are exact, and so many of them lose 2⁻⁴³ of their sum at most.
// They are added up piece by piece of the kernel, so that a row has one sum, to the bit,
// however it is read.
func (s *scaled) squares(total exact.DD, at int, v []float64) exact.DD {
	if s.of.Type == tensor.F64 {
		for _, x := range v {
			total = total.Add(exact.DD{Hi: x}.Times(x))
		}
		return total
	}
	for len(v) > 0 {
		n := min(pieceLen-at%pieceLen, len(v))
		for _, x := range lanes(v[:n]) {
			total = total.Add(exact.DD{Hi: x})
		}
		v, at = v[n:], at+n
	}
	return total
}

// lanes is the squares of v in four sums, which need not wait for each other.
func lanes(v []float64) [4]float64 {
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
	return [4]float64{a, b, c, d}
}

func (s *scaled) factors() int {
	if s.axis == noAxis {
		return 1
	}
	return s.of.Shape[s.axis]
}

// inner is how many elements lie side by side that are of one factor.
func (s *scaled) inner() int {
	if s.axis == noAxis {
		return s.of.Len()
	}
	return tensor.Elems(s.of.Shape[s.axis+1:])
}

// runs cuts elements from the one at place at on into those of one factor each, which
// come with its place among the factors.
func (s *scaled) runs(at int, v []float64) iter.Seq2[int, []float64] {
	inner := s.inner()
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

// each is the factors, each of its sum, to which add adds the elements from place at on. The
// kernel is read from end to end, in pieces.
func (s *scaled) each(add func(total exact.DD, k, at int, v []float64) exact.DD, of func(k int, total exact.DD) (factor, error)) ([]factor, error) {
	d, err := s.of.Open()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	sums, list := make([]exact.DD, s.factors()), make([]factor, s.factors())
	piece := make([]float64, pieceLen)
	for at, n := 0, s.of.Len(); at < n; {
		v := piece[:min(pieceLen, n-at)]
		if err := s.read(d, at, v); err != nil {
			return nil, err
		}
		for k, run := range s.runs(at, v) {
			sums[k] = add(sums[k], k, at, run)
			at += len(run)
		}
	}
	for k, total := range sums {
		if list[k], err = of(k, total); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// read is the stored elements from place at on.
func (s *scaled) read(d io.ReaderAt, at int, v []float64) error {
	b, inPlace := micro.Bytes(v)
	if !inPlace {
		b = make([]byte, 8*len(v))
	}
	size := s.of.Type.Size()
	b = b[(8-size)*len(v):] // whose end is that of v: none is overwritten before it is decoded
	if err := tensor.ReadFull(d, b, int64(at)*int64(size)); err != nil {
		return err
	}
	micro.Decode(v, b, s.of.Type)
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
		d, err := s.of.Open()
		return scaledData{s, d}, err
	}
	return t
}

// scaledData is the elements of a scaled kernel as bytes of float64.
type scaledData struct {
	*scaled
	tensor.Data
}

func (d scaledData) ReadAt(p []byte, off int64) (int, error) {
	const size = 8
	if off%size != 0 || len(p)%size != 0 {
		return 0, errors.New("family: a computed kernel is read by whole elements")
	}
	at := int(off / size)
	have := min(len(p)/size, max(d.of.Len()-at, 0))
	v, inPlace := micro.Floats(p[:have*size])
	if !inPlace {
		v = make([]float64, have)
	}
	if err := d.read(d.Data, at, v); err != nil {
		return 0, err
	}
	for k, run := range d.runs(at, v) {
		f, err := d.factor(k, run)
		if err != nil {
			return 0, err
		}
		d.scale(run, f)
	}
	if !inPlace {
		tensor.Encode(p, v, tensor.F64)
	}
	if have*size < len(p) {
		return have * size, io.EOF
	}
	return len(p), nil
}

// factor is number k, which v is to be multiplied by.
func (s *scaled) factor(k int, v []float64) (factor, error) {
	if s.row != nil && len(v) == s.inner() {
		return s.row(k, v)
	}
	all, err := s.all()
	if err != nil {
		return factor{}, err
	}
	return all[k], nil
}
