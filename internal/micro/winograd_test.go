package micro

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestPacked64(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		testTaps(t, 0x1p-53, Lanes64, func(c []float64, ldc int, a []float64, first, lda int, x []float64, stride int, off []int, channels, n int) {
			width := channels * len(off)
			packed, long := make([]float64, Rows*width), make([]float64, width*n)
			for i := range width {
				for o := range Rows {
					packed[Rows*i+o] = a[first+o*lda+i]
				}
				copy(long[i*n:][:n], x[i/len(off)*stride+off[i%len(off)]:])
			}
			Packed64(c, ldc, packed, long, n, width, n)
		})
	})
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

func TestWinograd64(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 5))
		channels := 1 + r.IntN(9)
		ld := 9*channels + r.IntN(4)
		src := uniform[float64](r, (Rows-1)*ld+9*channels)
		want := make([]float64, WinogradTaps*Rows*channels)
		var first []float64
		eachLevel(t, func(t *testing.T) {
			got := uniform[float64](r, len(want))
			Winograd64(got, src, ld, channels)
			for k, v := range got {
				o, i, at := k%Rows, k/Rows%channels, k/Rows/channels
				want := winogradElement(src[o*ld+9*i:][:9], at/4, at%4)
				if math.Abs(v-want) > 16*0x1p-53 { // nine terms of at most 1, on both sides
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
		"packed a":  func() { Packed64(v, 8, v[:15], v, 8, 2, 8) },
		"packed x":  func() { Packed64(v, 8, v, v[:15], 8, 2, 8) },
		"kernels":   func() { Winograd64(v, v[:71], 9, 1) },
		"distance":  func() { Winograd64(v, v, 8, 1) },
		"transform": func() { Winograd64(v[:127], v, 9, 1) },
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
