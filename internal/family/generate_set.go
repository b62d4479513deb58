package family

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"

	"repfuse/internal/exact"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// A setter inverts a generator: it gives the arguments of which what is wanted is computed. now gives an argument as
// it is to be so far, which matters where others are computed of it too.
type setter func(a []argument, wanted tensor.Tensor, now func(op.Param) tensor.Tensor) ([]op.Param, error)

// fixed is of what follows from shapes alone, so that there is nothing to set.
func fixed([]argument, tensor.Tensor, func(op.Param) tensor.Tensor) ([]op.Param, error) {
	return nil, nil
}

// with is an argument with other elements.
func with(p *op.Param, values func() ([]float64, error)) op.Param {
	q := *p
	q.Open = tensor.Later(p.Type, p.Shape, values).Open
	return q
}

// filled is an argument all of whose elements are v.
func filled(p *op.Param, v float64) op.Param {
	return with(p, func() ([]float64, error) { return slices.Repeat([]float64{v}, p.Len()), nil })
}

// setRow puts a row in its place.
func setRow(a []argument, wanted tensor.Tensor, now func(op.Param) tensor.Tensor) ([]op.Param, error) {
	m, before := a[0].tensor, now(*a[0].tensor)
	return []op.Param{with(m, func() ([]float64, error) {
		v, err := before.Floats()
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(a[1].word)
		if err != nil {
			return nil, err
		}
		row := v[n*wanted.Len():][:wanted.Len()]
		return v, wanted.ReadFloats(row)
	})}, nil
}

// setRepeated takes each run of equal elements for one.
func setRepeated(a []argument, wanted tensor.Tensor, _ func(op.Param) tensor.Tensor) ([]op.Param, error) {
	v, err := wanted.Floats()
	if err != nil {
		return nil, err
	}
	times := a[1].tensor.Shape[1]
	var one []float64
	for k, x := range v {
		if k%times == 0 {
			one = append(one, x)
		} else if x != one[len(one)-1] {
			return nil, fmt.Errorf("has one number for %d channels, which want several", times)
		}
	}
	return []op.Param{with(a[0].tensor, func() ([]float64, error) { return one, nil })}, nil
}

// setTaps makes a kernel zero.
func setTaps(a []argument, wanted tensor.Tensor, _ func(op.Param) tensor.Tensor) ([]op.Param, error) {
	v, err := wanted.Floats()
	if err == nil && slices.ContainsFunc(v, func(x float64) bool { return x != 0 }) {
		err = errors.New("is a sum of taps, which is not solved for them")
	}
	return []op.Param{filled(a[0].tensor, 0)}, err
}

// setGate makes a gate ½, by a matrix of zeros whose input is not zero.
func setGate(a []argument, wanted tensor.Tensor, _ func(op.Param) tensor.Tensor) ([]op.Param, error) {
	v, err := wanted.Floats()
	if err == nil && slices.ContainsFunc(v, func(x float64) bool { return x != 0.5 }) {
		err = errors.New("is set to ½ alone")
	}
	return []op.Param{filled(a[2].tensor, 0)}, err
}

// setOREPA has the first of the summands be the kernel, and the factors of the others zero.
func setOREPA(a []argument, wanted tensor.Tensor, _ func(op.Param) tensor.Tensor) ([]op.Param, error) {
	vector, origin := a[1].tensor, a[2].tensor
	kernel := with(origin, func() ([]float64, error) {
		v, err := wanted.Floats()
		if err == nil && a[0].word != "0" {
			v = turn(v, origin.Shape)
		}
		return v, err
	})
	rows := with(vector, func() ([]float64, error) {
		v := make([]float64, vector.Len())
		for k := range vector.Shape[1] {
			v[k] = 1
		}
		return v, nil
	})
	return []op.Param{kernel, rows}, nil
}

// setNormed has v be the kernel and g its norms; rows of zeros keep their v, as without a direction they are no numbers.
// An element comes back where g, rounded to its type, is near enough to the norm. The more elements a row of a
// kernel that was computed of some g has, the nearer it is, as their roundings make up for each other.
func setNormed(a []argument, wanted tensor.Tensor, _ func(op.Param) tensor.Tensor) ([]op.Param, error) {
	if len(a) < 2 {
		return nil, errors.New("has no norms that could be set")
	}
	kernel := *a[0].tensor
	axis, err := along(a[1].tensor, &kernel)
	kernel.Tensor = wanted
	s := &scaled{of: &kernel, axis: axis}
	norms := sync.OnceValues(func() ([]float64, error) {
		sums, err := s.each(func(total exact.DD, _, at int, v []float64) exact.DD { return s.squares(total, at, v) },
			func(_ int, squares exact.DD) (factor, error) { return factor{by: squares}, nil })
		norms := make([]float64, len(sums))
		for k, f := range sums {
			norms[k] = math.Sqrt(f.by.Hi)
		}
		return norms, err
	})
	v := with(a[0].tensor, func() ([]float64, error) {
		to, err := wanted.Floats()
		g, errNorms := norms()
		if err = cmp.Or(err, errNorms); err != nil || !slices.Contains(g, 0) {
			return to, err
		}
		is, err := a[0].tensor.Floats()
		if err != nil {
			return nil, err
		}
		for k, run := range s.runs(0, to) {
			if g[k] == 0 {
				copy(run, is)
			}
			is = is[len(run):]
		}
		return to, nil
	})
	return []op.Param{v, with(a[1].tensor, norms)}, err
}

// setSpectral has W be the kernel, and u and v what the power iteration comes to for it, u divided by σ: uᵀ·W·v is 1.
func setSpectral(a []argument, wanted tensor.Tensor, _ func(op.Param) tensor.Tensor) ([]op.Param, error) {
	axis, err := spectralAxis(a)
	if err != nil {
		return nil, err
	}
	w, u, v := *a[0].tensor, a[1].tensor, a[2].tensor
	w.Tensor = wanted
	vectors := sync.OnceValues(func() ([2][]float64, error) {
		elements, err := wanted.Floats()
		if err != nil {
			return [2][]float64{}, err
		}
		rows, inner := u.Len(), tensor.Elems(w.Shape[axis+1:])
		x, y := make([]float64, rows), slices.Repeat([]float64{1}, v.Len())
		product := func(to, of []float64, turned bool) { // W·of, or Wᵀ·of
			clear(to)
			for k, e := range elements {
				row, rest := k/inner%rows, k/inner/rows*inner+k%inner
				if turned {
					row, rest = rest, row
				}
				to[row] += float64(e * of[rest])
			}
		}
		const enough = 32 // iterations: how near σ is decides nothing but where training begins
		for range enough {
			product(x, y, false)
			divide(x, dot(x, x), true)
			product(y, x, true)
			divide(y, dot(y, y), true)
		}
		if err := tensor.Of(v.Type, v.Shape, y).ReadFloats(y); err != nil {
			return [2][]float64{}, err
		}
		product(x, y, false)
		left := slices.Clone(x)
		divide(left, dot(x, x), false)
		correct(left, x, u.Type)
		m := make([]float64, len(y))
		product(m, left, true)
		correct(y, m, v.Type)
		return [2][]float64{left, y}, err
	})
	one := func(k int) func() ([]float64, error) {
		return func() ([]float64, error) {
			both, err := vectors()
			return both[k], err
		}
	}
	return []op.Param{w, with(u, one(0)), with(v, one(1))}, nil
}

func dot(a, b []float64) float64 {
	s := 0.0
	for k, x := range a {
		s += float64(x * b[k])
	}
	return s
}

// divide divides a vector that is not zero by n, or √n.
func divide(v []float64, n float64, root bool) {
	if root {
		n = math.Sqrt(n)
	}
	for k := range v {
		if n != 0 {
			v[k] /= n
		}
	}
}

// correct rounds x to a type so that x·m is as near to 1 as it can: what the rounding of one element leaves, the next
// makes up for, and the last is one of the smallest.
func correct(x, m []float64, typ tensor.Type) {
	order := make([]int, len(x))
	for k := range order {
		order[k] = k
	}
	slices.SortFunc(order, func(j, k int) int { return cmp.Compare(math.Abs(m[k]), math.Abs(m[j])) })
	left := 1 - dot(x, m)
	b := make([]byte, typ.Size())
	for _, k := range order {
		if m[k] == 0 {
			continue
		}
		before := x[k]
		x[k] += left / m[k]
		tensor.Encode(b, x[k:k+1], typ)
		tensor.Decode(x[k:k+1], b, typ)
		left -= float64((x[k] - before) * m[k])
	}
}
