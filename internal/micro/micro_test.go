package micro

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"repfuse/internal/tensor"
)

// eachLevel runs a test at every level that this processor has.
func eachLevel(t *testing.T, test func(t *testing.T)) {
	before := using
	defer func() { using = before }()
	for l := generic; l <= best(); l++ {
		using = l
		t.Run(levels[l], test)
	}
}

// uniform is n random values, at an offset into memory that vectors do not like.
func uniform[T float32 | float64](r *rand.Rand, n int) []T {
	skip := r.IntN(4)
	v := make([]T, skip+n)[skip:]
	for k := range v {
		v[k] = T(2*r.Float64() - 1)
	}
	return v
}

// testTaps holds a form of Taps to the formula in its comment, in float64. unit is
// the rounding of its additions.
func testTaps[T float32 | float64](t *testing.T, unit float64, lanes int,
	run func(c []T, ldc int, a []T, first, lda int, x []T, stride int, off []int, channels, n int)) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		channels, taps, n := 1+r.IntN(9), 1+r.IntN(10), lanes*(1+r.IntN(9))
		ldc, stride := n+r.IntN(5), n+r.IntN(50)
		off := make([]int, taps)
		for k := range off {
			off[k] = r.IntN(40)
		}
		width := channels * taps
		lda, first := width+r.IntN(3), r.IntN(3)
		if r.IntN(2) == 0 { // one plane with one kernel
			lda, first = -taps, (Rows-1)*taps
		}
		a := uniform[T](r, first+max(0, (Rows-1)*lda)+width)
		x := uniform[T](r, (channels-1)*stride+40+n)
		c := uniform[T](r, (Rows-1)*ldc+n+1)
		before := append([]T(nil), c...)
		run(c, ldc, a, first, lda, x, stride, off, channels, n)
		for k := range c {
			o, p := k/ldc, k%ldc
			want, size := float64(before[k]), math.Abs(float64(before[k]))
			for i := 0; i < width && o < Rows && p < n; i++ {
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
		defer func(l level, f bool) { using, fused = l, f }(using, fused)
		using, fused = generic, false
		testTaps(t, 0x1p-53, Lanes64, Taps64)
	})
}

func TestTaps32(t *testing.T) {
	eachLevel(t, func(t *testing.T) { testTaps(t, 0x1p-24, Lanes32, Taps32) })
}

// Every level gives the same bits, whole tiles and edges alike.
func TestGemm64Bits(t *testing.T) {
	if !fused {
		t.Skip("this processor rounds a product before it adds it")
	}
	const m, n, k = 19, 131, 200
	r := rand.New(rand.NewPCG(1, 6))
	a, b, c := uniform[float64](r, m*k), uniform[float64](r, k*n), uniform[float64](r, m*n)
	var want []float64
	eachLevel(t, func(t *testing.T) {
		got := append([]float64(nil), c...)
		Gemm64(got, n, a, k, b, n, m, n, k)
		if want == nil {
			want = got
		}
		one := append([]float64(nil), c...)
		for o := range m {
			for p := range n {
				Gemm64(one[o*n+p:], n, a[o*k:], k, b[p:], n, 1, 1, k)
			}
		}
		if !slices.Equal(got, want) || !slices.Equal(one, want) {
			t.Error("other bits than plain Go's")
		}
	})
}

func TestTapsTooShort(t *testing.T) {
	v := make([]float64, 100)
	for name, call := range map[string]func(){
		"c":     func() { Taps64(v[:63], 8, v, 0, 1, v, 8, []int{0}, 1, 8) },
		"a":     func() { Taps64(v, 8, v[:7], 0, 1, v, 8, []int{0}, 1, 8) },
		"first": func() { Taps64(v, 8, v, 6, -1, v, 8, []int{0}, 1, 8) },
		"x":     func() { Taps64(v, 8, v, 0, 1, v[:17], 8, []int{0, 2}, 2, 8) },
		"off":   func() { Taps64(v, 8, v, 0, 1, v, 8, []int{-1}, 1, 8) },
		"n":     func() { Taps64(v, 9, v, 0, 1, v, 8, []int{0}, 1, 9) },
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

func TestGemm64(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for seed := range uint64(200) {
			r := rand.New(rand.NewPCG(seed, 3))
			m, n, k := 1+r.IntN(40), 1+r.IntN(70), 1+r.IntN(200)
			lda, ldb, ldc := k+r.IntN(3), n+r.IntN(3), n+r.IntN(3)
			a, b := uniform[float64](r, (m-1)*lda+k), uniform[float64](r, (k-1)*ldb+n)
			c := uniform[float64](r, (m-1)*ldc+n)
			before := append([]float64(nil), c...)
			Gemm64(c, ldc, a, lda, b, ldb, m, n, k)
			for at := range c {
				o, p := at/ldc, at%ldc
				want, size := before[at], math.Abs(before[at])
				for i := 0; i < k && p < n; i++ {
					v := a[o*lda+i] * b[i*ldb+p]
					want += v
					size += math.Abs(v)
				}
				// The bound that is promised, and k additions for want itself.
				bound := float64(chain+(k+chain-1)/chain+k) * 0x1p-53 * size
				if d := math.Abs(c[at] - want); !(d <= bound) {
					t.Fatalf("seed %d: c[%d,%d] is %v, want %v", seed, o, p, c[at], want)
				}
			}
		}
	})
}

// awkward is values where rounding is delicate: halfway between two elements of any
// of the types, and next to it; subnormal, huge, infinite.
func awkward(r *rand.Rand, n int) []float64 {
	v := uniform[float64](r, n)
	for k := range v {
		v[k] = math.Ldexp(v[k], r.IntN(60)-40)
		switch r.IntN(12) {
		case 0:
			v[k] = math.Ldexp(float64(2*r.IntN(1<<12)+1), r.IntN(60)-40)
		case 1:
			v[k] = math.Nextafter(math.Ldexp(float64(2*r.IntN(1<<9)+1), r.IntN(40)-30), float64(r.IntN(2)*1000))
		case 2:
			v[k] = math.Ldexp(v[k], -130)
		case 3:
			v[k] = math.Ldexp(v[k], 140)
		case 4:
			v[k] = []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), 65504, 65520, math.Nextafter(65520, 0), -math.MaxFloat32, math.MaxFloat64}[r.IntN(9)]
		}
	}
	return v
}

var stored = []struct {
	is    tensor.Type
	scale func([]float64, []byte, float64)
	axpy  func([]float64, []byte, float64)
	round func([]byte, []float64)
}{
	{tensor.F32, ScaleF32, AxpyF32, RoundF32},
	{tensor.F16, ScaleF16, AxpyF16, RoundF16},
	{tensor.BF16, ScaleBF16, AxpyBF16, RoundBF16},
}

// Every level rounds to the very bits that package tensor does.
func TestRound(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 4))
		for _, e := range stored {
			for n := range 300 {
				v := awkward(r, n)
				size := e.is.Size()
				skip := r.IntN(3)
				got, want := make([]byte, skip+n*size+1)[skip:], make([]byte, n*size+1)
				e.round(got[:n*size], v)
				tensor.Encode(want, v, e.is)
				for k := range got {
					if got[k] != want[k] {
						t.Fatalf("%s: byte %d of %d is %#x, want %#x: %v", e.is, k, n*size, got[k], want[k], v[min(k/size, n-1)])
					}
				}
			}
		}
	})
}

// A NaN stays one: which is not promised.
func TestRoundNaN(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		v := make([]float64, 19)
		for k := range v {
			v[k] = math.Float64frombits(0x7ff0000000000001 | uint64(k)<<46 | uint64(k%2)<<63)
		}
		v[18] = math.Float64frombits(math.MaxUint64)
		for _, e := range stored {
			b, back := make([]byte, len(v)*e.is.Size()), make([]float64, len(v))
			e.round(b, v)
			tensor.Decode(back, b, e.is)
			for k, f := range back {
				if f == f {
					t.Errorf("%s: NaN %x became %v", e.is, math.Float64bits(v[k]), f)
				}
			}
		}
	})
}

// Scale and Axpy give, at every level, the bits of a product and a sum rounded
// separately.
func TestScaleAxpy(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 5))
		for _, e := range stored {
			for n := range 100 {
				src := make([]byte, n*e.is.Size()+1)[1:]
				tensor.Encode(src, uniform[float64](r, n), e.is)
				x := make([]float64, n)
				tensor.Decode(x, src, e.is)
				a, scaled, dst := r.NormFloat64(), uniform[float64](r, n), uniform[float64](r, n)
				before := append([]float64(nil), dst...)
				e.scale(scaled, src, a)
				e.axpy(dst, src, a)
				for k, v := range x {
					product := a * v
					if sum := before[k] + float64(product); scaled[k] != product || dst[k] != sum {
						t.Fatalf("%s %d/%d: %v and %v, want %v and %v", e.is, k, n, scaled[k], dst[k], product, sum)
					}
				}
			}
		}
	})
}

// All 65536 float16, and all bfloat16 that are numbers, are read exactly.
func TestScaleAll(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		src := make([]byte, 2<<16)
		for k := range 1 << 16 {
			src[2*k], src[2*k+1] = byte(k), byte(k>>8)
		}
		for _, e := range stored[1:] {
			got, want := make([]float64, 1<<16), make([]float64, 1<<16)
			e.scale(got, src, 1)
			tensor.Decode(want, src, e.is)
			for k := range got {
				if got[k] != want[k] && want[k] == want[k] || (got[k] != got[k]) != (want[k] != want[k]) {
					t.Fatalf("%s %#x is %v, want %v", e.is, k, got[k], want[k])
				}
			}
		}
	})
}

func TestChoose(t *testing.T) {
	for _, test := range []struct {
		name string
		best level
		want level
		err  string
	}{
		{"", avx512, avx512, ""},
		{"generic", avx512, generic, ""},
		{"avx2", avx512, avx2, ""},
		{"avx512", avx2, avx2, "REPFUSE_CPU=avx512: this processor has avx2"},
		{"sse", avx512, avx512, "REPFUSE_CPU=sse, want generic, avx2 or avx512"},
	} {
		got, err := choose(test.name, test.best)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != test.want || text != test.err {
			t.Errorf("%q: %s, %q, want %s, %q", test.name, levels[got], text, levels[test.want], test.err)
		}
	}
}
