package micro

import (
	"encoding/binary"
	"math"
)

// ScaleF32 sets dst[i] = a·src[i], where src holds little-endian float32 elements,
// one for each place of dst.
func ScaleF32(dst []float64, src []byte, a float64) {
	src = src[:4*len(dst)]
	for i := range dst {
		dst[i] = a * float64(math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:])))
	}
}

// AxpyF32 adds a·src[i] to dst[i], product and sum rounded separately; src holds
// little-endian float32 elements, one for each place of dst.
func AxpyF32(dst []float64, src []byte, a float64) {
	src = src[:4*len(dst)]
	for i := range dst {
		dst[i] += float64(a * float64(math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))))
	}
}

// RoundF32 stores src as little-endian float32 elements, rounded to nearest even.
func RoundF32(dst []byte, src []float64) {
	dst = dst[:4*len(src)]
	for i, v := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(float32(v)))
	}
}
