package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"repfuse/internal/tensor"
)

// maxRank bounds the number of dimensions; numpy and PyTorch stop at 64.
const maxRank = 64

// Tensor is a tensor of the file: an initializer, or the value of an attribute.
// Where its Type is Invalid, package tensor has no such elements (strings, four bits,
// ...): it is kept as it is and cannot be opened.
type Tensor struct {
	tensor.Named
	// Elem is the element type by the format's own number (TensorProto.DataType).
	Elem int

	span                // of its field
	data     span       // its elements, if they lie in the file as they are in memory
	coded    *coded     // its elements, if they are numbers of another form
	external *reference // its elements, if they lie in another file
}

// span is bytes from to to-1 of the file.
type span struct{ from, to int64 }

// The numbers that the format has for element types.
const (
	elemFloat = 1
	elemInt64 = 7
)

// elems are the element types by the format's numbers.
var elems = map[int]tensor.Type{
	elemFloat: tensor.F32, 2: tensor.U8, 3: tensor.I8, 4: tensor.U16, 5: tensor.I16, 6: tensor.I32, elemInt64: tensor.I64,
	9: tensor.Bool, 10: tensor.F16, 11: tensor.F64, 12: tensor.U32, 13: tensor.U64, 14: tensor.C64, 15: tensor.C128,
	16: tensor.BF16, 17: tensor.F8E4M3, 19: tensor.F8E5M2, 24: tensor.F8E8M0,
}

// numberFields are the fields of TensorProto that hold elements as numbers: the wire type
// of the numbers, and the element types that may be there.
var numberFields = map[int]struct {
	wire  int
	types []tensor.Type
}{
	4:  {wireI32, []tensor.Type{tensor.F32, tensor.C64}},
	5:  {wireVarint, []tensor.Type{tensor.I32, tensor.I16, tensor.I8, tensor.U16, tensor.U8, tensor.Bool, tensor.F16, tensor.BF16, tensor.F8E4M3, tensor.F8E5M2, tensor.F8E8M0}},
	7:  {wireVarint, []tensor.Type{tensor.I64}},
	10: {wireI64, []tensor.Type{tensor.F64, tensor.C128}},
	11: {wireVarint, []tensor.Type{tensor.U32, tensor.U64}},
}

// tensor reads a TensorProto, except for its elements.
func (f *file) tensor(m message, at field) (*Tensor, error) {
	t := &Tensor{span: span{at.start, at.end}}
	var dims []uint64
	var raws int
	var e reference
	var outside bool
	err := m.fields(at, func(m message, f field) (err error) {
		e.in = m.in
		switch f.number {
		case 1:
			dims, err = m.numbers(dims, f, wireVarint)
			if len(dims) > maxRank {
				err = fmt.Errorf("more than %d dimensions", maxRank)
			}
		case 2:
			t.Elem = int(f.value)
		case 3:
			err = errors.New("it is in segments, which repfuse cannot read")
		case 4, 5, 7, 10, 11:
			if t.coded == nil {
				t.coded = &coded{m: message{m.src, f.start, m.end, m.in}, number: f.number}
			}
			err = t.coded.count(m, f)
		case 8:
			t.Key, err = m.text(f)
		case 9:
			raws, t.data = raws+1, span{f.at, f.end}
		case 13:
			err = e.read(m, f)
		case 14:
			outside = f.value == 1
		}
		return err
	})
	if outside {
		t.external, f.externals = &e, append(f.externals, t)
	}
	if err == nil && raws > 1 {
		err = errors.New("raw_data is there twice")
	}
	if err == nil {
		err = f.elements(t, dims)
	}
	return t, named(err, "tensor", t.Key)
}

// named puts before an error what it is about.
func named(err error, what, name string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %.80q: %w", what, name, err)
}

// elements checks that the tensor's data is as long as its dimensions say.
func (f *file) elements(t *Tensor, dims []uint64) error {
	t.Type = elems[t.Elem]
	t.Shape = make([]int, len(dims))
	for k, d := range dims {
		if d > math.MaxInt64 {
			return fmt.Errorf("dimension %d", int64(d))
		}
		t.Shape[k] = int(d)
	}
	n, err := tensor.Count(t.Shape, t.Type)
	switch {
	case err != nil:
		return err
	case t.Type == tensor.Invalid && t.external != nil:
		return fmt.Errorf("external data of element type %d, which repfuse cannot read", t.Elem)
	case t.Type == tensor.Invalid:
		return nil
	}
	want := int64(n) * int64(t.Type.Size())
	switch {
	case t.external != nil:
		return f.outside(t, want)
	case t.coded != nil && t.data.to > 0:
		return errors.New("its elements are there twice, as raw_data and as numbers")
	case t.coded != nil:
		return t.numbers(int64(n))
	case t.data.to-t.data.from != want:
		return fmt.Errorf("raw_data of %d bytes, want the %d of %s %v", t.data.to-t.data.from, want, t.Type, t.Shape)
	}
	t.Open = f.section(t.data)
	return nil
}

func (f *file) section(s span) func() (tensor.Data, error) {
	return func() (tensor.Data, error) { return tensor.Section(f.in, s.from, s.to-s.from), nil }
}

// numbers checks and binds the elements that are stored as numbers.
func (t *Tensor) numbers(n int64) error {
	c := t.coded
	c.size = t.Type.Size()
	if t.Type == tensor.C64 || t.Type == tensor.C128 { // two numbers an element
		c.size, n = c.size/2, 2*n
	}
	if !slices.Contains(numberFields[c.number].types, t.Type) {
		return fmt.Errorf("field %d holds no elements of %s", c.number, t.Type)
	}
	if c.n != n {
		return fmt.Errorf("%d numbers, want the %d of %s %v", c.n, n, t.Type, t.Shape)
	}
	if c.run.to > 0 && numberFields[c.number].wire != wireVarint {
		src := c.m.src.r // the numbers are little-endian and have no gaps: as in raw_data
		t.data, t.coded = c.run, nil
		t.Open = func() (tensor.Data, error) {
			return tensor.Section(src, t.data.from, t.data.to-t.data.from), nil
		}
		return nil
	}
	t.Open = func() (tensor.Data, error) { return tensor.Section(c, 0, c.n*int64(c.size)), nil }
	return nil
}
