package micro

import "unsafe"

// scale, axpy and round do as much of a pass as whole vectors hold, and say how
// many elements that was.

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

func round(e element, dst []byte, src []float64) int {
	n := whole(len(src))
	if n == 0 {
		return 0
	}
	to, from := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	switch {
	case using == avx512 && e == f32:
		roundF32z(to, from, n)
	case using == avx512 && e == f16:
		roundF16z(to, from, n)
	case using == avx512 && e == bf16:
		roundBF16z(to, from, n)
	case using == avx2 && e == f32:
		roundF32y(to, from, n)
	case using == avx2 && e == f16:
		roundF16y(to, from, n)
	case using == avx2 && e == bf16:
		roundBF16y(to, from, n)
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
func roundF32z(dst, src unsafe.Pointer, n int)

//go:noescape
func roundF32y(dst, src unsafe.Pointer, n int)

//go:noescape
func roundF16z(dst, src unsafe.Pointer, n int)

//go:noescape
func roundF16y(dst, src unsafe.Pointer, n int)

//go:noescape
func roundBF16z(dst, src unsafe.Pointer, n int)

//go:noescape
func roundBF16y(dst, src unsafe.Pointer, n int)
