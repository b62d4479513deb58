package convtest

import (
	"fmt"
	"slices"

	"repfuse/internal/conv"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// Of is an image of the given values.
func Of(channels int, size []int, values []float64) (conv.Map, error) {
	if n := channels * tensor.Elems(size); n != len(values) {
		return conv.Map{}, fmt.Errorf("%d values for a map of %d×%v, want %d", len(values), channels, size, n)
	}
	return conv.Map{Channels: channels, Lo: make([]int, len(size)), Size: size, Data: values}, nil
}

// On is the map on another box, zero where it was not defined.
func On(m conv.Map, lo, size []int) conv.Map {
	to := conv.Zeros(m.Channels, lo, size)
	rows(lo, size, func(p []int, n int) {
		begin, end := 0, n // of the row, what m has of it
		for a, x := range p {
			switch last := a == len(p)-1; {
			case last:
				begin, end = max(0, m.Lo[a]-x), min(n, m.Lo[a]+m.Size[a]-x)
			case x < m.Lo[a] || x >= m.Lo[a]+m.Size[a]:
				return
			}
		}
		if begin >= end {
			return
		}
		q := append([]int(nil), p...)
		if len(q) > 0 {
			q[len(q)-1] += begin
		}
		for c := range m.Channels {
			at := index(m, c, q)
			copy(to.Data[index(to, c, q):][:end-begin], m.Data[at:])
		}
	})
	return to
}

// Sample is the elements from + j·stride of m, on each axis size of them. m must hold them
// all.
func Sample(m conv.Map, from, stride, size []int) (conv.Map, error) {
	y := conv.Zeros(m.Channels, make([]int, len(size)), size)
	for a, n := range size {
		if last := from[a] + (n-1)*stride[a]; n > 0 && (from[a] < m.Lo[a] || last >= m.Lo[a]+m.Size[a]) {
			return conv.Map{}, fmt.Errorf("axis %d: elements %d to %d, want some from %d to %d", a, from[a], last, m.Lo[a], m.Lo[a]+m.Size[a]-1)
		}
	}
	for c := range m.Channels {
		accumulate(y, c, m, c, from, stride, 1)
	}
	return y, nil
}

// padded is x, whose places outside the image of extents grid are what a mode says.
func padded(x conv.Map, grid []int, mode string) conv.Map {
	y := conv.Zeros(x.Channels, x.Lo, x.Size)
	each := tensor.Elems(y.Size)
	for k := range each {
		at := tensor.Place(k, y.Size)
		for a := range at {
			at[a] = outside(y.Lo[a]+at[a], grid[a], mode)
		}
		for c := range y.Channels {
			y.Data[c*each+k] = x.Data[index(x, c, at)]
		}
	}
	return y
}

// outside is the element of n that stands at place p, as torch.nn.functional.pad has it.
func outside(p, n int, mode string) int {
	switch {
	case p >= 0 && p < n:
		return p
	case mode == "replicate":
		return min(max(p, 0), n-1)
	case mode == "circular":
		return ((p % n) + n) % n
	case n == 1:
		return 0
	}
	round := 2 * (n - 1)
	p = ((p % round) + round) % round
	return min(p, round-p)
}

// places lists the places that the taps of a kernel look at for output 0.
func places(f op.Form, kernel []int) [][]int {
	all := make([][]int, tensor.Elems(kernel))
	for t := range all {
		all[t] = tensor.Place(t, kernel)
		for a, k := range all[t] {
			all[t][a] = f.Lo[a] + k*f.Step[a]
		}
		if f.Transposed {
			all[t] = negated(all[t])
		}
	}
	return all
}

// accumulate adds v·x[i, stride·p + at] to y[o, p] for all p of y's box.
func accumulate(y conv.Map, o int, x conv.Map, i int, at, stride []int, v float64) {
	q, step := make([]int, len(at)), 1
	if len(at) > 0 {
		step = stride[len(at)-1]
	}
	rows(y.Lo, y.Size, func(p []int, n int) {
		for a := range q {
			q[a] = p[a]*stride[a] + at[a]
		}
		from, to := index(x, i, q), y.Data[index(y, o, p):][:n]
		for k := range to {
			to[k] += v * x.Data[from+k*step]
		}
	})
}

// fill sets channel o to v.
func fill(y conv.Map, o int, v float64) {
	each := tensor.Elems(y.Size)
	for k := range each {
		y.Data[o*each+k] = v
	}
}

// index is where the element of channel c at p lies.
func index(m conv.Map, c int, p []int) int {
	for a, size := range m.Size {
		c = c*size + p[a] - m.Lo[a]
	}
	return c
}

// rows visits a box row by row along its last axis: the position of each row's
// first element and its length. A box without axes has one row of one element.
func rows(lo, size []int, visit func(p []int, n int)) {
	last := len(size) - 1
	if last < 0 {
		visit(nil, 1)
		return
	}
	if tensor.Elems(size) == 0 {
		return
	}
	for k := range tensor.Elems(size[:last]) {
		p := append(tensor.Place(k, size[:last]), 0)
		for a := range p {
			p[a] += lo[a]
		}
		visit(p, size[last])
	}
}

// floats reads a vector of one element for each channel. One element stands for
// all channels; where there is no vector, literal does.
func floats(p *op.Param, channels int, literal float64) ([]float64, error) {
	v := []float64{literal}
	if p != nil {
		var err error
		if v, err = p.Floats(); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Key, err)
		}
	}
	if len(v) == 1 {
		v = slices.Repeat(v, max(channels, 1))
	}
	return v, nil
}

func ones(n int) []int { return slices.Repeat([]int{1}, n) }

func negated(v []int) []int {
	w := make([]int, len(v))
	for k := range v {
		w[k] = -v[k]
	}
	return w
}
