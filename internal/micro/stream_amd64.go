package micro

import (
	"math"
	"unsafe"

	"repfuse/internal/tensor"
)

// scale, rescale, round, pick, addScaled and twofold do as much of a pass as whole vectors
// hold, and say how many elements that was.

func scale(dst []float64, src []byte, t tensor.Type, a float64) int {
	n := whole(len(dst))
	if n == 0 {
		return 0
	}
	to, from := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	switch t {
	case tensor.F32:
		scaleF32AVX2(to, from, n, a)
	case tensor.F16:
		scaleF16AVX2(to, from, n, a)
	case tensor.BF16:
		scaleBF16AVX2(to, from, n, a)
	default:
		return 0
	}
	return n
}

// rescale has src and dst of the same type.
func rescale(dst, src []byte, t tensor.Type, a float64) (n int, some, all uint32) {
	if n = whole(len(dst) / t.Size()); n == 0 {
		return 0, 0, math.MaxUint32
	}
	var s seen
	to, from := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	switch t {
	case tensor.F32:
		rescaleF32AVX2(to, from, n, a, &s)
	case tensor.F16:
		rescaleF16AVX2(to, from, n, a, &s)
	case tensor.BF16:
		rescaleBF16AVX2(to, from, n, a, &s)
	}
	some, all = s.bits(t)
	return n, some, all
}

func round(dst []byte, src []float64, t tensor.Type) (n int, some, all uint32) {
	if n = whole(len(src)); n == 0 {
		return 0, 0, math.MaxUint32
	}
	var s seen
	to, from := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	switch t {
	case tensor.F32:
		roundF32AVX2(to, from, n, &s)
	case tensor.F16:
		roundF16AVX2(to, from, n, &s)
	case tensor.BF16:
		roundBF16AVX2(to, from, n, &s)
	}
	some, all = s.bits(t)
	return n, some, all
}

// seen is two vectors of stored elements: the bits that any of several had in a place,
// and those that all had.
type seen [2][vector / 8]uint64

// bits is what has been seen, for a single element.
func (s *seen) bits(t tensor.Type) (some, all uint32) {
	any, every := uint64(0), uint64(math.MaxUint64)
	for k := range t.Size() / 2 { // the words that four elements fill
		any, every = any|s[0][k], every&s[1][k]
	}
	for half := 32; half >= 8*t.Size(); half /= 2 { // to the elements of a word
		any, every = any|any>>half, every&(every>>half)
	}
	return uint32(any) & ones(t), uint32(every) & ones(t)
}

// pick is for float32 only: there are no instructions that gather shorter elements.
func pick(sum, mag []float64, src []byte, t tensor.Type, step int, a float64) int {
	n := whole(len(sum))
	if n == 0 || t != tensor.F32 {
		return 0
	}
	index := [4]int32{0, int32(step), int32(2 * step), int32(3 * step)}
	pickF32AVX2(unsafe.Pointer(&sum[0]), unsafe.Pointer(&mag[0]), unsafe.Pointer(&src[0]), n, &index, 4*step*t.Size(), a)
	return n
}

func addScaled(sum, mag, w, m []float64, a, b float64) int {
	n := whole(len(sum))
	if n > 0 {
		addScaledAVX2(unsafe.Pointer(&sum[0]), unsafe.Pointer(&mag[0]), unsafe.Pointer(&w[0]), unsafe.Pointer(&m[0]), n, a, b)
	}
	return n
}

func twofold(lanes *[2 * TwofoldLanes]float64, hi, lo, w []float64) int {
	n := chained(len(hi))
	if n > 0 {
		twofoldAVX2(lanes, unsafe.Pointer(&hi[0]), unsafe.Pointer(&lo[0]), unsafe.Pointer(&w[0]), n)
	}
	return n
}

// whole is the elements of n that fill whole vectors of float64.
func whole(n int) int {
	if !avx2 {
		return 0
	}
	return n - n%(vector/8)
}

//go:noescape
func scaleF32AVX2(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func scaleF16AVX2(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func scaleBF16AVX2(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func rescaleF32AVX2(dst, src unsafe.Pointer, n int, a float64, s *seen)

//go:noescape
func rescaleF16AVX2(dst, src unsafe.Pointer, n int, a float64, s *seen)

//go:noescape
func rescaleBF16AVX2(dst, src unsafe.Pointer, n int, a float64, s *seen)

//go:noescape
func roundF32AVX2(dst, src unsafe.Pointer, n int, s *seen)

//go:noescape
func roundF16AVX2(dst, src unsafe.Pointer, n int, s *seen)

//go:noescape
func roundBF16AVX2(dst, src unsafe.Pointer, n int, s *seen)

//go:noescape
func pickF32AVX2(sum, mag, src unsafe.Pointer, n int, index *[4]int32, stride int, a float64)

//go:noescape
func addScaledAVX2(sum, mag, w, m unsafe.Pointer, n int, a, b float64)

//go:noescape
func twofoldAVX2(lanes *[16]float64, hi, lo, w unsafe.Pointer, n int)
