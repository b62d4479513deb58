package tensor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
)

// Data is the bytes of one tensor, open for reading.
type Data interface {
	io.ReaderAt
	io.Closer
}

// Tensor is a stored tensor. Open gives its bytes; it may be called by several
// goroutines, and every Data it gives must be closed.
type Tensor struct {
	Type  Type
	Shape []int
	Open  func() (Data, error)
	// Computed is set where the tensor is no stored one and Open computes its elements.
	Computed *Computation
}

// Computation is how a tensor that is no stored one comes about.
type Computation struct {
	// Type is the widest element type of the stored tensors that it is computed of.
	Type Type
	// Steps and Sums are how often an ordinary program in that type rounds an element: in
	// operations on whole tensors, and in additions within sums of products.
	Steps, Sums int
	// Set, if it is not nil, gives the stored tensors of which the elements of t are computed, as near as it can, where now
	// gives those as they are. Its error says why no elements give t.
	Set func(t Tensor, now func(Named) Tensor) ([]Named, error)
	// Near says that what Set gives may round to other elements than those of t, except where these are all zero.
	Near bool
}

// Named is a tensor under its key in a checkpoint.
type Named struct {
	Key string
	Tensor
}

// ByKey is tensors by their keys.
func ByKey(list []Named) map[string]Tensor {
	m := make(map[string]Tensor, len(list))
	for _, t := range list {
		m[t.Key] = t.Tensor
	}
	return m
}

// Common is the module that the modules or tensors under all keys are in.
func Common(keys ...string) string {
	module := Parent(keys[0])
	for _, key := range keys[1:] {
		for module != "" && !strings.HasPrefix(key, module+".") {
			module = Parent(module)
		}
	}
	return module
}

// Parent is a key, or the path of a module, without its last name: the module that it is in.
func Parent(key string) string { return key[:max(strings.LastIndexByte(key, '.'), 0)] }

// Spec is what a writer must know of a tensor before its bytes arrive.
type Spec struct {
	Key   string
	Type  Type
	Shape []int
}

// Writer takes the bytes of the tensors it was created for, in any order and
// from several goroutines at once. i is the tensor's place in the list of Specs.
type Writer interface {
	// WriteAt stores p at byte off of tensor i.
	WriteAt(i int, p []byte, off int64) error
	// Done says that tensor i is whole and what the CRC-32 (IEEE) of its bytes is.
	Done(i int, crc uint32) error
	// Close writes what is still missing of the file and closes it.
	Close() error
}

// Count is the number of elements of a shape, or an error where it is negative
// or its bytes do not fit an int64.
func Count(shape []int, t Type) (int, error) {
	n, zero := 1, false
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		}
		if d == 0 {
			zero = true
			continue
		}
		if n > math.MaxInt/d/max(t.Size(), 1) {
			return 0, fmt.Errorf("shape %v of %s has more bytes than an int64 holds", shape, t)
		}
		n *= d
	}
	if zero {
		return 0, nil
	}
	return n, nil
}

// Elems is the number of elements of a shape that Count accepts.
func Elems(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// Len is the number of elements.
func (t Tensor) Len() int { return Elems(t.Shape) }

// Bytes is the number of bytes.
func (t Tensor) Bytes() int64 { return int64(t.Len()) * int64(t.Type.Size()) }

// Spec describes t under a key.
func (n Named) Spec() Spec { return Spec{n.Key, n.Type, n.Shape} }

// Bytes is the number of bytes of the tensor described.
func (s Spec) Bytes() int64 { return int64(Elems(s.Shape)) * int64(s.Type.Size()) }

// Sized is v with n elements of any value, in memory of its own only where v has too little.
func Sized[E any](v []E, n int) []E {
	if cap(v) < n {
		return make([]E, n)
	}
	return v[:n]
}

// Of makes a tensor in memory, rounding the values to the element type.
func Of(t Type, shape []int, values []float64) Tensor {
	b := make([]byte, len(values)*t.Size())
	Encode(b, values, t)
	return FromBytes(t, shape, b)
}

// Later is Of of elements that are computed each time it is opened.
func Later(t Type, shape []int, values func() ([]float64, error)) Tensor {
	return Tensor{Type: t, Shape: shape, Open: func() (Data, error) {
		v, err := values()
		if err != nil {
			return nil, err
		}
		return Of(t, shape, v).Open()
	}}
}

// FromBytes makes a tensor of bytes in memory.
func FromBytes(t Type, shape []int, b []byte) Tensor {
	return Tensor{Type: t, Shape: shape, Open: func() (Data, error) { return Section(bytes.NewReader(b), 0, int64(len(b))), nil }}
}

// Slice is rows from to to-1 of the first axis.
func (t Tensor) Slice(from, to int) (Tensor, error) {
	if len(t.Shape) == 0 || from < 0 || to > t.Shape[0] || from > to {
		return Tensor{}, fmt.Errorf("rows %d to %d of shape %v", from, to, t.Shape)
	}
	open, row := t.Open, t.Bytes()/int64(max(t.Shape[0], 1))
	t.Shape = append([]int{to - from}, t.Shape[1:]...)
	t.Open = func() (Data, error) {
		d, err := open()
		if err != nil {
			return nil, err
		}
		return OwnedSection(d, int64(from)*row, int64(to-from)*row, d), nil
	}
	return t, nil
}

// Section makes Data of n bytes of r from byte off on. Close does nothing: r belongs to
// somebody else.
func Section(r io.ReaderAt, off, n int64) Data { return OwnedSection(r, off, n, nil) }

// OwnedSection is Section; closing it closes c, if there is one.
func OwnedSection(r io.ReaderAt, off, n int64, c io.Closer) Data {
	return section{io.NewSectionReader(r, off, n), c}
}

type section struct {
	*io.SectionReader
	c io.Closer
}

func (s section) Close() error {
	if s.c == nil {
		return nil
	}
	return s.c.Close()
}

// ErrShort says that a file ended, while it was read, before its tensor did.
var ErrShort = errors.New("the file is shorter than when it was opened")

// ReadFull fills p from byte off of d.
func ReadFull(d io.ReaderAt, p []byte, off int64) error {
	n, err := d.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == io.EOF || err == nil:
		return ErrShort
	default:
		return err
	}
}

// Floats reads a whole tensor as float64. It is meant for vectors and for tests.
func (t Tensor) Floats() ([]float64, error) {
	if !t.Type.IsFloat() {
		return nil, fmt.Errorf("element type %s, want a floating one", t.Type)
	}
	v := make([]float64, t.Len())
	return v, t.ReadFloats(v)
}

// ReadFloats is Floats into v, which has as many elements as t, a floating tensor.
func (t Tensor) ReadFloats(v []float64) error {
	short := shortVectors.Get().(*[shortVector]byte)
	defer shortVectors.Put(short)
	b := short[:]
	if n := t.Bytes(); n <= shortVector {
		b = b[:n]
	} else {
		b = make([]byte, n)
	}
	err := t.readInto(b)
	if err == nil {
		Decode(v, b, t.Type)
	}
	return err
}

// shortVector is the bytes of a vector that are read without memory of their own.
const shortVector = 16 << 10

var shortVectors = sync.Pool{New: func() any { return new([shortVector]byte) }}

// Equal reports whether two tensors have the same type, shape and bytes.
func Equal(a, b Tensor) (bool, error) {
	if a.Type != b.Type || !slices.Equal(a.Shape, b.Shape) {
		return false, nil
	}
	x, err := a.ReadAll()
	if err != nil {
		return false, err
	}
	y, err := b.ReadAll()
	return bytes.Equal(x, y), err
}

// ReadAll reads the bytes of a whole tensor.
func (t Tensor) ReadAll() ([]byte, error) {
	b := make([]byte, t.Bytes())
	return b, t.readInto(b)
}

// readInto fills b with the tensor.
func (t Tensor) readInto(b []byte) error {
	d, err := t.Open()
	if err != nil {
		return err
	}
	defer d.Close()
	return ReadFull(d, b, 0)
}
