package npy

import (
	"fmt"
	"strings"

	"repfuse/internal/hint"
	"repfuse/internal/tensor"
)

// kinds are numpy's names of the element types, less the byte order.
var kinds = map[string]tensor.Type{
	"b1": tensor.Bool,
	"u1": tensor.U8, "i1": tensor.I8,
	"u2": tensor.U16, "i2": tensor.I16,
	"u4": tensor.U32, "i4": tensor.I32,
	"u8": tensor.U64, "i8": tensor.I64,
	"f2": tensor.F16, "f4": tensor.F32, "f8": tensor.F64,
	"c8": tensor.C64, "c16": tensor.C128,
	"V2": tensor.BF16,
}

// foreign are the first letters of types that no tensor has.
var foreign = map[byte]string{
	'O': "Python objects, which only unpickling could read",
	'S': "strings of bytes",
	'a': "strings of bytes",
	'U': "strings",
	'M': "dates",
	'm': "time spans",
	'V': "bytes without a type",
}

// parseDescr reads numpy's name of an element type, such as <f4: byte order, kind,
// bytes.
func parseDescr(descr string, o Options) (t tensor.Type, big bool, err error) {
	if descr == "" || !strings.Contains("<>|", descr[:1]) {
		return 0, false, fmt.Errorf("element type %q, want one that begins with its byte order: < > |", descr)
	}
	order, name := descr[0], descr[1:]
	t, ok := kinds[name]
	switch {
	case !ok && name != "" && foreign[name[0]] != "":
		return 0, false, fmt.Errorf("element type %q: %s, want numbers", descr, foreign[name[0]])
	case !ok:
		return 0, false, fmt.Errorf("element type %q is unknown", descr)
	case t == tensor.BF16 && !o.BFloat16:
		return 0, false, hint.Add(fmt.Errorf("element type %q: two bytes without a type", descr),
			"numpy saves bfloat16 so; if that is what they are, say --bfloat16")
	case t == tensor.BF16 && order == '>':
		return 0, false, fmt.Errorf("element type %q is unknown", descr)
	case t != tensor.BF16 && t.Size() > 1 && order == '|':
		return 0, false, fmt.Errorf("element type %q has no byte order, want < or >", descr)
	}
	return t, order == '>' && t.Size() > 1, nil
}

// descrOf is numpy's name of an element type as it saves it.
func descrOf(t tensor.Type) (string, error) {
	for name, k := range kinds {
		switch {
		case k != t:
		case t.Size() == 1:
			return "|" + name, nil
		default:
			return "<" + name, nil
		}
	}
	return "", fmt.Errorf("element type %s cannot be saved as .npy: numpy has none like it", t)
}
