package unfuse

import (
	"math"
	"slices"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// storedType is the element type of what a tensor is stored as, or computed of.
func storedType(p op.Param) tensor.Type {
	if p.Computed != nil {
		return p.Computed.Type
	}
	return p.Type
}

// made is a tensor whose elements are made when it is opened.
func made(p op.Param, values func() ([]float64, error)) tensor.Tensor {
	return tensor.Later(storedType(p), p.Shape, values)
}

// fill sets all of a tensor to one number.
func (s *solver) fill(p op.Param, v float64) error {
	return s.put(p, made(p, func() ([]float64, error) { return slices.Repeat([]float64{v}, p.Len()), nil }))
}

// constant sets what adds a bias, which may have more channels than it; p is nil where nothing does.
func (s *solver) constant(p *op.Param, bias []float64) error {
	switch {
	case p != nil && bias == nil:
		return s.fill(*p, 0)
	case p != nil && len(bias) > p.Len():
		return refuse(2, "%s has %d elements, want %d for the bias", p.Key, p.Len(), len(bias))
	case p != nil:
		values := append(slices.Clone(bias), make([]float64, p.Len()-len(bias))...)
		t := tensor.Of(storedType(*p), p.Shape, values)
		held, err := t.Floats()
		if err != nil || !slices.EqualFunc(held, values, func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }) {
			return refuse(2, "%s is %s, which does not hold the bias", p.Key, t.Type)
		}
		return s.put(*p, t)
	case !nothing(bias):
		return refuse(2, "nothing behind its kernel adds a bias")
	}
	return nil
}

// nothing reports whether a bias is zero.
func nothing(bias []float64) bool {
	return !slices.ContainsFunc(bias, func(v float64) bool { return v != 0 })
}

// changed is a tensor whose elements are changed when it is opened.
func changed(t tensor.Tensor, change func(v []float64)) tensor.Tensor {
	return tensor.Later(t.Type, t.Shape, func() ([]float64, error) {
		v, err := t.Floats()
		if err == nil {
			change(v)
		}
		return v, err
	})
}

// divided is a kernel whose elements are divided.
func divided(kernel tensor.Tensor, by float64) tensor.Tensor {
	return changed(kernel, func(v []float64) {
		for k := range v {
			v[k] /= by
		}
	})
}

func quotients(v []float64, by float64) []float64 {
	v = slices.Clone(v)
	for k := range v {
		v[k] /= by
	}
	return v
}

func added(v []float64, term float64) []float64 {
	v = slices.Clone(v)
	for k := range v {
		v[k] += term
	}
	return v
}

// widened is a wanted kernel in the first rows and columns of each group of a larger one, whose other columns are zero there
// and whose other rows stay as they are. Behind the wanted rows those that give the input, times what is to be taken away.
func widened(w want, wide op.Param, own int) tensor.Tensor {
	return tensor.Tensor{Type: wide.Type, Shape: wide.Shape, Open: func() (tensor.Data, error) {
		small, err := w.kernel.ReadAll()
		if err != nil {
			return nil, err
		}
		b, err := wide.ReadAll()
		if err != nil {
			return nil, err
		}
		row, wideRow := len(small)/w.form.Out, len(b)/wide.Shape[0]
		rows, wideRows := w.form.Out/w.form.Groups, wide.Shape[0]/w.form.Groups
		for o := range w.form.Out {
			to := b[(o/rows*wideRows+o%rows)*wideRow:][:wideRow]
			clear(to)
			copy(to, small[o*row:(o+1)*row])
			if w.less != 0 {
				to = b[(w.form.Out+o)*wideRow:][:wideRow]
				clear(to)
				at := (o*w.form.Taps() + own) * wide.Type.Size()
				tensor.Encode(to[at:][:wide.Type.Size()], []float64{w.less}, wide.Type)
			}
		}
		return tensor.FromBytes(wide.Type, wide.Shape, b).Open()
	}}
}
