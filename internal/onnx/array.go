package onnx

import (
	"fmt"
	"math"
	"slices"

	"repfuse/internal/tensor"
)

// maxElems bounds the arrays that constants are computed in.
const maxElems = 1 << 22

// array is the elements of a constant while it is computed: floating ones in f, rounded
// to the type after each step as a runtime would, all others in i.
type array struct {
	typ   tensor.Type
	shape []int
	f     []float64
	i     []int64
}

// unknown stands in an array of integers for an extent that nobody knows. The smallest number
// of all is an end that exporters write.
const unknown = math.MinInt64 + 0x6e6f6e65

func newArray(t tensor.Type, shape []int) (*array, error) {
	n, err := tensor.Count(shape, t)
	if err != nil || n > maxElems {
		return nil, fmt.Errorf("a constant of shape %v, want at most %d elements", shape, maxElems)
	}
	a := &array{typ: t, shape: shape}
	if t.IsFloat() {
		a.f = make([]float64, n)
	} else {
		a.i = make([]int64, n)
	}
	return a, nil
}

// readArray reads a stored tensor.
func readArray(t tensor.Tensor) (*array, error) {
	a, err := newArray(t.Type, t.Shape)
	if err != nil {
		return nil, err
	}
	if a.f != nil {
		return a, t.ReadFloats(a.f)
	}
	b, err := t.ReadAll()
	size := t.Type.Size()
	for k := range a.i {
		for j := size - 1; j >= 0 && err == nil; j-- {
			a.i[k] = a.i[k]<<8 | int64(b[k*size+j])
		}
		if bits := 64 - 8*size; t.Type == tensor.I8 || t.Type == tensor.I16 || t.Type == tensor.I32 {
			a.i[k] = a.i[k] << bits >> bits
		}
	}
	return a, err
}

// bytes are the elements as they are stored, of a floating array.
func (a *array) bytes() []byte {
	b := make([]byte, len(a.f)*a.typ.Size())
	tensor.Encode(b, a.f, a.typ)
	return b
}

// rounded rounds the elements to the array's type.
func (a *array) rounded() *array {
	if a.f != nil && a.typ != tensor.F64 {
		tensor.Decode(a.f, a.bytes(), a.typ)
	}
	return a
}

func (a *array) len() int { return max(len(a.f), len(a.i)) }

// partial reports whether an element is unknown.
func (a *array) partial() bool { return slices.Contains(a.i, unknown) }

// take is an array of the elements at the places given, 0 where one is negative.
func (a *array) take(shape []int, at []int) *array {
	out := &array{typ: a.typ, shape: shape}
	if a.typ.IsFloat() {
		out.f = make([]float64, len(at))
	} else {
		out.i = make([]int64, len(at))
	}
	for k, from := range at {
		switch {
		case from < 0:
		case a.f != nil:
			out.f[k] = a.f[from]
		default:
			out.i[k] = a.i[from]
		}
	}
	return out
}

// places lists off + Σ index·step for every index of a shape.
func places(shape, step []int, off int) []int {
	at := []int{off}
	for k, n := range shape {
		next := make([]int, 0, len(at)*n)
		for _, from := range at {
			for j := range n {
				next = append(next, from+j*step[k])
			}
		}
		at = next
	}
	return at
}

// spreadTo lists where the elements of a are when it is broadcast to shape.
func (a *array) spreadTo(shape []int) []int {
	step, own := make([]int, len(shape)), tensor.InOrder(a.shape, false)
	for k, n := range a.shape {
		if n > 1 {
			step[len(shape)-len(a.shape)+k] = own[k]
		}
	}
	return places(shape, step, 0)
}

// broadcast is the shape that arrays of these shapes have together, nil where they have
// none or one is not known.
func broadcast(shapes ...[]int) []int {
	var out []int
	for _, s := range shapes {
		if s == nil {
			return nil
		}
		for len(out) < len(s) {
			out = append([]int{1}, out...)
		}
		for k, n := range s {
			to := &out[len(out)-len(s)+k]
			switch {
			case *to == 1 || n == *to || *to < 0 && n > 1:
				*to = n
			case n == 1 || n < 0:
			default:
				return nil
			}
		}
	}
	if out == nil {
		out = []int{}
	}
	return out
}
