package micro

import "unsafe"

// absolute, loss, steps and near do as much of a pass as whole Chains hold, and say how
// many elements that was; near up to the Chains that it stops at.

func absolute(parts *[Chains]float64, src []byte, n int) int {
	if n = chained(n); n == 0 {
		return 0
	}
	absoluteAVX2(parts, unsafe.Pointer(&src[0]), n)
	return n
}

func loss(l *Loss, row []float64) int {
	n := chained(len(row))
	if n == 0 {
		return 0
	}
	lossAVX2(l, unsafe.Pointer(&row[0]), n, &lossIs)
	return n
}

func steps(s *Steps, row []float64, inverse, whole float64) int {
	n := chained(len(row))
	if n == 0 {
		return 0
	}
	stepsAVX2(s, unsafe.Pointer(&row[0]), n, inverse, whole)
	return n
}

// near takes whole Chains.
func near(e *Errors, v, hi, lo, bound []float64, c *nearConstants) int {
	n := chained(len(v))
	if n == 0 {
		return 0
	}
	x, h, l, b := unsafe.Pointer(&v[0]), unsafe.Pointer(&hi[0]), unsafe.Pointer(&lo[0]), unsafe.Pointer(&bound[0])
	return nearAVX2(e, x, h, l, b, n, c)
}

// chained is the elements of n that fill whole Chains.
func chained(n int) int {
	if !avx2 {
		return 0
	}
	return n - n%Chains
}

//go:noescape
func absoluteAVX2(to *[8]float64, src unsafe.Pointer, n int)

//go:noescape
func lossAVX2(to *Loss, src unsafe.Pointer, n int, c *lossConstants)

//go:noescape
func stepsAVX2(to *Steps, src unsafe.Pointer, n int, inverse, whole float64)

//go:noescape
func nearAVX2(to *Errors, v, hi, lo, bound unsafe.Pointer, n int, c *nearConstants) int
