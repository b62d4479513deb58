package graph_test

import (
	"fmt"

	"repfuse/internal/graph"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// tap is one coefficient of a kernel on the plane.
type tap struct {
	out, in int
	at      [3]int
}

// kernel is an expression multiplied out, as a polynomial in the shifts of the plane.
type kernel struct {
	taps map[tap]float64
	bias []float64
}

// collapse multiplies an expression at stride 1 out.
func collapse(e op.Expr, in int) kernel {
	switch e := e.(type) {
	case op.Seq:
		all := diagonal(in, 1, nil)
		for _, p := range e {
			all = all.then(collapse(p, len(all.bias)))
		}
		return all
	case op.Sum:
		all := collapse(e[0], in)
		for _, p := range e[1:] {
			part := collapse(p, in)
			for t, v := range part.taps {
				all.taps[t] += v
			}
			for o, v := range part.bias {
				all.bias[o] += v
			}
		}
		return all
	case op.Concat:
		all := kernel{taps: map[tap]float64{}}
		for _, p := range e {
			part := collapse(p, in)
			for t, v := range part.taps {
				t.out += len(all.bias)
				all.taps[t] = v
			}
			all.bias = append(all.bias, part.bias...)
		}
		return all
	case op.Conv:
		shape := e.Weight.Shape
		k := kernel{map[tap]float64{}, floats(e.Bias, shape[0], 0)}
		w := floats(&e.Weight, e.Weight.Len(), 0)
		j := 0
		for o := range shape[0] {
			for i := range shape[1] {
				each(shape[2:], func(p []int) {
					k.taps[tap{o, o/(shape[0]/e.Groups)*shape[1] + i, place(p, e.Padding, e.Dilation)}] = w[j]
					j++
				})
			}
		}
		return k
	case op.AvgPool:
		k := kernel{map[tap]float64{}, make([]float64, in)}
		each(e.Kernel, func(p []int) {
			for c := range in {
				k.taps[tap{c, c, place(p, e.Padding, e.Dilation)}] = 1 / float64(tensor.Elems(e.Kernel))
			}
		})
		return k
	case op.Identity:
		return diagonal(in, 1, e.Padding)
	case op.Scale:
		return diagonal(in, 1, nil).affine(floats(e.By, in, e.Factor), make([]float64, in))
	case op.Shift:
		return diagonal(in, 1, nil).affine(floats(nil, in, 1), floats(e.By, in, e.Term))
	case op.BatchNorm:
		s, b := norm(e)
		return diagonal(in, 1, nil).affine(s, b)
	}
	panic(fmt.Sprintf("no such operator: %T", e))
}

func place(p, padding, dilation []int) (at [3]int) {
	for a := range p {
		at[a] = p[a]*pick(dilation, a, 1) - pick(padding, a, 0)
	}
	return at
}

func diagonal(n int, v float64, padding []int) kernel {
	k := kernel{map[tap]float64{}, make([]float64, n)}
	for c := range n {
		k.taps[tap{c, c, place(make([]int, len(padding)), padding, nil)}] = v
	}
	return k
}

func (k kernel) affine(scale, shift []float64) kernel {
	for t := range k.taps {
		k.taps[t] *= scale[t.out]
	}
	for o := range k.bias {
		k.bias[o] = k.bias[o]*scale[o] + shift[o]
	}
	return k
}

func (k kernel) then(l kernel) kernel {
	m := kernel{map[tap]float64{}, append([]float64(nil), l.bias...)}
	from := map[int][]tap{}
	for t := range k.taps {
		from[t.out] = append(from[t.out], t)
	}
	for t, v := range l.taps {
		m.bias[t.out] += v * k.bias[t.in]
		for _, s := range from[t.in] {
			at := s.at
			for a := range at {
				at[a] += t.at[a]
			}
			m.taps[tap{t.out, s.in, at}] += v * k.taps[s]
		}
	}
	return m
}

// layer is a region as the one convolution that stands in its place, and an error where
// the kernel does not fit the shape that the region says.
func layer(r *graph.Region) (op.Conv, error) {
	f := r.Form
	k := collapse(op.AtStride1(r.Expr, f.Rank()), f.In)
	shape, step := f.WeightShape(), f.Dilation()
	w := make([]float64, tensor.Elems(shape))
	for t, v := range k.taps {
		group, inner, outer := t.in/shape[1], shape[1], f.Out/f.Groups
		j := t.out*inner + t.in%inner
		for a := range shape[2:] {
			at := t.at[a] - f.Lo[a]
			if at < 0 || at%step[a] != 0 || at/step[a] >= shape[2+a] {
				return op.Conv{}, fmt.Errorf("a tap at %v, want %v from %v in steps of %v", t.at, shape[2:], f.Lo, step)
			}
			j = j*shape[2+a] + at/step[a]
		}
		if group != t.out/outer {
			if v != 0 {
				return op.Conv{}, fmt.Errorf("output %d looks at input %d, in another of %d groups", t.out, t.in, f.Groups)
			}
			continue
		}
		w[j] += v
	}
	c := op.Conv{Weight: op.Param{Key: "w", Tensor: tensor.Of(tensor.F64, shape, w)},
		Stride: f.Stride, Padding: r.Begin, Dilation: step, Groups: f.Groups}
	if f.Bias {
		c.Bias = &op.Param{Key: "b", Tensor: tensor.Of(tensor.F64, []int{f.Out}, k.bias)}
	} else {
		for _, v := range k.bias {
			if v != 0 {
				return c, fmt.Errorf("a bias %v where the form has none", k.bias)
			}
		}
	}
	return c, nil
}

// fused is g with each region's last node replaced by its layer, and the others gone.
func fused(g *graph.Graph, regions []graph.Region) (*graph.Graph, error) {
	gone := map[int]bool{}
	in := map[int]*graph.Region{}
	for i := range regions {
		r := &regions[i]
		for _, k := range r.Nodes {
			if gone[k] {
				return nil, fmt.Errorf("node %d is in two regions", k)
			}
			gone[k] = true
		}
		in[r.Nodes[len(r.Nodes)-1]] = r
	}
	h := &graph.Graph{Values: g.Values}
	for k, n := range g.Nodes {
		if r := in[k]; r != nil {
			c, err := layer(r)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.Expr, err)
			}
			h.Nodes = append(h.Nodes, graph.Node{Kind: graph.Linear, Inputs: []int{r.Anchor}, Outputs: []int{r.Sink}, Op: c, After: r.End})
		} else if !gone[k] {
			h.Nodes = append(h.Nodes, n)
		}
	}
	return h, nil
}
