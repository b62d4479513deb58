package safetensors

import (
	"fmt"

	"repfuse/internal/tensor"
)

// dtypes names the element types, in the order by which writers lay tensors out:
// later ones, which want the larger alignment, come first in a file. It is the
// order of the reference implementation, so that files come out as its own do.
var dtypes = []struct {
	name string
	typ  tensor.Type
}{
	{"BOOL", tensor.Bool},
	{"U8", tensor.U8},
	{"I8", tensor.I8},
	{"F8_E5M2", tensor.F8E5M2},
	{"F8_E4M3", tensor.F8E4M3},
	{"F8_E8M0", tensor.F8E8M0},
	{"I16", tensor.I16},
	{"U16", tensor.U16},
	{"F16", tensor.F16},
	{"BF16", tensor.BF16},
	{"I32", tensor.I32},
	{"U32", tensor.U32},
	{"F32", tensor.F32},
	{"C64", tensor.C64},
	{"F64", tensor.F64},
	{"I64", tensor.I64},
	{"U64", tensor.U64},
}

// packed are the types of less than a byte, which no byte offset can address.
var packed = map[string]bool{"F4": true, "F6_E2M3": true, "F6_E3M2": true}

func parseDtype(name string) (tensor.Type, error) {
	for _, d := range dtypes {
		if d.name == name {
			return d.typ, nil
		}
	}
	if packed[name] {
		return tensor.Invalid, fmt.Errorf("dtype %s has elements of less than a byte, want whole bytes", name)
	}
	return tensor.Invalid, fmt.Errorf("dtype %q, want one of the format's, such as F32, F16 or BF16", name)
}

// rank is the place of a type in dtypes, or -1 where the format cannot hold it.
func rank(t tensor.Type) int {
	for i, d := range dtypes {
		if d.typ == t {
			return i
		}
	}
	return -1
}
