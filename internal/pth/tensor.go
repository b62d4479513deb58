package pth

import (
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/hint"
	"repfuse/internal/pth/pickle"
	"repfuse/internal/tensor"
)

// maxRank bounds the number of dimensions; PyTorch and numpy stop at 64.
const maxRank = 64

// maxWraps bounds how many functions may be around a tensor.
const maxWraps = 8

// stored is a tensor that has been found: which bytes, and how they are laid out.
type stored struct {
	tensor.Strided
	rec record
	// text is set where the bytes are Latin-1 text, and rec is its UTF-8.
	text *latin1
}

func (s stored) tensor() tensor.Tensor {
	return tensor.Tensor{Type: s.Type, Shape: s.Shape, Open: func() (tensor.Data, error) {
		if s.text == nil {
			return s.Data(s.rec.r, s.rec.off, nil), nil
		}
		if err := s.text.scan(); err != nil {
			return nil, err
		}
		return s.Data(s.text, 0, nil), nil
	}}
}

// isTensor says whether a value describes a tensor, without looking into it.
func isTensor(v any) bool {
	switch v := v.(type) {
	case *pickle.Object:
		return makers[v.Class] != nil
	case pickle.Tuple: // Paddle's (name, array)
		if len(v) == 2 {
			_, named := v[0].(string)
			o, ok := v[1].(*pickle.Object)
			return named && ok && makers[o.Class] != nil
		}
	}
	return false
}

// maker finds the tensor that a function would have made of its arguments. wraps is
// how many functions it is inside of.
type maker func(a *archive, o *pickle.Object, wraps int) (stored, error)

// makers is every function and class that stands for a tensor. The map is filled at
// the start, as some of them look into it.
var makers map[pickle.Global]maker

func init() {
	makers = map[pickle.Global]maker{
		{Module: "torch._utils", Name: "_rebuild_tensor"}:               rebuildTensor,
		{Module: "torch._utils", Name: "_rebuild_tensor_v2"}:            rebuildTensor,
		{Module: "torch._utils", Name: "_rebuild_tensor_v3"}:            rebuildTyped,
		{Module: "torch._utils", Name: "_rebuild_parameter"}:            firstArgument,
		{Module: "torch._utils", Name: "_rebuild_parameter_with_state"}: firstArgument,
		{Module: "torch.nn.parameter", Name: "Parameter"}:               firstArgument,
		{Module: "torch.nn.parameter", Name: "Buffer"}:                  firstArgument,
		{Module: "torch._tensor", Name: "_rebuild_from_type"}:           rebuildFromType,
		{Module: "torch._tensor", Name: "_rebuild_from_type_v2"}:        rebuildFromType,
		{Module: "numpy.core.multiarray", Name: "_reconstruct"}:         rebuildArray,
		{Module: "numpy._core.multiarray", Name: "_reconstruct"}:        rebuildArray,
	}
}

// tensor finds the tensor that a value describes.
func (a *archive) tensor(v any) (stored, error) { return a.wrapped(v, 0) }

func (a *archive) wrapped(v any, wraps int) (stored, error) {
	if wraps > maxWraps {
		return stored{}, fmt.Errorf("a tensor inside more than %d functions", maxWraps)
	}
	if t, ok := v.(pickle.Tuple); ok && isTensor(v) {
		v = t[1]
	}
	o, ok := v.(*pickle.Object)
	if !ok || makers[o.Class] == nil {
		return stored{}, fmt.Errorf("%s, want a tensor", pickle.Describe(v))
	}
	return makers[o.Class](a, o, wraps)
}

// firstArgument is for the functions that wrap a tensor in a class of its own.
func firstArgument(a *archive, o *pickle.Object, wraps int) (stored, error) {
	if len(o.Args) == 0 {
		return stored{}, fmt.Errorf("%s of nothing, want a tensor", o.Class)
	}
	return a.wrapped(o.Args[0], wraps+1)
}

// rebuildFromType is (function, type, arguments, state).
func rebuildFromType(a *archive, o *pickle.Object, wraps int) (stored, error) {
	if len(o.Args) < 3 {
		return stored{}, fmt.Errorf("%s of %d arguments, want at least 3", o.Class, len(o.Args))
	}
	fn, ok1 := o.Args[0].(pickle.Global)
	args, ok2 := o.Args[2].(pickle.Tuple)
	if !ok1 || !ok2 {
		return stored{}, fmt.Errorf("%s of %s and %s, want a function and its arguments", o.Class, pickle.Describe(o.Args[0]), pickle.Describe(o.Args[2]))
	}
	return a.wrapped(&pickle.Object{Class: fn, Called: true, Args: args}, wraps+1)
}

// rebuildTensor is (storage, offset, size, stride, requires_grad, hooks, metadata), the last
// of which is not always there.
func rebuildTensor(a *archive, o *pickle.Object, _ int) (stored, error) {
	s, err := storageOf(o)
	if err == nil && len(o.Args) > 6 {
		err = plainly(o.Args[6])
	}
	if err != nil {
		return stored{}, err
	}
	if s.typ == tensor.Invalid {
		return stored{}, fmt.Errorf("storage %s has no element type", s.key)
	}
	return a.dense(s, s.typ, o.Args)
}

// rebuildTyped is (storage, offset, size, stride, requires_grad, hooks, dtype, …).
func rebuildTyped(a *archive, o *pickle.Object, _ int) (stored, error) {
	s, err := storageOf(o)
	if err != nil {
		return stored{}, err
	}
	if len(o.Args) < 7 {
		return stored{}, fmt.Errorf("%s of %d arguments, want at least 7", o.Class, len(o.Args))
	}
	if len(o.Args) > 7 {
		if err := plainly(o.Args[7]); err != nil {
			return stored{}, err
		}
	}
	g, ok := o.Args[6].(pickle.Global)
	typ, err := dtype(g.Name)
	if !ok || err != nil || g.Module != "torch" {
		return stored{}, fmt.Errorf("element type %s, want one of whole bytes that repfuse knows", pickle.Describe(o.Args[6]))
	}
	if s.typ != tensor.Invalid && s.typ != typ {
		return stored{}, fmt.Errorf("a tensor of %s in storage %s of %s", typ, s.key, s.typ)
	}
	return a.dense(s, typ, o.Args)
}

// dtype is an element type by PyTorch's name, in which a float8 also says that it has no infinities.
func dtype(name string) (tensor.Type, error) { return tensor.ParseType(strings.TrimRight(name, "fnu")) }

// plainly is an error where PyTorch's metadata say that elements mean something else than what
// is stored: their negative (neg), or their conjugate (conj).
func plainly(metadata any) error {
	d, ok := metadata.(*pickle.Dict)
	if !ok && metadata != nil {
		return fmt.Errorf("metadata %s, want a dict", pickle.Describe(metadata))
	}
	if !ok {
		return nil
	}
	for _, p := range d.Pairs {
		if p.Value != false {
			err := fmt.Errorf("the tensor has the metadata %.100q, want none", p.Key)
			return hint.Add(err, "save it after t.resolve_neg().resolve_conj()")
		}
	}
	return nil
}

func storageOf(o *pickle.Object) (storage, error) {
	if len(o.Args) < 4 {
		return storage{}, fmt.Errorf("%s of %d arguments, want at least 4", o.Class, len(o.Args))
	}
	p, ok := o.Args[0].(*pickle.Persistent)
	if !ok {
		return storage{}, fmt.Errorf("a tensor in %s, want a storage", pickle.Describe(o.Args[0]))
	}
	return parseStorage(p)
}

// dense is a tensor of elements of typ in s; args[1:4] are its offset, size, stride.
func (a *archive) dense(s storage, typ tensor.Type, args pickle.Tuple) (stored, error) {
	offset, ok := args[1].(int64)
	if !ok {
		return stored{}, fmt.Errorf("offset %s, want a number", pickle.Describe(args[1]))
	}
	shape, err := numbers(args[2])
	if err != nil {
		return stored{}, fmt.Errorf("size: %w", err)
	}
	strides, err := numbers(args[3])
	if err != nil {
		return stored{}, fmt.Errorf("stride: %w", err)
	}
	rec, count, err := a.locate(s, typ)
	if err != nil {
		return stored{}, err
	}
	l := tensor.Strided{Type: typ, Shape: shape, Strides: strides, Offset: offset, Big: a.big}
	if err := l.Within(count); err != nil {
		return stored{}, fmt.Errorf("storage %s: %w", s.key, err)
	}
	return stored{Strided: l, rec: rec}, nil
}

func numbers(v any) ([]int, error) {
	t, ok := v.(pickle.Tuple)
	if !ok || len(t) > maxRank {
		return nil, fmt.Errorf("%s, want a tuple of at most %d numbers", pickle.Describe(v), maxRank)
	}
	list := make([]int, len(t))
	for i, x := range t {
		n, ok := x.(int64)
		if !ok || int64(int(n)) != n {
			return nil, fmt.Errorf("%s, want a number", pickle.Describe(x))
		}
		list[i] = int(n)
	}
	return list, nil
}

// same says whether two tensors are the same bytes of the file under the same layout.
func (s stored) same(o stored) bool {
	return s.rec == o.rec && s.text == nil && o.text == nil && s.Offset == o.Offset &&
		s.Type == o.Type && slices.Equal(s.Shape, o.Shape) && slices.Equal(s.Strides, o.Strides)
}
