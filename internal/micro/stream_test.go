package micro

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
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

var stored = []tensor.Type{tensor.F32, tensor.F16, tensor.BF16}

// Every level rounds to the very bits that package tensor does.
func TestRound(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 4))
		for _, e := range stored {
			for n := range 300 {
				v := awkward(r, n)
				size := e.Size()
				skip := r.IntN(3)
				got, want := make([]byte, skip+n*size+1)[skip:], make([]byte, n*size+1)
				some, all := Round(got[:n*size], v, e)
				tensor.Encode(want, v, e)
				if a, b := bitsOf(want[:n*size], size); some != a || all != b {
					t.Fatalf("%s: %d elements have bits %#x and %#x, want %#x and %#x", e, n, some, all, a, b)
				}
				for k := range got {
					if got[k] != want[k] {
						t.Fatalf("%s: byte %d of %d is %#x, want %#x: %v", e, k, n*size, got[k], want[k], v[min(k/size, n-1)])
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
			b, back := make([]byte, len(v)*e.Size()), make([]float64, len(v))
			Round(b, v, e)
			tensor.Decode(back, b, e)
			for k, f := range back {
				if f == f {
					t.Errorf("%s: NaN %x became %v", e, math.Float64bits(v[k]), f)
				}
			}
		}
	})
}

// Scale gives, at every level, the bits of a product; Pick one in so many of them, and
// their magnitudes.
func TestScalePick(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 5))
		for _, e := range stored {
			for n := range 100 {
				src := make([]byte, n*e.Size()+1)[1:]
				tensor.Encode(src, uniform[float64](r, n), e)
				x := make([]float64, n)
				tensor.Decode(x, src, e)
				a, scaled, step := r.NormFloat64(), uniform[float64](r, n), 1+r.IntN(10)
				picked, mag := make([]float64, (n+step-1)/step), make([]float64, (n+step-1)/step)
				Scale(scaled, src, e, a)
				Pick(picked, mag, src, e, step, a)
				for k, v := range x {
					if product := a * v; scaled[k] != product {
						t.Fatalf("%s %d/%d: %v, want %v", e, k, n, scaled[k], product)
					}
					if k%step == 0 && (picked[k/step] != scaled[k] || mag[k/step] != math.Abs(scaled[k])) {
						t.Fatalf("%s %d/%d, one in %d: %v and %v, want %v", e, k, n, step, picked[k/step], mag[k/step], scaled[k])
					}
				}
			}
		}
	})
}

// Rescale is Scale and then Round, to the bit, and sees what Round sees; in place too.
func TestRescale(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 6))
		for _, e := range stored {
			for n := range 600 {
				size, skip := n*e.Size(), r.IntN(3)
				src, dst, want := make([]byte, skip+size)[skip:], make([]byte, size+1), make([]byte, size+1)
				tensor.Encode(src, awkward(r, n), e)
				for k, a := range awkward(r, 3) {
					if a != a || math.IsInf(a, 0) { // infinity times zero is a NaN of any sign
						continue
					}
					x := make([]float64, n)
					Scale(x, src, e, a)
					some, all := Round(want[:size], x, e)
					if k == 2 {
						copy(dst, src)
						src = dst[:size]
					}
					gotSome, gotAll := Rescale(dst[:size], src, e, a)
					if !bytes.Equal(dst, want) || gotSome != some || gotAll != all {
						t.Fatalf("%s: %d elements times %v: %x, bits %#x and %#x, want %x, %#x and %#x", e, n, a, dst, gotSome, gotAll, want, some, all)
					}
				}
			}
		}
	})
}

// AddScaled gives, at every level, the bits of products and sums rounded separately,
// and leaves what lies behind as it is.
func TestAddScaled(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 7))
		for n := range 100 {
			sum, mag, w, m := uniform[float64](r, n+1), uniform[float64](r, n+1), uniform[float64](r, n), uniform[float64](r, n)
			a, b := r.NormFloat64(), r.NormFloat64()
			wantSum, wantMag := append([]float64(nil), sum...), append([]float64(nil), mag...)
			for k := range n {
				wantSum[k] += float64(a * w[k])
				wantMag[k] += float64(b * math.Abs(m[k]))
			}
			AddScaled(sum[:n], mag[:n], w, m, a, b)
			if !slices.Equal(sum, wantSum) || !slices.Equal(mag, wantMag) {
				t.Fatalf("%d: %v and %v, want %v and %v", n, sum, mag, wantSum, wantMag)
			}
		}
	})
}

// Magnify gives magnitudes at every level, of infinities and zeros as well, and leaves
// what lies behind as it is.
func TestMagnify(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 9))
		for n := range 100 {
			src, dst, a := uniform[float64](r, n), uniform[float64](r, n+1), r.NormFloat64()
			if n > 1 {
				src[r.IntN(n)], src[r.IntN(n)] = math.Inf(-1), math.Copysign(0, -1)
			}
			want := slices.Clone(dst)
			for k, v := range src {
				want[k] = math.Abs(a * v)
			}
			Magnify(dst[:n], src, a)
			for k, v := range dst {
				if math.Float64bits(v) != math.Float64bits(want[k]) {
					t.Fatalf("%d: [%d] is %v, want %v", n, k, v, want[k])
				}
			}
		}
	})
}

// Settled finds, at every level, the one sum that is too small, and Alike the one that
// is not settled as a float32; a NaN is neither, and a zero of no magnitude is settled.
func TestSettledAlike(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 8))
		for n := range 100 {
			sum, mag := make([]float64, n), make([]float64, n)
			for k := range n {
				sum[k], mag[k] = float64(float32(r.NormFloat64())), 1+r.Float64()
				if r.IntN(10) == 0 {
					sum[k], mag[k] = math.Copysign(0, r.NormFloat64()), 0
				}
			}
			if n > 2 {
				sum[r.IntN(n)] = math.NaN()
			}
			if got := Settled(sum, mag, 0x1p-40); got != n {
				t.Fatalf("%d: sum %d is %v of %v, found too small", n, got, sum[got], mag[got])
			}
			if got := Alike(sum, mag, 0x1p-60); got != n && sum[got] == sum[got] {
				t.Fatalf("%d: sum %d is %v ± %v, found unlike", n, got, sum[got], 0x1p-60*mag[got])
			}
			for k := range n { // in each place, and nothing behind it matters
				s, m := append([]float64(nil), sum...), append([]float64(nil), mag...)
				for i := range k {
					if s[i] != s[i] {
						s[i] = 1
					}
				}
				s[k], m[k] = 0x1p-42, 2
				if got := Settled(s, m, 0x1p-40); got != k {
					t.Fatalf("%d: sum %d is too small, found %d", n, k, got)
				}
				s[k] = 1 + 0x1p-24 // halfway between two float32
				if got := Alike(s, m, 0x1p-60); got != n && got != k {
					t.Fatalf("%d: sum %d is halfway, found %d", n, k, got)
				}
				if got := Alike(s, m, 0x1p-50); got != k {
					t.Fatalf("%d: sum %d is halfway, found %d", n, k, got)
				}
				s[k], m[k] = 0, 0x1p-1000 // its sign is not settled
				if got := Alike(s, m, 0x1p-60); got != k {
					t.Fatalf("%d: sum %d may have either sign, found %d", n, k, got)
				}
			}
		}
	})
}

// Scatter puts each element in its place and touches nothing else.
func TestScatter(t *testing.T) {
	for _, size := range []int{2, 4, 8} {
		for n := range 20 {
			for step := 1; step < 5; step++ {
				src, dst := make([]byte, n*size), make([]byte, max(0, ((n-1)*step+1)*size)+1)
				for i := range src {
					src[i] = byte(1 + i)
				}
				Scatter(dst, src, size, step)
				for i, b := range dst {
					want := byte(0)
					if e := i / size; e%step == 0 && e/step < n {
						want = src[e/step*size+i%size]
					}
					if b != want {
						t.Fatalf("%d elements of %d bytes, one in %d: byte %d is %d, want %d", n, size, step, i, b, want)
					}
				}
			}
		}
	}
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
			Scale(got, src, e, 1)
			tensor.Decode(want, src, e)
			for k := range got {
				if got[k] != want[k] && want[k] == want[k] || (got[k] != got[k]) != (want[k] != want[k]) {
					t.Fatalf("%s %#x is %v, want %v", e, k, got[k], want[k])
				}
			}
		}
	})
}

// Decode is that of package tensor, to the sign of a zero; a NaN stays one.
func TestDecode(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 9))
		for _, typ := range []tensor.Type{tensor.F64, tensor.F32, tensor.F16, tensor.BF16} {
			for n := range 100 {
				src := make([]byte, n*typ.Size()+1)[1:]
				for i := range src {
					src[i] = byte(r.Uint32())
				}
				if n > 0 { // of zero, the sign bit only
					clear(src[(n-1)*typ.Size():])
					src[len(src)-1] = 0x80
				}
				got, want := make([]float64, n), make([]float64, n)
				Decode(got, src, typ)
				tensor.Decode(want, src, typ)
				for k := range got {
					if !same(got[k], want[k]) {
						t.Fatalf("%s %d/%d: %v, want %v", typ, k, n, got[k], want[k])
					}
				}
			}
		}
	})
}

// LoadF32 reads from any address, and as many elements as there are places.
func TestLoadF32(t *testing.T) {
	want := []float32{1, -2.5, float32(math.Inf(1)), 0x1p-140}
	b := make([]byte, 1+4*len(want)+4)
	tensor.Encode(b[1:1+4*len(want)], []float64{1, -2.5, math.Inf(1), 0x1p-140}, tensor.F32)
	for _, native := range []bool{little, false} {
		usual := little
		little = native
		for n := range len(want) + 1 {
			got := make([]float32, n)
			if LoadF32(got, b[1:]); !slices.Equal(got, want[:n]) {
				t.Errorf("%v, want %v", got, want[:n])
			}
		}
		little = usual
	}
}

// Decoded from the end of its own memory, each element is what tensor.Decode makes of it.
func TestDecodeInPlace(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 9))
		for _, typ := range []tensor.Type{tensor.F16, tensor.BF16, tensor.F32, tensor.F64} {
			for n := 1; n < 40; n++ {
				v, want := make([]float64, n), make([]float64, n)
				b, ok := Bytes(v)
				if !ok {
					t.Skip("a processor of another byte order")
				}
				b = b[(8-typ.Size())*n:]
				for k := range want {
					want[k] = float64(r.IntN(100) - 50)
				}
				tensor.Encode(b, want, typ)
				if Decode(v, b, typ); !slices.Equal(v, want) {
					t.Fatalf("%d of %s: %v, want %v", n, typ, v, want)
				}
			}
		}
	})
}

// Floats and Bytes are the same memory, as package tensor reads it.
func TestFloatsBytes(t *testing.T) {
	v := []float64{1, -2.5, math.Inf(1)}
	b, ok := Bytes(v)
	if !ok {
		t.Skip("the processor stores the high byte first")
	}
	got := make([]float64, 3)
	tensor.Decode(got, b, tensor.F64)
	again, ok := Floats(b)
	if !ok || !slices.Equal(got, v) || &again[0] != &v[0] || len(again) != 3 {
		t.Errorf("%v became %v and %v", v, got, again)
	}
	if _, ok := Floats(b[1:]); ok {
		t.Error("an odd address is taken")
	}
	if _, ok := Floats(nil); ok {
		t.Error("nothing is something")
	}
}
