package micro

import "math"

// odd rounds to float32 bits so that rounding on to 11 or 8 bits gives what one
// rounding would have: an inexact result is cut off and gets an odd last bit.
func odd(v float64) uint32 {
	f := float32(v)
	bits := math.Float32bits(f)
	if float64(f) == v || v != v {
		return bits
	}
	if math.Abs(float64(f)) > math.Abs(v) {
		bits-- // towards zero; of infinity, the largest
	}
	return bits | 1
}

// toBrain rounds float32 bits to bfloat16, to nearest even.
func toBrain(bits uint32) uint16 {
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40 // a NaN, whatever is cut off
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// fromHalf is a float16 as float32 bits, exactly.
func fromHalf(h uint16) uint32 {
	sign, exponent, fraction := uint32(h&0x8000)<<16, uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch {
	case exponent == 0:
		// A subnormal is fraction·2⁻²⁴, which float32 holds.
		return sign | math.Float32bits(float32(fraction)*0x1p-24)
	case exponent == 0x1f && fraction != 0:
		return sign | 0x7fc00000 | fraction<<13
	case exponent == 0x1f:
		return sign | 0x7f800000
	default:
		return sign | (exponent+127-15)<<23 | fraction<<13
	}
}

// toHalf rounds float32 bits to float16, to nearest even.
func toHalf(bits uint32) uint16 {
	sign, size := uint16(bits>>16&0x8000), bits&0x7fffffff
	switch {
	case size > 0x7f800000:
		return sign | 0x7e00 | uint16(size>>13&0x3ff) // a NaN
	case size >= 0x477ff000: // 65520, halfway from the largest to the next
		return sign | 0x7c00
	case size >= 0x38800000: // 2⁻¹⁴, the smallest normal
		return sign | uint16((size-(127-15)<<23+0xfff+size>>13&1)>>13)
	default:
		// Adding ½ leaves the value in units of 2⁻²⁴ in the last bits, rounded.
		return sign | uint16(math.Float32bits(math.Float32frombits(size)+0.5)-0x3f000000)
	}
}
