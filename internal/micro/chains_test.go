package micro

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"repfuse/internal/tensor"
)

// same tells a zero from the other, and no NaN from another: which one a sum becomes is
// not promised.
func same(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || a != a && b != b
}

func wantParts(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if !slices.EqualFunc(got, want, same) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

// rows is rows of all lengths up to a hundred: of common values, of awkward ones, and of
// those with a NaN among them.
func rows(r *rand.Rand) [][]float64 {
	var all [][]float64
	for n := range 100 {
		a, b := awkward(r, n), awkward(r, n)
		if n > 0 {
			b[r.IntN(n)] = math.NaN()
		}
		all = append(all, uniform[float64](r, n), a, b)
	}
	return all
}

// pieces cuts a row in three, all but the last of whole Chains.
func pieces(r *rand.Rand, row []float64) [][]float64 {
	whole := len(row) / Chains
	a := r.IntN(whole + 1)
	b := a + r.IntN(whole-a+1)
	return [][]float64{row[:a*Chains], row[a*Chains : b*Chains], row[b*Chains:]}
}

// parts adds up a term of each element as Chains are.
func parts(row []float64, term func(w float64) float64) []float64 {
	sum := make([]float64, Chains)
	for i, w := range row {
		sum[i%Chains] += term(w)
	}
	return sum
}

func TestSum(t *testing.T) {
	v := [Chains]float64{1, 0x1p53, 3, 5, 0x1p53, -0x1p54, 7, -5}
	// Of all orders: in pairs four apart, then two, then one.
	want := ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
	if got := Sum(&v); got != want {
		t.Errorf("%g, want %g", got, want)
	}
}

func TestAbsoluteF32(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 10))
		for _, row := range rows(r) {
			skip := r.IntN(3)
			b := make([]byte, skip+4*len(row))[skip:]
			tensor.Encode(b, row, tensor.F32)
			tensor.Decode(row, b, tensor.F32)
			sum := [Chains]float64(parts(row, math.Abs))
			if got, want := AbsoluteF32(b), Sum(&sum); !same(got, want) {
				t.Fatalf("%v: %v, want %v", row, got, want)
			}
		}
	})
}

// Loss is what storing the elements loses; of squares that are infinite, only that is
// wanted.
func TestLoss(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 11))
		for _, row := range rows(r) {
			for k, w := range row {
				if math.Abs(w) > 0x1p511 {
					row[k] = math.Inf(1)
				}
			}
			got := NewLoss()
			for _, p := range pieces(r, row) {
				got.Take(p)
			}
			low, high := got.Low, got.High
			for i, w := range row {
				if w < low[i%Chains] || w > high[i%Chains] {
					t.Fatalf("%v is not from %v to %v", row, low, high)
				}
			}
			for k := range Chains {
				if k < len(row) && !slices.Contains(row, low[k]) && !math.IsInf(low[k], 1) {
					t.Fatalf("%v: %v is no element", row, low[k])
				}
				if k < len(row) && !slices.Contains(row, high[k]) && !math.IsInf(high[k], -1) {
					t.Fatalf("%v: %v is no element", row, high[k])
				}
			}
			wantParts(t, "squares", got.Square[:], parts(row, squared))
			wantParts(t, "float16", got.Float16[:], parts(row, func(w float64) float64 { return squared(w - clamped(w)) }))
			wantParts(t, "bfloat16", got.BFloat16[:], parts(row, func(w float64) float64 { return squared(w - eightOf(w)) }))
		}
	})
}

// squared is rounded by itself on every processor.
func squared(d float64) float64 { return float64(d * d) }

// clamped stores v as a float16, an infinity as the largest number.
func clamped(v float64) float64 {
	b, q := make([]byte, 2), []float64{v}
	tensor.Encode(b, q, tensor.F16)
	tensor.Decode(q, b, tensor.F16)
	return min(max(q[0], -65504), 65504)
}

// eightOf rounds v to eight bits; of what is no finite number it makes a NaN.
func eightOf(v float64) float64 {
	if math.IsInf(v, 0) {
		return math.NaN()
	}
	f, e := math.Frexp(v)
	return math.Ldexp(math.RoundToEven(math.Ldexp(f, 8)), e-8)
}

// Steps counts the elements that vanish and adds up squares as documented.
func TestSteps(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 12))
		for _, row := range rows(r) {
			inverse := []float64{127, 0.5, 3, 1 / 0.7}[r.IntN(4)]
			var got Steps
			for _, p := range pieces(r, row) {
				got.Take(p, inverse)
			}
			vanish := 0
			want := parts(row, func(w float64) float64 {
				q := float64(w * inverse)
				if math.Abs(q) <= 0.5 && w != 0 {
					vanish++
				}
				if math.Abs(q) > 0x1p51 { // beyond what the rounding is for
					return squared(q - ((q + 3<<51) - 3<<51))
				}
				return squared(q - math.RoundToEven(q))
			})
			wantParts(t, "squares", got.Square[:], want)
			if got.Vanish() != vanish {
				t.Fatalf("%v, %v steps: %d vanish, want %d", row, inverse, got.Vanish(), vanish)
			}
		}
	})
}

func TestUlps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 13))
	for _, typ := range []tensor.Type{tensor.F32, tensor.F16, tensor.BF16, tensor.F64} {
		u := Ulps{uint64(-math.Ilogb(tensor.Ulp(1, typ))), tensor.Ulp(0, typ)}
		for range 10000 {
			v := math.Ldexp(r.NormFloat64(), r.IntN(900)-450)
			if got, want := u.At(v), tensor.Ulp(v, typ); got != want {
				t.Fatalf("%s: the unit at %g is %g, want %g", typ, v, got, want)
			}
		}
		for _, v := range []float64{0, math.Copysign(0, -1), 0x1p-1074, -0x1p-1030} {
			if got := u.At(v); got != u.Least {
				t.Errorf("%s: the unit at %g is %g, want %g", typ, v, got, u.Least)
			}
		}
		if got := u.At(math.Inf(1)); math.IsInf(got, 0) {
			t.Errorf("%s: the unit at infinity is infinite, and so nothing too far from it", typ)
		}
	}
}

// Near takes what is near, eight at a time, up to the eight that has something that is
// not, wherever that is and whatever makes it so.
func TestNear(t *testing.T) {
	u := Ulps{23, 0x1p-149}
	const limit, worst = 0.501, 0.5
	spoil := []func(v, hi, lo, bound *float64){
		func(v, hi, lo, bound *float64) { *v += 1.1 * u.At(*hi) },
		func(v, hi, lo, bound *float64) { *v -= 1.1 * u.At(*hi) },
		func(v, hi, lo, bound *float64) { *lo = 1.1 * u.At(*hi) },
		func(v, hi, lo, bound *float64) { *bound = 0.6 * u.At(*hi) },
		func(v, hi, lo, bound *float64) { *v = *hi + 0.5005*u.At(*hi); *lo, *bound = 0, 0 }, // worse only
		func(v, hi, lo, bound *float64) { *v = math.NaN() },
		func(v, hi, lo, bound *float64) { *lo = math.NaN() },
		func(v, hi, lo, bound *float64) { *bound = math.NaN() },
		func(v, hi, lo, bound *float64) { *hi = math.Inf(1) },
		func(v, hi, lo, bound *float64) { *v = math.Inf(-1) },
		func(v, hi, lo, bound *float64) { *v, *hi, *lo = 0x1p-149, 0, 0 },
		func(v, hi, lo, bound *float64) { *v, *hi, *lo = 0, 0x1p-1000, 0x1p-148 },
	}
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 14))
		for n := range 100 {
			v, hi, lo, bound := uniform[float64](r, n), uniform[float64](r, n), uniform[float64](r, n), uniform[float64](r, n)
			for k := range v {
				hi[k] = math.Ldexp(hi[k], r.IntN(300)-200) // to below float32's subnormals
				if r.IntN(10) == 0 {
					hi[k] = math.Copysign(0, hi[k])
				}
				ulp := u.At(hi[k])
				lo[k] *= 0x1p-20 * ulp
				bound[k] = math.Abs(bound[k]) * 0x1p-20 * ulp
				v[k] = hi[k] + 0.49*ulp*v[k]
			}
			want := n - n%Chains
			if n > 0 && r.IntN(4) > 0 {
				k := r.IntN(n)
				spoil[r.IntN(len(spoil))](&v[k], &hi[k], &lo[k], &bound[k])
				want = min(want, k-k%Chains)
			}
			var got Errors
			if took := got.Near(v, hi, lo, bound, u, limit, worst); took != want {
				t.Fatalf("%d of %d taken, want %d", took, n, want)
			}
			if avx2 { // by itself, with no plain Go to go on where it stops too early
				c := nearConstants{exponentBits, u.Shift << 52, u.Least, Slack, limit, worst}
				if took := near(&Errors{}, v[:n-n%Chains], hi, lo, bound, &c); took != want {
					t.Fatalf("%d of %d taken by assembly, want %d", took, n, want)
				}
			}
			i := -1
			wantParts(t, "off", got.Off[:], parts(v[:want], func(w float64) float64 {
				i++
				return math.Abs((w - hi[i]) - lo[i])
			}))
			wantParts(t, "own", got.Own[:], parts(bound[:want], func(b float64) float64 { return b }))
		}
	})
}
