package npy

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"repfuse/internal/tensor"
)

// align is what the header's length is a multiple of, so that the elements can be
// mapped into memory.
const align = 64

// growth is how many digits numpy leaves room for in the dimension that an array
// grows along, so that appending can change the header in its place.
const growth = 21

// AppendHeader appends what numpy.save writes before the elements of a row-major
// array: version 1.0, byte for byte as numpy 1.23 and later write it. A bfloat16
// array has the header that numpy gives an ml_dtypes.bfloat16 one. Types that
// numpy lacks, and more dimensions than it has, are errors.
func AppendHeader(dst []byte, t tensor.Type, shape []int) ([]byte, error) {
	descr, err := descrOf(t)
	if err != nil {
		return nil, err
	}
	if len(shape) > maxRank {
		return nil, fmt.Errorf("shape of %d dimensions, want at most %d", len(shape), maxRank)
	}
	start := len(dst)
	dst = append(dst, magic+"\x01\x00??"...)
	dst = appendDict(dst, dict{descr: descr, shape: shape})
	if len(shape) > 0 {
		dst = appendSpaces(dst, growth-len(strconv.Itoa(shape[0])))
	}
	dst = appendSpaces(dst, align-(len(dst)-start+1)%align) // a whole line more where it is 0, as numpy has it
	dst = append(dst, '\n')
	binary.LittleEndian.PutUint16(dst[start+8:], uint16(len(dst)-start-prefixes[1]))
	return dst, nil
}

// appendDict appends the dict as Python prints it.
func appendDict(b []byte, d dict) []byte {
	order := "False"
	if d.fortran {
		order = "True"
	}
	b = fmt.Appendf(b, "{'descr': '%s', 'fortran_order': %s, 'shape': (", d.descr, order)
	for i, n := range d.shape {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	if len(d.shape) == 1 {
		b = append(b, ',')
	}
	return append(b, "), }"...)
}

func appendSpaces(b []byte, n int) []byte {
	for ; n > 0; n-- {
		b = append(b, ' ')
	}
	return b
}
