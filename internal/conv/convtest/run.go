// Package convtest is the oracle of the tests: it runs an expression on a feature map as the
// definitions of its operators say, one operator at a time, in float64. It steps where a layer has a
// stride, and looks up reflected elements where one pads by them; nothing is rewritten or merged first. It reads
// whole tensors and is slow.
package convtest

import (
	"fmt"
	"math"
	"slices"

	"repfuse/internal/conv"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// Run gives the map of e on the image's own box, or, where e has strides, on the elements that
// they leave of it.
func Run(e op.Expr, image conv.Map) (conv.Map, error) { return run(interpreter{}, e, image, nil, nil) }

// RunLayers is Run of layers that put zeros back where they pad, as those of a network do.
func RunLayers(e op.Expr, image conv.Map) (conv.Map, error) {
	return run(interpreter{true}, e, image, nil, nil)
}

// run gives the map on a box, nil for the elements that strides leave of the image.
func run(i interpreter, e op.Expr, image conv.Map, lo, size []int) (conv.Map, error) {
	l, err := op.Fold(i, e, image.Channels, len(image.Size))
	if err != nil {
		return conv.Map{}, err
	}
	if size == nil {
		lo, size = make([]int, len(image.Size)), l.grid(image.Size)
	}
	y := conv.Zeros(l.out, lo, size)
	return y, l.run(l.input(image, image.Size, y), image.Size, y)
}

// RunOn is Run where the result is wanted on another box of the plane.
func RunOn(e op.Expr, image conv.Map, lo, size []int) (conv.Map, error) {
	if len(lo) != len(image.Size) || len(size) != len(image.Size) {
		return conv.Map{}, fmt.Errorf("a box of %d axes, want %d as the image has", len(size), len(image.Size))
	}
	return run(interpreter{}, e, image, lo, size)
}

// A layer is an operator, or several put together, ready to run.
type layer struct {
	stride []int
	lo, hi []int // the first and the last place that output 0 looks at
	// run gives the map on the box y, whose elements it sets. x is the input on all that lo and hi
	// say; grid is the extents of the image where x is: what stands outside is for layers that pad
	// to know.
	run   func(x conv.Map, grid []int, y conv.Map) error
	out   int
	whole bool // all of the image is looked at, whatever is wanted
}

// grid is the extents behind l of an image.
func (l layer) grid(size []int) []int {
	g := make([]int, len(size))
	for a, n := range size {
		g[a] = (n + l.stride[a] - 1) / l.stride[a]
	}
	return g
}

// input is what of x the layer looks at for y, zero where x was not defined.
func (l layer) input(x conv.Map, grid []int, y conv.Map) conv.Map {
	lo, size := l.before(grid, y.Lo, y.Size)
	return On(x, lo, size)
}

func (l layer) before(grid, lo, size []int) (from, all []int) {
	from, all = make([]int, len(lo)), make([]int, len(lo))
	for a := range lo {
		from[a] = lo[a]*l.stride[a] + l.lo[a]
		all[a] = max(0, (size[a]-1)*l.stride[a]+1+l.hi[a]-l.lo[a])
		if end := from[a] + all[a]; l.whole {
			from[a] = min(from[a], 0)
			all[a] = max(end, grid[a]) - from[a]
		}
	}
	return from, all
}

type interpreter struct{ layers bool }

// operator is a layer of the operator's own form.
func operator(f op.Form, run func(x conv.Map, grid []int, y conv.Map) error) (layer, error) {
	l := layer{stride: f.Stride, lo: f.Lo, hi: f.Hi, run: run, out: f.Out, whole: f.PaddingMode != ""}
	if l.stride == nil || f.Transposed {
		l.stride = ones(f.Rank())
	}
	if f.Transposed { // which looks back
		l.lo, l.hi = negated(f.Hi), negated(f.Lo)
	}
	return l, nil
}

func (i interpreter) Conv(e op.Conv, f op.Form) (layer, error) {
	w, err := floats(&e.Weight, 0, 0)
	if err != nil {
		return layer{}, err
	}
	bias, err := floats(e.Bias, f.Out, 0)
	if err != nil {
		return layer{}, err
	}
	l, _ := operator(f, nil)
	inner, outer, taps := f.In/f.Groups, f.Out/f.Groups, places(f, e.Weight.Shape[2:])
	l.run = i.layer(f, e.Plane, func(x conv.Map, grid []int, y conv.Map) error {
		if f.PaddingMode != "" {
			x = padded(x, grid, f.PaddingMode)
		}
		for o := range f.Out {
			fill(y, o, bias[o])
			first := o / outer * inner
			for i := first; i < first+inner; i++ {
				for t, at := range taps {
					v := w[(o*inner+i-first)*len(taps)+t]
					if e.Transposed {
						v = w[(i*outer+o%outer)*len(taps)+t]
					}
					accumulate(y, o, x, i, at, l.stride, v)
				}
			}
		}
		return nil
	})
	return l, nil
}

// layer is what run does, of layers with zeros where they pad unless they are said to see the plane.
func (i interpreter) layer(f op.Form, plane bool, run func(x conv.Map, grid []int, y conv.Map) error) func(conv.Map, []int, conv.Map) error {
	if !i.layers || plane || f.PaddingMode != "" {
		return run
	}
	return func(x conv.Map, grid []int, y conv.Map) error {
		lo, size := slices.Clone(x.Lo), slices.Clone(x.Size)
		for a := range lo {
			if f.Lo[a] < 0 {
				lo[a], size[a] = 0, grid[a]
			}
		}
		return run(On(On(x, lo, size), x.Lo, x.Size), grid, y)
	}
}

func (i interpreter) AvgPool(e op.AvgPool, f op.Form) (layer, error) {
	l, err := mean(f, e.Kernel)
	l.run = i.layer(f, e.Plane, l.run)
	return l, err
}

func (i interpreter) Identity(e op.Identity, f op.Form) (layer, error) {
	l, err := mean(f, ones(f.Rank()))
	l.run = i.layer(f, e.Plane, l.run)
	return l, err
}

// mean is Σ x/n over the n places of a kernel.
func mean(f op.Form, kernel []int) (layer, error) {
	l, _ := operator(f, nil)
	at := places(f, kernel)
	l.run = func(x conv.Map, _ []int, y conv.Map) error {
		for c := range f.Out {
			for _, t := range at {
				accumulate(y, c, x, c, t, l.stride, 1)
			}
		}
		for k := range y.Data {
			y.Data[k] /= float64(len(at))
		}
		return nil
	}
	return l, nil
}

func (interpreter) Select(e op.Select, f op.Form) (layer, error) {
	return operator(f, func(x conv.Map, _ []int, y conv.Map) error {
		copy(y.Data, x.Data[e.From*tensor.Elems(x.Size):])
		return nil
	})
}

// BatchNorm is (x − μ)/√(σ² + ε)·γ + β.
func (interpreter) BatchNorm(e op.BatchNorm, f op.Form) (layer, error) {
	var v [4][]float64
	for k, p := range []*op.Param{e.Mean, e.Var, e.Gamma, e.Beta} {
		var err error
		if v[k], err = floats(p, f.Out, []float64{0, 1, 1, 0}[k]); err != nil {
			return layer{}, err
		}
	}
	mean, variance, gamma, beta := v[0], v[1], v[2], v[3]
	return pointwise(f, func(c int, v float64) float64 {
		return (v-mean[c])/math.Sqrt(variance[c]+e.Eps)*gamma[c] + beta[c]
	})
}

func (interpreter) Scale(e op.Scale, f op.Form) (layer, error) {
	s, err := floats(e.By, f.Out, e.Factor)
	if err != nil {
		return layer{}, err
	}
	return pointwise(f, func(c int, v float64) float64 { return v * s[c] })
}

func (interpreter) Shift(e op.Shift, f op.Form) (layer, error) {
	b, err := floats(e.By, f.Out, e.Term)
	if err != nil {
		return layer{}, err
	}
	return pointwise(f, func(c int, v float64) float64 { return v + b[c] })
}

func pointwise(f op.Form, do func(c int, v float64) float64) (layer, error) {
	return operator(f, func(x conv.Map, _ []int, y conv.Map) error {
		each := max(1, tensor.Elems(y.Size))
		for k := range y.Data {
			y.Data[k] = do(k/each, x.Data[k])
		}
		return nil
	})
}

// Seq runs each part on as much as the rest looks at.
func (interpreter) Seq(parts []layer) (layer, error) {
	all := parts[0]
	for _, p := range parts[1:] {
		var lo, hi, stride []int
		for a, s := range all.stride {
			lo, hi = append(lo, all.lo[a]+s*p.lo[a]), append(hi, all.hi[a]+s*p.hi[a])
			stride = append(stride, s*p.stride[a])
		}
		all.lo, all.hi, all.stride, all.out, all.whole = lo, hi, stride, p.out, all.whole || p.whole
	}
	all.run = func(x conv.Map, grid []int, y conv.Map) error {
		maps, grids := make([]conv.Map, len(parts)), [][]int{grid}
		for _, p := range parts {
			grids = append(grids, p.grid(grids[len(grids)-1]))
		}
		lo, size := y.Lo, y.Size
		for k := len(parts) - 1; k >= 0; k-- {
			maps[k] = conv.Zeros(parts[k].out, lo, size)
			lo, size = parts[k].before(grids[k], lo, size)
		}
		maps[len(parts)-1] = y
		x = On(x, lo, size)
		for k, p := range parts {
			if err := p.run(x, grids[k], maps[k]); err != nil {
				return err
			}
			x = maps[k]
		}
		return nil
	}
	return all, nil
}

func (interpreter) Sum(parts []layer) (layer, error) {
	all, err := around(parts)
	all.out = parts[0].out
	all.run = func(x conv.Map, grid []int, y conv.Map) error {
		for _, p := range parts {
			part := conv.Zeros(p.out, y.Lo, y.Size)
			if err := p.run(p.input(x, grid, y), grid, part); err != nil {
				return err
			}
			for k, v := range part.Data {
				y.Data[k] += v
			}
		}
		return nil
	}
	return all, err
}

func (interpreter) Concat(parts []layer) (layer, error) {
	all, err := around(parts)
	all.run = func(x conv.Map, grid []int, y conv.Map) error {
		at := 0
		for _, p := range parts {
			part := conv.Map{Channels: p.out, Lo: y.Lo, Size: y.Size, Data: y.Data[at*tensor.Elems(y.Size):][:p.out*tensor.Elems(y.Size)]}
			if err := p.run(p.input(x, grid, y), grid, part); err != nil {
				return err
			}
			at += p.out
		}
		return nil
	}
	return all, err
}

// around looks at what any of the parts looks at.
func around(parts []layer) (layer, error) {
	all := layer{stride: parts[0].stride}
	all.lo, all.hi = append(all.lo, parts[0].lo...), append(all.hi, parts[0].hi...)
	for _, p := range parts {
		all.out, all.whole = all.out+p.out, all.whole || p.whole
		if !slices.Equal(p.stride, all.stride) {
			return all, fmt.Errorf("branches of strides %v and %v, want it said of each", all.stride, p.stride)
		}
		for a := range all.lo {
			all.lo[a], all.hi[a] = min(all.lo[a], p.lo[a]), max(all.hi[a], p.hi[a])
		}
	}
	return all, nil
}
