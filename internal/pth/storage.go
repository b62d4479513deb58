package pth

import (
	"fmt"

	"repfuse/internal/pth/pickle"
	"repfuse/internal/tensor"
)

// storage is what a pickle says of a run of elements that several tensors may share.
type storage struct {
	key    string
	typ    tensor.Type // Invalid: bytes of no type
	offset int64       // of a view into another storage, in elements
	count  int64       // elements; of a storage without a type, bytes
	whole  int64       // elements of the storage that this is a view into, or count
}

var storageTypes = map[string]tensor.Type{
	"DoubleStorage": tensor.F64, "FloatStorage": tensor.F32, "HalfStorage": tensor.F16, "BFloat16Storage": tensor.BF16,
	"LongStorage": tensor.I64, "IntStorage": tensor.I32, "ShortStorage": tensor.I16, "CharStorage": tensor.I8,
	"ByteStorage": tensor.U8, "BoolStorage": tensor.Bool,
	"ComplexFloatStorage": tensor.C64, "ComplexDoubleStorage": tensor.C128,
	"UntypedStorage": tensor.Invalid, "_UntypedStorage": tensor.Invalid,
}

// parseStorage reads ('storage', class, key, location, count[, view]) where view is
// None or (key of the view, offset, count).
func parseStorage(p *pickle.Persistent) (storage, error) {
	t, ok := p.ID.(pickle.Tuple)
	if !ok || len(t) < 5 || len(t) > 6 || t[0] != "storage" {
		return storage{}, fmt.Errorf("a persistent reference to %s, want a storage", pickle.Describe(p.ID))
	}
	class, ok1 := t[1].(pickle.Global)
	key, ok2 := t[2].(string)
	count, ok3 := t[4].(int64)
	if !ok1 || !ok2 || !ok3 || count < 0 {
		return storage{}, fmt.Errorf("a storage of %s under %s with %s elements, want a class, a name and a number",
			pickle.Describe(t[1]), pickle.Describe(t[2]), pickle.Describe(t[4]))
	}
	typ, known := storageTypes[class.Name]
	if !known || class.Module != "torch" && class.Module != "torch.cuda" && class.Module != "torch.storage" {
		return storage{}, fmt.Errorf("storage %s is a %s, want one of PyTorch's types of elements", key, class)
	}
	s := storage{key, typ, 0, count, count}
	if len(t) == 6 && t[5] != nil {
		return s.view(t[5])
	}
	return s, nil
}

// view narrows a storage to a part of itself, as files from before 0.4 may.
func (s storage) view(v any) (storage, error) {
	t, ok := v.(pickle.Tuple)
	if !ok || len(t) != 3 {
		return s, fmt.Errorf("storage %s: a view by %s, want a tuple of 3", s.key, pickle.Describe(v))
	}
	offset, ok1 := t[1].(int64)
	count, ok2 := t[2].(int64)
	if !ok1 || !ok2 || offset < 0 || count < 0 || offset > s.whole || count > s.whole-offset {
		return s, fmt.Errorf("storage %s: a view of %s elements from %s on of %d", s.key, pickle.Describe(t[2]), pickle.Describe(t[1]), s.whole)
	}
	s.offset, s.count = offset, count
	return s, nil
}

// locate finds the bytes of s as count elements of typ, and checks that they are there.
func (a *archive) locate(s storage, typ tensor.Type) (record, int64, error) {
	rec, err := a.record(s.key)
	if err != nil {
		return record{}, 0, err
	}
	size := int64(typ.Size())
	count, whole := s.count, s.whole
	if s.typ == tensor.Invalid {
		count, whole = count/size, whole/size
	}
	if whole > rec.n/size {
		return record{}, 0, fmt.Errorf("storage %s: %d elements of %s, but its record has %d bytes", s.key, whole, typ, rec.n)
	}
	return record{rec.r, rec.off + s.offset*size, count * size}, count, nil
}
