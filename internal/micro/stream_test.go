package micro

import (
	"math"
	"math/rand/v2"
	"testing"

	"repfuse/internal/tensor"
)

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
	round func([]byte, []float64) (some, all uint32)
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
				some, all := e.round(got[:n*size], v)
				tensor.Encode(want, v, e.is)
				if a, b := bitsOf(want[:n*size], size); some != a || all != b {
					t.Fatalf("%s: %d elements have bits %#x and %#x, want %#x and %#x", e.is, n, some, all, a, b)
				}
				for k := range got {
					if got[k] != want[k] {
						t.Fatalf("%s: byte %d of %d is %#x, want %#x: %v", e.is, k, n*size, got[k], want[k], v[min(k/size, n-1)])
					}
				}
			}
		}
	})
}

// bitsOf is the bits that any, and that all elements of some bytes have.
func bitsOf(b []byte, size int) (some, all uint32) {
	all = 1<<(8*size) - 1
	for k := range len(b) / size {
		var bits uint32
		for i, x := range b[k*size : (k+1)*size] {
			bits |= uint32(x) << (8 * i)
		}
		some, all = some|bits, all&bits
	}
	return some, all
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
