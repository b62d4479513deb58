package fuse

import (
	"encoding/binary"
	"math"

	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

// decode sets dst to a times the stored elements src.
func decode(dst []float64, src []byte, t tensor.Type, a float64) {
	switch t {
	case tensor.F32:
		micro.ScaleF32(dst, src, a)
	case tensor.F16:
		micro.ScaleF16(dst, src, a)
	case tensor.BF16:
		micro.ScaleBF16(dst, src, a)
	default:
		tensor.Decode(dst, src, t)
		for i, v := range dst {
			dst[i] = a * v
		}
	}
}

// encode stores src, rounded to nearest even.
func encode(dst []byte, src []float64, t tensor.Type) {
	switch t {
	case tensor.F32:
		micro.RoundF32(dst, src)
	case tensor.F16:
		micro.RoundF16(dst, src)
	case tensor.BF16:
		micro.RoundBF16(dst, src)
	default:
		tensor.Encode(dst, src, t)
	}
}

// found is what a look at stored elements tells.
type found struct {
	infinite bool // an infinity or a NaN is among them
	small    bool // a zero or a subnormal is
}

// scan looks at the exponents of stored elements: all ones, or all zeros.
func scan(b []byte, t tensor.Type) found {
	le := binary.LittleEndian
	if t == tensor.F64 {
		var f found
		for ; len(b) > 0; b = b[8:] {
			e := le.Uint64(b) >> 52 & 0x7ff
			f.infinite = f.infinite || e == 0x7ff
			f.small = f.small || e == 0
		}
		return f
	}
	exp, low, sign := masks(t)
	up := exp &^ sign
	var over, normal uint64 = 0, sign
	for ; len(b) >= 32; b = b[32:] { // four words at a time, which do not wait for each other
		q := (*[32]byte)(b)
		e0, e1 := le.Uint64(q[:])&exp, le.Uint64(q[8:])&exp
		e2, e3 := le.Uint64(q[16:])&exp, le.Uint64(q[24:])&exp
		// + low carries into the sign where the exponent is all ones, + up where it is not zero
		over |= (e0 + low) | (e1 + low) | (e2 + low) | (e3 + low)
		normal &= (e0 + up) & (e1 + up) & (e2 + up) & (e3 + up)
	}
	for ; len(b) >= 8; b = b[8:] {
		e := le.Uint64(b) & exp
		over |= e + low
		normal &= e + up
	}
	if len(b) > 0 {
		var last [8]byte
		copy(last[:], b)
		e := le.Uint64(last[:]) & exp
		over |= e + low
		for i := 0; i < len(b); i += t.Size() {
			at := sign & (1<<(8*t.Size()) - 1) << (8 * i)
			normal &^= at &^ (e + up)
		}
	}
	return found{over&sign != 0, normal&sign != sign}
}

// masks are, for a word of several elements: their exponents, the exponents' lowest
// bits, and their signs.
func masks(t tensor.Type) (exp, low, sign uint64) {
	switch t {
	case tensor.F16:
		return 0x7c007c007c007c00, 0x0400040004000400, 0x8000800080008000
	case tensor.BF16:
		return 0x7f807f807f807f80, 0x0080008000800080, 0x8000800080008000
	default:
		return 0x7f8000007f800000, 0x0080000000800000, 0x8000000080000000
	}
}

// countSmall counts the values that are not zero and less than the smallest normal
// element.
func countSmall(v []float64, t tensor.Type) int {
	least := math.Ldexp(1, map[tensor.Type]int{tensor.F16: -14, tensor.BF16: -126, tensor.F32: -126, tensor.F64: -1022}[t])
	n := 0
	for _, x := range v {
		if x != 0 && math.Abs(x) < least {
			n++
		}
	}
	return n
}
