package exact

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"repfuse/internal/tensor"
)

// truth is a number at 300 bits, more than twice what a DD has.
func truth(v ...float64) *big.Float {
	sum := new(big.Float).SetPrec(300)
	for _, x := range v {
		sum.Add(sum, new(big.Float).SetPrec(300).SetFloat64(x))
	}
	return sum
}

func fresh300() *big.Float { return new(big.Float).SetPrec(300) }

// TestDD: every operation errs by at most 2⁻¹⁰² of the magnitudes of what it is given, or
// of the result where that is a product or a root.
func TestDD(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	random := func() DD {
		hi := math.Ldexp(r.NormFloat64(), r.IntN(40)-20)
		return QuickTwoSum(hi, hi*math.Ldexp(r.Float64()-0.5, -53))
	}
	for range 20000 {
		a, b, x := random(), random(), r.NormFloat64()
		ta, tb := truth(a.Hi, a.Lo), truth(b.Hi, b.Lo)
		root := DD{math.Abs(a.Hi), math.Copysign(a.Lo, a.Lo*a.Hi)}
		for _, op := range []struct {
			name  string
			got   DD
			want  *big.Float
			scale float64
		}{
			{"sum", a.Add(b), fresh300().Add(ta, tb), math.Abs(a.Hi) + math.Abs(b.Hi)},
			{"product", a.Mul(b), fresh300().Mul(ta, tb), math.Abs(a.Hi * b.Hi)},
			{"multiple", a.Times(x), fresh300().Mul(ta, truth(x)), math.Abs(a.Hi * x)},
			{"quotient", a.Div(b), fresh300().Quo(ta, tb), math.Abs(a.Hi / b.Hi)},
			{"root", root.Sqrt(), fresh300().Sqrt(truth(root.Hi, root.Lo)), math.Sqrt(root.Hi)},
		} {
			off, _ := fresh300().Sub(op.want, truth(op.got.Hi, op.got.Lo)).Float64()
			if math.Abs(off) > (Doubles{}).Unit()*op.scale {
				t.Fatalf("%s of %v and %v or %g: %v, off by %g of %g", op.name, a, b, x, op.got, off, op.scale)
			}
		}
	}
}

// TestOdd: rounded to odd and then to float32, a number is what one rounding makes of it,
// next to ties above all.
func TestOdd(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for trial := range 20000 {
		hi := r.NormFloat64()
		if trial%2 == 0 {
			f := float32(hi)
			hi = (float64(f) + float64(math.Nextafter32(f, 9))) / 2
		}
		v := DD{hi, hi * math.Ldexp(r.Float64()-0.5, -53-r.IntN(40))}
		want, _ := truth(v.Hi, v.Lo).Float32()
		if got := float32(v.Odd()); got != want {
			t.Fatalf("%v: %g, want %g", v, got, want)
		}
	}
}

// TestNorm: γ/√(σ²+ε) in both fields.
func TestNorm(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 500 {
		gamma, vari, eps := r.NormFloat64(), r.ExpFloat64(), 1e-5
		root := fresh300().Sqrt(truth(vari, eps))
		want := fresh300().Quo(truth(gamma), root)
		f := Norm([]float64{gamma}, []float64{vari}, eps)
		for field, got := range map[string]*big.Float{
			"double-double": truth(f.Value[0].Hi, f.Value[0].Lo),
			"256 bits":      Reals{}.Scale(Reals{}.One(), f, 0),
		} {
			unit := 8 * Reals{}.Unit()
			if field == "double-double" {
				unit = 8 * Doubles{}.Unit() // a sum, a root, a quotient
			}
			off, _ := fresh300().Quo(fresh300().Sub(fresh300().Set(got), want), want).Float64()
			if math.Abs(off) > unit {
				t.Fatalf("%s: γ %g, σ² %g: off by %g of it, want at most %g", field, gamma, vari, off, unit)
			}
		}
	}
}

// TestDoubtful: an element that is not listed is within 0.001 ulp for every sum with κ
// roundings, whatever its size, and one that is ten times as good is never listed.
func TestDoubtful(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for _, typ := range []tensor.Type{tensor.F32, tensor.F16, tensor.BF16} {
		for trial := range 20000 {
			test := Test{Type: typ, Kappa: 1 + r.IntN(300)}
			sum := math.Ldexp(1+r.Float64(), r.IntN(5)-2)
			ulp := tensor.Ulp(sum, typ)
			mag := ulp * 0x1p43 / float64(test.Kappa) * math.Ldexp(1+r.Float64(), r.IntN(12)-6) // where κ·2⁻⁵³·mag is about 0.001 ulp
			off := float64(test.Kappa) * 0x1p-53 * mag
			listed := len(test.Doubtful(nil, []float64{sum}, []float64{mag})) > 0
			// What is promised, and the documented bound to a hundredth, so that none is wider by a fifth.
			bound, most := float64(test.Kappa+4)*0x1p-53*mag, 0x1p-10*math.Ldexp(sum, -precision(typ))
			if !listed && off > 0.001*ulp || !listed && bound > 1.01*most || listed && bound < 0.99*most {
				t.Fatalf("%s, trial %d: κ %d, off by %.3g ulp: listed %t", typ, trial, test.Kappa, off/ulp, listed)
			}
		}
	}
}

// TestDoubtfulProducts: an element is listed if and only if something within its error is
// stored otherwise. The errors are about as large as the distance to the next tie.
func TestDoubtfulProducts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	stored := func(v float64, typ tensor.Type) string {
		b := make([]byte, typ.Size())
		tensor.Encode(b, []float64{v}, typ)
		return string(b)
	}
	for _, typ := range []tensor.Type{tensor.F32, tensor.F16, tensor.BF16} {
		test := Test{Type: typ, Kappa: 70, Products: true}
		var sum, mag []float64
		var want []int
		for i := range 3000 {
			sum = append(sum, r.NormFloat64())
			tie := (math.Round(sum[i]/tensor.Ulp(sum[i], typ)) + 0.5) * tensor.Ulp(sum[i], typ)
			mag = append(mag, math.Abs(tie-sum[i])*math.Ldexp(1, 53-r.IntN(9))/20)
			worst := 70 * 0x1p-53 * mag[i] // less than the bound, which has something to spare
			if stored(sum[i]-worst, typ) != stored(sum[i]+worst, typ) {
				want = append(want, i)
			}
		}
		got := test.Doubtful(nil, sum, mag)
		for _, i := range want {
			if !slices.Contains(got, i) {
				t.Fatalf("%s: %g ± %g is not listed", typ, sum[i], 70*0x1p-53*mag[i])
			}
		}
		if spare := len(got) - len(want); spare > len(want)/4 || len(want) < 100 {
			t.Errorf("%s: %d are listed, want %d and a few", typ, len(got), len(want))
		}
	}
}

// TestEnough: what is enough is within 0.001 ulp, and what is ten times as good is enough.
func TestEnough(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	for _, typ := range []tensor.Type{tensor.F32, tensor.F16, tensor.BF16, tensor.F64} {
		for range 20000 {
			test := Test{Type: typ, Kappa: 1 + r.IntN(300)}
			v := DD{Hi: math.Ldexp(r.NormFloat64(), r.IntN(60)-30)}
			unit, ulp := math.Ldexp(1, -90-r.IntN(20)), tensor.Ulp(v.Hi, typ)
			mag := ulp * 0x1p-10 / unit / float64(test.Kappa) * math.Ldexp(1+r.Float64(), r.IntN(12)-6)
			off, enough := float64(test.Kappa)*unit*mag, test.Enough(v, mag, unit)
			bound, most := float64(test.Kappa+4)*unit*mag, 0x1p-10*ulp
			if enough && off > 0.001*ulp || enough && bound > 1.01*most || !enough && bound < 0.99*most {
				t.Fatalf("%s: κ %d, off by %.3g ulp: enough %t", typ, test.Kappa, off/ulp, enough)
			}
		}
	}
}

// TestLow: whatever the sizes of the operands, a result in double-double numbers is as near to that at
// 256 bits as Unit says, or Low is set; and it is not set where nothing is small.
func TestLow(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	of := func(least int) float64 { return math.Ldexp(r.NormFloat64(), r.IntN(-least)*9/8+least) } // up to 2^(-least/8)
	for trial := range 30000 {
		least := []int{-100, -1070}[trial%2]
		a, w, gamma, mean, beta := of(least), of(least), of(least), of(least), of(least)
		vari, eps := math.Abs(of(least)), math.Abs(of(least))*float64(trial%3)
		low := false
		d, f := Doubles{Low: &low}, Norm([]float64{gamma}, []float64{vari}, eps)
		t1 := f.Terms([]float64{beta}, []float64{mean})
		t1.beta = nil // so that nothing cancels
		t1.Value[0] = f.Value[0].Times(-mean)
		dst, real := []DD{{}}, []*big.Float{nil}
		for name, pair := range map[string]func() (DD, *big.Float){
			"scale":  func() (DD, *big.Float) { return d.Scale(DD{a, 0}, f, 0), Reals{}.Scale(truth(a), f, 0) },
			"term":   func() (DD, *big.Float) { return d.Term(t1, 0), Reals{}.Term(t1, 0) },
			"divide": func() (DD, *big.Float) { return d.Divide(DD{a, 0}, 7), Reals{}.Divide(truth(a), 7) },
			"product": func() (DD, *big.Float) {
				dst[0], real[0] = DD{}, nil
				d.MulAdd(dst, DD{a, 0}, []float64{w}, 1)
				Reals{}.MulAdd(real, truth(a), []float64{w}, 1)
				return dst[0], real[0]
			},
		} {
			low = false
			got, want := pair()
			off := fresh300().Sub(want, truth(got.Hi, got.Lo))
			most := fresh300().Mul(want, big.NewFloat(8*Doubles{}.Unit()))
			if bad := off.Abs(off).Cmp(most.Abs(most)) > 0; bad && !low || low && least > -200 {
				t.Fatalf("%s of %g, %g, γ %g, σ² %g, ε %g, μ %g: %v, want %g: off by %g, low %t", name, a, w, gamma, vari, eps, mean, got, want, off, low)
			}
		}
	}
}
