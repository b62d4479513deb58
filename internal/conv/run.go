package conv

import (
	"fmt"
	"math"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// Run runs e on an image and gives the map on the image's own box, all in float64.
// It holds every tensor of e in memory.
func Run(e op.Expr, image Map) (Map, error) {
	return RunOn(e, image, image.Lo, image.Size)
}

// RunOn is Run where the result is wanted on another box of the plane.
func RunOn(e op.Expr, image Map, lo, size []int) (Map, error) {
	if len(lo) != len(image.Size) || len(size) != len(image.Size) {
		return Map{}, fmt.Errorf("a box of %d axes, want %d as the image has", len(size), len(image.Size))
	}
	n, err := resolve(e, image.Channels, len(image.Size))
	if err != nil {
		return Map{}, err
	}
	from, all := n.before(lo, size)
	return interpreter{image.Lo, image.Size}.run(n, image.On(from, all), lo, size)
}

// interpreter runs nodes. It holds the image's box, which Window must know.
type interpreter struct{ lo, size []int }

// run gives the map of n on a box; x is its input on at least n.before of it.
func (r interpreter) run(n *node, x Map, lo, size []int) (Map, error) {
	switch e := n.e.(type) {
	case op.Seq:
		return r.sequence(n, x, lo, size)
	case op.Sum:
		return r.sum(n, x, lo, size)
	case op.Concat:
		return r.concat(n, x, lo, size)
	case op.Conv:
		return convolve(n, e, x, lo, size)
	case op.AvgPool:
		return average(n, x, lo, size), nil
	case op.Select:
		y := x.On(lo, size)
		each := tensor.Elems(size)
		return Map{n.out, lo, size, y.Data[e.From*each : e.To*each]}, nil
	case op.Window:
		from, both := overlap(lo, size, r.lo, r.size)
		if both == nil {
			return Zeros(n.out, lo, size), nil
		}
		return x.On(from, both).On(lo, size), nil
	case op.Identity:
		return x.On(lo, size), nil
	default:
		f, err := pointwise(n.e, n.out)
		if err != nil {
			return Map{}, err
		}
		y := x.On(lo, size)
		each := tensor.Elems(size)
		for k := range y.Data {
			y.Data[k] = f(k/each, y.Data[k])
		}
		return y, nil
	}
}

// sequence runs the parts one after the other, each on as much as the rest looks at.
func (r interpreter) sequence(n *node, x Map, lo, size []int) (Map, error) {
	boxes := make([][2][]int, len(n.parts))
	for k := len(n.parts) - 1; k >= 0; k-- {
		boxes[k] = [2][]int{lo, size}
		lo, size = n.parts[k].before(lo, size)
	}
	for k, part := range n.parts {
		var err error
		if x, err = r.run(part, x, boxes[k][0], boxes[k][1]); err != nil {
			return Map{}, err
		}
	}
	return x, nil
}

func (r interpreter) sum(n *node, x Map, lo, size []int) (Map, error) {
	all := Zeros(n.out, lo, size)
	for _, part := range n.parts {
		y, err := r.run(part, x, lo, size)
		if err != nil {
			return Map{}, err
		}
		for k, v := range y.Data {
			all.Data[k] += v
		}
	}
	return all, nil
}

func (r interpreter) concat(n *node, x Map, lo, size []int) (Map, error) {
	all := Map{Channels: n.out, Lo: lo, Size: size}
	for _, part := range n.parts {
		y, err := r.run(part, x, lo, size)
		if err != nil {
			return Map{}, err
		}
		all.Data = append(all.Data, y.Data...)
	}
	return all, nil
}

// convolve sums, for output channel o, Σ_i Σ_t W[o,i,t]·x[i, p + at t] over the
// channels i of o's group; a transposed kernel is W[i,o,t].
func convolve(n *node, e op.Conv, x Map, lo, size []int) (Map, error) {
	w, err := e.Weight.Floats()
	if err != nil {
		return Map{}, fmt.Errorf("%s: %w", e.Weight.Key, err)
	}
	bias, err := floats(e.Bias, n.out, 0)
	if err != nil {
		return Map{}, err
	}
	y := Zeros(n.out, lo, size)
	inner, outer := n.in/n.groups, n.out/n.groups
	for o := range n.out {
		first := o / outer * inner
		for i := first; i < first+inner; i++ {
			for t, at := range n.at {
				v := w[(o*inner+i-first)*len(n.at)+t]
				if e.Transposed {
					v = w[(i*outer+o%outer)*len(n.at)+t]
				}
				accumulate(y, o, x, i, at, v)
			}
		}
		each := tensor.Elems(size)
		for k := range each {
			y.Data[o*each+k] += bias[o]
		}
	}
	return y, nil
}

// average is the mean of the taps' places, on each channel by itself.
func average(n *node, x Map, lo, size []int) Map {
	y := Zeros(n.out, lo, size)
	for c := range n.out {
		for _, at := range n.at {
			accumulate(y, c, x, c, at, 1)
		}
	}
	for k := range y.Data {
		y.Data[k] /= float64(len(n.at))
	}
	return y
}

// accumulate adds v·x[i, p + at] to y[o, p] for all p of y's box.
func accumulate(y Map, o int, x Map, i int, at []int, v float64) {
	q := make([]int, len(at))
	rows(y.Lo, y.Size, func(p []int, n int) {
		for a := range q {
			q[a] = p[a] + at[a]
		}
		from := x.row(i, q, n)
		for k, to := 0, y.row(o, p, n); k < n; k++ {
			to[k] += v * from[k]
		}
	})
}

// pointwise is an operator that acts on each element by itself: what it makes of v
// in channel c.
func pointwise(e op.Expr, channels int) (func(c int, v float64) float64, error) {
	switch e := e.(type) {
	case op.BatchNorm:
		return normalise(e, channels)
	case op.Scale:
		s, err := floats(e.By, channels, e.Factor)
		return func(c int, v float64) float64 { return v * s[c] }, err
	case op.Shift:
		b, err := floats(e.By, channels, e.Term)
		return func(c int, v float64) float64 { return v + b[c] }, err
	default:
		return nil, fmt.Errorf("%s: nothing is known of how to run a %T", e, e)
	}
}

// normalise is (x − μ)/√(σ² + ε)·γ + β.
func normalise(e op.BatchNorm, channels int) (func(c int, v float64) float64, error) {
	var v [4][]float64
	for k, p := range []*op.Param{e.Mean, e.Var, e.Gamma, e.Beta} {
		var err error
		if v[k], err = floats(p, channels, []float64{0, 1, 1, 0}[k]); err != nil {
			return nil, err
		}
	}
	mean, variance, gamma, beta := v[0], v[1], v[2], v[3]
	return func(c int, v float64) float64 {
		return (v-mean[c])/math.Sqrt(variance[c]+e.Eps)*gamma[c] + beta[c]
	}, nil
}

// floats reads a vector of one element for each channel. One element stands for
// all channels; where there is no vector, literal does.
func floats(p *op.Param, channels int, literal float64) ([]float64, error) {
	one := []float64{literal}
	if p != nil {
		v, err := p.Floats()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Key, err)
		}
		if len(v) != 1 {
			return v, nil
		}
		one = v
	}
	v := make([]float64, channels)
	for c := range v {
		v[c] = one[0]
	}
	return v, nil
}
