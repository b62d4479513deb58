package micro

import (
	"math"
	"unsafe"
)

// scale, rescale, round, pick, addScaled, magnify and twofold do as much of a pass as whole vectors
// hold, and say how many elements that was; so do settled and alike, up to the vector
// that they stop at.

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

// rescale has src and dst of the same type.
func rescale(e element, dst, src []byte, a float64) (n int, some, all uint32) {
	if n = whole(len(dst) / e.size()); n == 0 {
		return 0, 0, math.MaxUint32
	}
	var seen [8]uint64
	to, from := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	switch {
	case using == avx512 && e == f32:
		rescaleF32z(to, from, n, a, &seen)
	case using == avx512 && e == f16:
		rescaleF16z(to, from, n, a, &seen)
	case using == avx512 && e == bf16:
		rescaleBF16z(to, from, n, a, &seen)
	case using == avx2 && e == f32:
		rescaleF32y(to, from, n, a, &seen)
	case using == avx2 && e == f16:
		rescaleF16y(to, from, n, a, &seen)
	case using == avx2 && e == bf16:
		rescaleBF16y(to, from, n, a, &seen)
	}
	some, all = e.bits(&seen)
	return n, some, all
}

func round(e element, dst []byte, src []float64) (n int, some, all uint32) {
	if n = whole(len(src)); n == 0 {
		return 0, 0, math.MaxUint32
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
	some, all = e.bits(&seen)
	return n, some, all
}

// bits is what a routine has seen, for a single element.
func (e element) bits(seen *[8]uint64) (some, all uint32) {
	any, every := uint64(0), uint64(math.MaxUint64)
	for k := range lanes(8) * e.size() / 8 { // the words of a vector
		any, every = any|seen[k], every&seen[4+k]
	}
	for half := 32; half >= 8*e.size(); half /= 2 { // to the elements of a word
		any, every = any|any>>half, every&(every>>half)
	}
	return uint32(any) & e.ones(), uint32(every) & e.ones()
}

// pick is for float32 only: there are no instructions that gather shorter elements.
func pick(e element, sum, mag []float64, src []byte, step int, a float64) int {
	n := whole(len(sum))
	if n == 0 || e != f32 {
		return 0
	}
	var index [8]int32
	for k := range index {
		index[k] = int32(k * step)
	}
	s, g, from, stride := unsafe.Pointer(&sum[0]), unsafe.Pointer(&mag[0]), unsafe.Pointer(&src[0]), lanes(8)*step*e.size()
	if using == avx512 {
		pickF32z(s, g, from, n, &index, stride, a)
	} else {
		pickF32y(s, g, from, n, &index, stride, a)
	}
	return n
}

func addScaled(sum, mag, w, m []float64, a, b float64) int {
	n := whole(len(sum))
	if n == 0 {
		return 0
	}
	s, g, x, y := unsafe.Pointer(&sum[0]), unsafe.Pointer(&mag[0]), unsafe.Pointer(&w[0]), unsafe.Pointer(&m[0])
	if using == avx512 {
		addScaledz(s, g, x, y, n, a, b)
	} else {
		addScaledy(s, g, x, y, n, a, b)
	}
	return n
}

func magnify(dst, src []float64, a float64) int {
	n := whole(len(dst))
	switch {
	case n == 0:
	case using == avx512:
		magnifyz(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), n, a)
	default:
		magnifyy(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), n, a)
	}
	return n
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

func settled(sum, mag []float64, theta float64) int {
	n := whole(len(sum))
	switch {
	case n == 0:
		return 0
	case using == avx512:
		return settledz(unsafe.Pointer(&sum[0]), unsafe.Pointer(&mag[0]), n, theta)
	default:
		return settledy(unsafe.Pointer(&sum[0]), unsafe.Pointer(&mag[0]), n, theta)
	}
}

func alike(sum, mag []float64, e float64) int {
	n := whole(len(sum))
	switch {
	case n == 0:
		return 0
	case using == avx512:
		return alikez(unsafe.Pointer(&sum[0]), unsafe.Pointer(&mag[0]), n, e)
	default:
		return alikey(unsafe.Pointer(&sum[0]), unsafe.Pointer(&mag[0]), n, e)
	}
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
func rescaleF32z(dst, src unsafe.Pointer, n int, a float64, seen *[8]uint64)

//go:noescape
func rescaleF32y(dst, src unsafe.Pointer, n int, a float64, seen *[8]uint64)

//go:noescape
func rescaleF16z(dst, src unsafe.Pointer, n int, a float64, seen *[8]uint64)

//go:noescape
func rescaleF16y(dst, src unsafe.Pointer, n int, a float64, seen *[8]uint64)

//go:noescape
func rescaleBF16z(dst, src unsafe.Pointer, n int, a float64, seen *[8]uint64)

//go:noescape
func rescaleBF16y(dst, src unsafe.Pointer, n int, a float64, seen *[8]uint64)

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
func pickF32z(sum, mag, src unsafe.Pointer, n int, index *[8]int32, stride int, a float64)

//go:noescape
func pickF32y(sum, mag, src unsafe.Pointer, n int, index *[8]int32, stride int, a float64)

//go:noescape
func addScaledz(sum, mag, w, m unsafe.Pointer, n int, a, b float64)

//go:noescape
func addScaledy(sum, mag, w, m unsafe.Pointer, n int, a, b float64)

//go:noescape
func magnifyz(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func magnifyy(dst, src unsafe.Pointer, n int, a float64)

//go:noescape
func settledz(sum, mag unsafe.Pointer, n int, theta float64) int

//go:noescape
func settledy(sum, mag unsafe.Pointer, n int, theta float64) int

//go:noescape
func alikez(sum, mag unsafe.Pointer, n int, e float64) int

//go:noescape
func alikey(sum, mag unsafe.Pointer, n int, e float64) int

//go:noescape
func twofoldz(lanes *[16]float64, hi, lo, w unsafe.Pointer, n int)

//go:noescape
func twofoldy(lanes *[16]float64, hi, lo, w unsafe.Pointer, n int)
