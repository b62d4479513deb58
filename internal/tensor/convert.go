package tensor

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/x448/float16"
)

// Decode turns stored elements into float64, exactly. dst has one place for
// every element of src.
func Decode(dst []float64, src []byte, t Type) {
	le := binary.LittleEndian
	switch t {
	case F64:
		src = src[:8*len(dst)]
		for i := range dst {
			dst[i] = math.Float64frombits(le.Uint64(src[8*i:]))
		}
	case F32:
		src = src[:4*len(dst)]
		for i := range dst {
			dst[i] = float64(math.Float32frombits(le.Uint32(src[4*i:])))
		}
	case F16:
		src = src[:2*len(dst)]
		for i := range dst {
			dst[i] = float64(float16.Frombits(le.Uint16(src[2*i:])).Float32())
		}
	case BF16:
		src = src[:2*len(dst)]
		for i := range dst {
			dst[i] = float64(math.Float32frombits(uint32(le.Uint16(src[2*i:])) << 16))
		}
	default:
		panic(fmt.Sprintf("tensor: %s has no float64 form", t))
	}
}

// Encode rounds float64 values to stored elements, once and to nearest even.
func Encode(dst []byte, src []float64, t Type) {
	le := binary.LittleEndian
	switch t {
	case F64:
		for i, v := range src {
			le.PutUint64(dst[8*i:], math.Float64bits(v))
		}
	case F32:
		dst = dst[:4*len(src)]
		for i, v := range src {
			le.PutUint32(dst[4*i:], math.Float32bits(float32(v)))
		}
	case F16:
		for i, v := range src {
			le.PutUint16(dst[2*i:], uint16(float16.Fromfloat32(float32Odd(v))))
		}
	case BF16:
		for i, v := range src {
			le.PutUint16(dst[2*i:], bfloat16(float32Odd(v)))
		}
	default:
		panic(fmt.Sprintf("tensor: %s cannot be made from float64", t))
	}
}

// float32Odd rounds to float32 so that a further rounding to 11 or 8 bits gives
// what one rounding would have: an inexact result gets an odd last bit (Boldo and
// Melquiond, "When double rounding is odd", 2005).
func float32Odd(v float64) float32 {
	f := float32(v)
	if float64(f) == v || v != v {
		return f
	}
	bits := math.Float32bits(f)
	if math.Abs(float64(f)) > math.Abs(v) {
		bits-- // towards zero: the truncated value; of infinity, the largest
	}
	return math.Float32frombits(bits | 1)
}

// bfloat16 rounds to the upper half of a float32, to nearest even.
func bfloat16(f float32) uint16 {
	bits := math.Float32bits(f)
	if f != f {
		return uint16(bits>>16) | 0x40 // stay a NaN whatever is cut off
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// Ulp is the distance between neighbouring elements of type t at magnitude |v|:
// the unit that "within half an ulp" counts in. Below the smallest normal it is
// the smallest subnormal.
func Ulp(v float64, t Type) float64 {
	var bits, least int // of the significand; exponent of the smallest subnormal
	switch t {
	case F64:
		bits, least = 53, -1074
	case F32:
		bits, least = 24, -149
	case F16:
		bits, least = 11, -24
	case BF16:
		bits, least = 8, -133
	default:
		panic(fmt.Sprintf("tensor: %s has no ulp", t))
	}
	if v == 0 {
		return math.Ldexp(1, least)
	}
	_, e := math.Frexp(v) // v = f·2^e with ½ ≤ |f| < 1
	return math.Ldexp(1, max(e-bits, least))
}

// Max is the largest finite value of type t.
func Max(t Type) float64 {
	switch t {
	case F16:
		return 65504
	case BF16:
		return math.Ldexp(255, 120)
	case F32:
		return math.MaxFloat32
	default:
		return math.MaxFloat64
	}
}
