package micro

import (
	"math"
	"math/rand/v2"
	"testing"
)

// testTaps holds a form of Taps to the formula in its comment, in float64. unit is
// the rounding of its additions.
func testTaps[T float32 | float64](t *testing.T, unit float64, lanes int,
	run func(c []T, ldc int, a []T, first, lda int, x []T, stride int, off []int, rows, channels, n int)) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		channels, taps, n := 1+r.IntN(9), 1+r.IntN(10), lanes*(1+r.IntN(9))
		rows := Rows * (1 + r.IntN(3))
		ldc, stride := n+r.IntN(5), n+r.IntN(50)
		off := make([]int, taps)
		for k := range off {
			off[k] = r.IntN(40)
		}
		width := channels * taps
		lda, first := width+r.IntN(3), r.IntN(3)
		if r.IntN(2) == 0 { // one plane with one kernel
			lda, first = -taps, (rows-1)*taps
		}
		a := uniform[T](r, first+max(0, (rows-1)*lda)+width)
		x := uniform[T](r, (channels-1)*stride+40+n)
		c := uniform[T](r, (rows-1)*ldc+n+1)
		before := append([]T(nil), c...)
		run(c, ldc, a, first, lda, x, stride, off, rows, channels, n)
		for k := range c {
			o, p := k/ldc, k%ldc
			want, size := float64(before[k]), math.Abs(float64(before[k]))
			for i := 0; i < width && o < rows && p < n; i++ {
				v := float64(a[first+o*lda+i]) * float64(x[i/taps*stride+off[i%taps]+p])
				want += v
				size += math.Abs(v)
			}
			// The bound that is promised, and as much for the float64 of want.
			if d := math.Abs(float64(c[k]) - want); !(d <= 2*float64(width+2)*unit*size) {
				t.Fatalf("seed %d: c[%d] of row %d is %v, want %v", seed, p, o, c[k], want)
			}
		}
	}
}

func TestTaps64(t *testing.T) {
	eachLevel(t, func(t *testing.T) { testTaps(t, 0x1p-53, Lanes64, Taps64) })
	t.Run("unfused", func(t *testing.T) {
		defer func(has, f bool) { avx2, fused = has, f }(avx2, fused)
		avx2, fused = false, false
		testTaps(t, 0x1p-53, Lanes64, Taps64)
	})
}

func TestTaps32(t *testing.T) {
	eachLevel(t, func(t *testing.T) { testTaps(t, 0x1p-24, Lanes32, Taps32) })
}

func TestTapsTooShort(t *testing.T) {
	v := make([]float64, 100)
	for name, call := range map[string]func(){
		"c":     func() { Taps64(v[:63], 8, v, 0, 1, v, 8, []int{0}, 8, 1, 8) },
		"a":     func() { Taps64(v, 8, v[:7], 0, 1, v, 8, []int{0}, 8, 1, 8) },
		"first": func() { Taps64(v, 8, v, 6, -1, v, 8, []int{0}, 8, 1, 8) },
		"x":     func() { Taps64(v, 8, v, 0, 1, v[:17], 8, []int{0, 2}, 8, 2, 8) },
		"off":   func() { Taps64(v, 8, v, 0, 1, v, 8, []int{-1}, 8, 1, 8) },
		"n":     func() { Taps64(v, 9, v, 0, 1, v, 8, []int{0}, 8, 1, 9) },
		"rows":  func() { Taps64(v, 8, v, 0, 1, v, 8, []int{0}, 9, 1, 8) },
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
