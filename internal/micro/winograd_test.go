package micro

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestPacked(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		testTaps(t, 0x1p-53, Lanes64, packed)
	})
}

// packed is Taps64, made of a product of matrices.
func packed(c []float64, ldc int, a []float64, first, lda int, x []float64, stride int, off []int, rows, channels, n int) {
	width := channels * len(off)
	group := Rows*width + 3
	side, long := make([]float64, rows/Rows*group), make([]float64, width*n)
	for i := range width {
		for o := range rows {
			side[o/Rows*group+Rows*i+o%Rows] = a[first+o*lda+i]
		}
		copy(long[i*n:][:n], x[i/len(off)*stride+off[i%len(off)]:])
	}
	Packed64(c, ldc, side, group, long, n, rows, width, n)
}

// An element of G·g·Gᵀ by its definition.
func winogradElement(g []float64, r, c int) float64 {
	m := [4][3]float64{{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}}
	sum := 0.0
	for a := range 3 {
		for b := range 3 {
			sum += m[r][a] * g[3*a+b] * m[c][b]
		}
	}
	return sum
}

func TestWinograd(t *testing.T) {
	const u = 0x1p-53
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 5))
		channels := 1 + r.IntN(9)
		ld, next := 9*channels+r.IntN(4), Rows*channels+r.IntN(20)
		src := uniform[float64](r, (Rows-1)*ld+9*channels)
		before := uniform[float64](r, (WinogradTaps-1)*next+Rows*channels)
		var first []float64
		eachLevel(t, func(t *testing.T) {
			got := slices.Clone(before)
			Winograd64(got, next, src, ld, channels)
			for k, v := range got {
				o, i, at := k%next%Rows, k%next/Rows, k/next
				if i >= channels {
					if v != before[k] {
						t.Fatalf("seed %d: [%d] is %v, was %v and is no element", seed, k, v, before[k])
					}
					continue
				}
				want := winogradElement(src[o*ld+9*i:][:9], at/4, at%4)
				if math.Abs(v-want) > 16*u { // nine terms of at most 1, on both sides
					t.Fatalf("seed %d: element %d of kernel %d, %d is %v, want %v", seed, at, o, i, v, want)
				}
			}
			if first == nil {
				first = got
			}
			for k, v := range got {
				if v != first[k] {
					t.Fatalf("seed %d: [%d] is %v, in plain Go %v", seed, k, v, first[k])
				}
			}
		})
	}
}

func TestWinogradTooShort(t *testing.T) {
	v := make([]float64, 300)
	for name, call := range map[string]func(){
		"packed a":  func() { Packed64(v, 8, v[:15], 16, v, 8, 8, 2, 8) },
		"packed 2":  func() { Packed64(v, 8, v[:31], 16, v, 8, 16, 2, 8) },
		"packed x":  func() { Packed64(v, 8, v, 16, v[:15], 8, 8, 2, 8) },
		"kernels":   func() { Winograd64(v, 8, v[:71], 9, 1) },
		"distance":  func() { Winograd64(v, 8, v, 8, 1) },
		"next":      func() { Winograd64(v, 7, v, 9, 1) },
		"transform": func() { Winograd64(v[:127], 8, v, 9, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			call()
		})
	}
}
