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

// RoundF32 stores src as little-endian float32 elements, rounded to nearest even. It
// returns the bits that any of the elements has, and those that all have.
func RoundF32(dst []byte, src []float64) (some, all uint32) { return roundAll(f32, dst, src) }

// RoundF16 stores src as little-endian float16 elements, rounded once, to nearest
// even; what is too large becomes an infinity.
func RoundF16(dst []byte, src []float64) (some, all uint32) { return roundAll(f16, dst, src) }

// RoundBF16 is RoundF16 for bfloat16 elements.
func RoundBF16(dst []byte, src []float64) (some, all uint32) { return roundAll(bf16, dst, src) }

func scaleAll(e element, dst []float64, src []byte, a float64) {
	src = src[:e.size()*len(dst)]
	done := scale(e, dst, src, a)
	dst = dst[done:]
	e.load(dst, src[done*e.size():])
	for i, v := range dst {
		dst[i] = a * v
	}
}

func axpyAll(e element, dst []float64, src []byte, a float64) {
	src = src[:e.size()*len(dst)]
	done := axpy(e, dst, src, a)
	dst, src = dst[done:], src[done*e.size():]
	var some [256]float64
	for len(dst) > 0 {
		x := some[:min(len(some), len(dst))]
		e.load(x, src)
		for i, v := range x {
			dst[i] += float64(a * v)
		}
		dst, src = dst[len(x):], src[len(x)*e.size():]
	}
}

func roundAll(e element, dst []byte, src []float64) (some, all uint32) {
	dst = dst[:e.size()*len(src)]
	done, some, all := round(e, dst, src)
	dst, src = dst[done*e.size():], src[done:]
	e.store(dst, src)
	for ; len(dst) > 0; dst = dst[e.size():] {
		bits := uint32(binary.LittleEndian.Uint16(dst))
		if e == f32 {
			bits = binary.LittleEndian.Uint32(dst)
		}
		some, all = some|bits, all&bits
	}
	return some, all & uint32(1<<(8*e.size())-1)
}

// load sets dst to elements of src.
func (e element) load(dst []float64, src []byte) {
	le := binary.LittleEndian
	switch e {
	case f32:
		for i := range dst {
			dst[i] = float64(math.Float32frombits(le.Uint32(src[4*i:])))
		}
	case f16:
		for i := range dst {
			dst[i] = float64(math.Float32frombits(fromHalf(le.Uint16(src[2*i:]))))
		}
	case bf16:
		for i := range dst {
			dst[i] = float64(math.Float32frombits(uint32(le.Uint16(src[2*i:])) << 16))
		}
	}
}

// store rounds src to elements of dst.
func (e element) store(dst []byte, src []float64) {
	le := binary.LittleEndian
	switch e {
	case f32:
		for i, v := range src {
			le.PutUint32(dst[4*i:], math.Float32bits(float32(v)))
		}
	case f16:
		for i, v := range src {
			le.PutUint16(dst[2*i:], toHalf(odd(v)))
		}
	case bf16:
		for i, v := range src {
			le.PutUint16(dst[2*i:], toBrain(odd(v)))
		}
	}
}
