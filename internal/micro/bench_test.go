package micro

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// eachLevelBench runs a benchmark at every level and reports 10⁹ additions and
// multiplications a second.
func eachLevelBench(b *testing.B, flops int, run func()) {
	defer func() { avx2 = hasAVX2 }()
	for _, name := range instructions() {
		avx2 = name == "avx2"
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				run()
			}
			b.ReportMetric(float64(flops)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
		})
	}
}

func BenchmarkGemm64(b *testing.B) {
	for _, s := range []struct{ m, n, k int }{{8, 72, 8}, {8, 2304, 256}, {64, 2304, 256}, {256, 20000, 256}} {
		v := make([]float64, s.m*s.n+s.m*s.k+s.k*s.n)
		c, rest := v[:s.m*s.n], v[s.m*s.n:]
		b.Run(fmt.Sprintf("%dx%dx%d", s.m, s.n, s.k), func(b *testing.B) {
			eachLevelBench(b, 2*s.m*s.n*s.k, func() { Gemm64(c, s.n, rest, s.k, rest[s.m*s.k:], s.n, s.m, s.n, s.k) })
		})
	}
}

// The planes are those of a 14×14 image with a margin of one.
func BenchmarkConv3x3(b *testing.B) {
	off := []int{0, 1, 2, 16, 17, 18, 32, 33, 34}
	const channels, plane, n = 256, 328, 224
	const width, lda = 32, 32 * 9
	b.Run("float64", func(b *testing.B) {
		c, x, a := make([]float64, 8*plane), make([]float64, channels*plane), make([]float64, 8*lda)
		eachLevelBench(b, 2*8*n*channels*9, func() {
			for i := 0; i < channels; i += width {
				Taps64(c, plane, a, 0, lda, x[i*plane:], plane, off, Rows, width, n)
			}
		})
	})
	b.Run("float32", func(b *testing.B) {
		c, x, a := make([]float32, 8*plane), make([]float32, channels*plane), make([]float32, 8*lda)
		eachLevelBench(b, 2*8*n*channels*9, func() {
			for i := 0; i < channels; i += width {
				Taps32(c, plane, a, 0, lda, x[i*plane:], plane, off, Rows, width, n)
			}
		})
	})
}

func BenchmarkStream(b *testing.B) {
	const n = 8192
	dst, src := make([]float64, n), make([]byte, 4*n)
	for _, e := range stored {
		size := int64(n * e.Size())
		for name, run := range map[string]func(){
			"Scale":   func() { Scale(dst, src[:size], e, 1) },
			"Round":   func() { Round(src[:size], dst, e) },
			"Rescale": func() { Rescale(src[:size], src[:size], e, 1) },
			"Pick":    func() { Pick(dst[:n/9], dst[n/2:][:n/9], src[:size], e, 9, 1) },
		} {
			b.Run(name+"/"+e.String(), func(b *testing.B) {
				eachLevelBench(b, n, run)
			})
		}
	}
}

func BenchmarkSums(b *testing.B) {
	const n = 1024
	v := make([]float64, 4*n)
	for name, run := range map[string]func(){
		"AddScaled": func() { AddScaled(v[:n], v[n:2*n], v[2*n:3*n], v[3*n:], 1, 1) },
		"Settled":   func() { Settled(v[:n], v[n:2*n], 1) },
		"Alike":     func() { Alike(v[:n], v[n:2*n], 1) },
	} {
		b.Run(name, func(b *testing.B) { eachLevelBench(b, n, run) })
	}
}

func BenchmarkChains(b *testing.B) {
	const n = 1024
	v, raw := uniform[float64](rand.New(rand.NewPCG(1, 1)), 4*n), make([]byte, 4*n)
	l, s, e := NewLoss(), Steps{}, Errors{}
	for name, run := range map[string]func(){
		"AbsoluteF32": func() { AbsoluteF32(raw) },
		"Loss":        func() { l.Take(v[:n]) },
		"Steps":       func() { s.Take(v[:n], 127) },
		"Near":        func() { e.Near(v[:n], v[:n], v[n:2*n], v[2*n:3*n], Ulps{Least: 1}, 10, 10) },
	} {
		b.Run(name, func(b *testing.B) { eachLevelBench(b, n, run) })
	}
}
