package micro

import (
	"encoding/binary"
	"math"
)

// element is a type of stored element, little-endian.
type element uint8

const (
	f32 element = iota
	f16
	bf16
)

// size is the bytes of one element.
func (e element) size() int {
	if e == f32 {
		return 4
	}
	return 2
}

// ScaleF32 sets dst[i] = a·src[i], where src holds little-endian float32 elements,
// one for each place of dst.
func ScaleF32(dst []float64, src []byte, a float64) { scaleAll(f32, dst, src, a) }

// ScaleF16 is ScaleF32 for float16 elements.
func ScaleF16(dst []float64, src []byte, a float64) { scaleAll(f16, dst, src, a) }

// ScaleBF16 is ScaleF32 for bfloat16 elements.
func ScaleBF16(dst []float64, src []byte, a float64) { scaleAll(bf16, dst, src, a) }

// AxpyF32 adds a·src[i] to dst[i], product and sum rounded separately; src holds
// little-endian float32 elements, one for each place of dst.
func AxpyF32(dst []float64, src []byte, a float64) { axpyAll(f32, dst, src, a) }

// AxpyF16 is AxpyF32 for float16 elements.
func AxpyF16(dst []float64, src []byte, a float64) { axpyAll(f16, dst, src, a) }

// AxpyBF16 is AxpyF32 for bfloat16 elements.
func AxpyBF16(dst []float64, src []byte, a float64) { axpyAll(bf16, dst, src, a) }

// RoundF32 stores src as little-endian float32 elements, rounded to nearest even.
func RoundF32(dst []byte, src []float64) { roundAll(f32, dst, src) }

// RoundF16 stores src as little-endian float16 elements, rounded once, to nearest
// even; what is too large becomes an infinity.
func RoundF16(dst []byte, src []float64) { roundAll(f16, dst, src) }

// RoundBF16 is RoundF16 for bfloat16 elements.
func RoundBF16(dst []byte, src []float64) { roundAll(bf16, dst, src) }

func scaleAll(e element, dst []float64, src []byte, a float64) {
	src = src[:e.size()*len(dst)]
	for i := scale(e, dst, src, a); i < len(dst); i++ {
		dst[i] = a * e.load(src, i)
	}
}

func axpyAll(e element, dst []float64, src []byte, a float64) {
	src = src[:e.size()*len(dst)]
	for i := axpy(e, dst, src, a); i < len(dst); i++ {
		dst[i] += float64(a * e.load(src, i))
	}
}

func roundAll(e element, dst []byte, src []float64) {
	dst = dst[:e.size()*len(src)]
	for i := round(e, dst, src); i < len(src); i++ {
		switch e {
		case f32:
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(float32(src[i])))
		case f16:
			binary.LittleEndian.PutUint16(dst[2*i:], toHalf(odd(src[i])))
		case bf16:
			binary.LittleEndian.PutUint16(dst[2*i:], toBrain(odd(src[i])))
		}
	}
}

// load is element i of src.
func (e element) load(src []byte, i int) float64 {
	switch e {
	case f32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:])))
	case f16:
		return float64(math.Float32frombits(fromHalf(binary.LittleEndian.Uint16(src[2*i:]))))
	default:
		return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16))
	}
}
