package micro

import (
	"math"
	"unsafe"
)

// scale, axpy, round and twofold do as much of a pass as whole vectors hold, and say
// how many elements that was.

func scale(e element, dst []float64, src []byte, a float64) int {
	n := whole(len(dst))
	if n == 0 {
		return 0
	}
	to, from := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	switch {
	case using == avx512 && e == f32:
		scaleF32z(to, from, n, a)
	case using == avx512 && e == f16:
		scaleF16z(to, from, n, a)
	case using == avx512 && e == bf16:
		scaleBF16z(to, from, n, a)
	case using == avx2 && e == f32:
		scaleF32y(to, from, n, a)
	case using == avx2 && e == f16:
		scaleF16y(to, from, n, a)
	case using == avx2 && e == bf16:
		scaleBF16y(to, from, n, a)
	}
	return n
}

func axpy(e element, dst []float64, src []byte, a float64) int {
	n := whole(len(dst))
	if n == 0 {
		return 0
	}
	to, from := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	switch {
	case using == avx512 && e == f32:
		axpyF32z(to, from, n, a)
	case using == avx512 && e == f16:
		axpyF16z(to, from, n, a)
	case using == avx512 && e == bf16:
		axpyBF16z(to, from, n, a)
	case using == avx2 && e == f32:
		axpyF32y(to, from, n, a)
	case using == avx2 && e == f16:
		axpyF16y(to, from, n, a)
	case using == avx2 && e == bf16:
		axpyBF16y(to, from, n, a)
	}
	return n
}

func round(e element, dst []byte, src []float64) (n int, some, all uint32) {
	n, all = whole(len(src)), math.MaxUint32
	if n == 0 {
		return 0, some, all
	}
	var seen [8]uint64
	to, from := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	switch {
	case using == avx512 && e == f32:
		roundF32z(to, from, n, &seen)
	case using == avx512 && e == f16:
		roundF16z(to, from, n, &seen)
	case using == avx512 && e == bf16:
		roundBF16z(to, from, n, &seen)
	case using == avx2 && e == f32:
		roundF32y(to, from, n, &seen)
	case using == avx2 && e == f16:
		roundF16y(to, from, n, &seen)
	case using == avx2 && e == bf16:
		roundBF16y(to, from, n, &seen)
	}
	any, every := uint64(0), uint64(math.MaxUint64)
	for k := range lanes(8) * e.size() / 8 { // the words of a vector
		any, every = any|seen[k], every&seen[4+k]
	}
	for half := 32; half >= 8*e.size(); half /= 2 { // to the elements of a word
		any, every = any|any>>half, every&(every>>half)
	}
	elements := uint64(1)<<(8*e.size()) - 1
	return n, uint32(any & elements), uint32(every & elements)
}

func twofold(lanes *[2 * TwofoldLanes]float64, hi, lo, w []float64) int {
	n := len(hi) - len(hi)%TwofoldLanes
	if n == 0 || using == generic {
		return 0
	}
	h, l, x := unsafe.Pointer(&hi[0]), unsafe.Pointer(&lo[0]), unsafe.Pointer(&w[0])
	if using == avx512 {
		twofoldz(lanes, h, l, x, n)
	} else {
		twofoldy(lanes, h, l, x, n)
	}
	return n
}

// whole is the elements of n that fill whole vectors of float64.
func whole(n int) int {
	if using == generic {
		return 0
	}
	return n - n%lanes(8)
}

//go:noescape
func scaleF32z(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func scaleF32y(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func scaleF16z(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func scaleF16y(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func scaleBF16z(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func scaleBF16y(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func axpyF32z(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func axpyF32y(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func axpyF16z(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func axpyF16y(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func axpyBF16z(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func axpyBF16y(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func roundF32z(dst, src unsafe.Pointer, n int, seen *[8]uint64)

//go:noescape
func roundF32y(dst, src unsafe.Pointer, n int, seen *[8]uint64)

//go:noescape
func roundF16z(dst, src unsafe.Pointer, n int, seen *[8]uint64)

//go:noescape
func roundF16y(dst, src unsafe.Pointer, n int, seen *[8]uint64)

//go:noescape
func roundBF16z(dst, src unsafe.Pointer, n int, seen *[8]uint64)

//go:noescape
func roundBF16y(dst, src unsafe.Pointer, n int, seen *[8]uint64)

//go:noescape
func twofoldz(lanes *[16]float64, hi, lo, w unsafe.Pointer, n int)

//go:noescape
func twofoldy(lanes *[16]float64, hi, lo, w unsafe.Pointer, n int)
