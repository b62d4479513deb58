// Package tensor says what a stored tensor is before any of it is read: an
// element type, a shape, and where its bytes come from. Its conversions between stored
// elements and float64 say what each type means and how it is rounded; those of package
// micro are faster and give the same bits.
//
// Whatever the file format, the bytes of a Tensor are its elements in row-major
// order, little-endian, without gaps: a reader of Fortran order, of strides or of
// big-endian files translates before it hands them out.
package tensor

import "fmt"

// Type is the element type of a stored tensor.
type Type uint8

// The element types. Those that are not floating point only pass through.
const (
	Invalid Type = iota
	Bool
	U8
	I8
	U16
	I16
	U32
	I32
	U64
	I64
	F16
	BF16
	F32
	F64
	C64
	C128
	F8E4M3
	F8E5M2
	F8E8M0
)

var types = [...]struct {
	name string
	size int
}{
	Invalid: {"invalid", 0},
	Bool:    {"bool", 1},
	U8:      {"uint8", 1},
	I8:      {"int8", 1},
	U16:     {"uint16", 2},
	I16:     {"int16", 2},
	U32:     {"uint32", 4},
	I32:     {"int32", 4},
	U64:     {"uint64", 8},
	I64:     {"int64", 8},
	F16:     {"float16", 2},
	BF16:    {"bfloat16", 2},
	F32:     {"float32", 4},
	F64:     {"float64", 8},
	C64:     {"complex64", 8},
	C128:    {"complex128", 16},
	F8E4M3:  {"float8_e4m3", 1},
	F8E5M2:  {"float8_e5m2", 1},
	F8E8M0:  {"float8_e8m0", 1},
}

// Size is the number of bytes of one element.
func (t Type) Size() int { return types[t].size }

// String is the type's name as PyTorch and numpy spell it.
func (t Type) String() string { return types[t].name }

// IsFloat reports whether repfuse can compute with elements of this type.
func (t Type) IsFloat() bool { return t == F16 || t == BF16 || t == F32 || t == F64 }

// ParseType finds the element type with the given name.
func ParseType(name string) (Type, error) {
	for t, d := range types {
		if d.name == name && t != int(Invalid) {
			return Type(t), nil
		}
	}
	return Invalid, fmt.Errorf("element type %q, want float16, bfloat16, float32 or float64", name)
}

// Wider is the type of two that holds the elements of both; float32 of float16 and
// bfloat16. Invalid is narrower than any.
func Wider(a, b Type) Type {
	switch {
	case a == Invalid || a == b:
		return b
	case a == F16 && b == BF16, a == BF16 && b == F16:
		return F32
	case a.Size() >= b.Size():
		return a
	}
	return b
}
