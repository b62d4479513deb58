package certify_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"repfuse/internal/certify"
	"repfuse/internal/op"
	"repfuse/internal/op/optest"
	"repfuse/internal/tensor"
	"repfuse/internal/verify"
)

// What is stored at the lower end of float64's range is exact, and both proofs hold there: digits
// that a product loses are in the certificate and in what verify allows its own runs.
func TestTiny(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for seed := range uint64(150) {
		e := op.Seq{optest.Random(seed, optest.Options{Rank: -1, Mild: true}), op.Scale{Factor: math.Ldexp(1+r.Float64(), -1000-r.IntN(70))}}
		p := planOf(t, e)
		dst := collapse(t, p, tensor.F64)
		own := certified(t, p, dst, certify.Options{})
		if own.Verdict != certify.Exact {
			t.Errorf("seed %d: what was fused is %s: %+v", seed, own.Verdict, own.Worst)
		}
		wantBelow(t, p, dst, own)
		if m := measured(t, p, dst, verify.Options{Size: []int{5}}); !m.Passed {
			t.Errorf("seed %d: %+v exceeds %+v", seed, m.Nearest, m.Tolerance)
		}
	}
}

// The certificate is no less than the sum of all differences, as big.Float has them.
func TestTinyOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, n := range []int{1, 7, 300} {
		v := make([]float64, n)
		for i := range v {
			v[i] = r.NormFloat64() * 1e-316
		}
		by := r.Float64()
		p := planOf(t, op.Seq{op.Conv{Weight: op.Param{Key: "w", Tensor: tensor.Of(tensor.F64, []int{1, n}, v)}}, op.Scale{Factor: by}})
		dst := collapse(t, p, tensor.F64)
		stored, err := dst[0].Floats()
		if err != nil {
			t.Fatal(err)
		}
		apart := new(big.Float).SetPrec(300)
		for i := range v {
			real := new(big.Float).SetPrec(300).Mul(big.NewFloat(v[i]), big.NewFloat(by))
			d := real.Sub(real, big.NewFloat(stored[i]))
			apart.Add(apart, d.Abs(d))
		}
		c := certified(t, p, dst, certify.Options{})
		if apart.Sign() == 0 || apart.Cmp(big.NewFloat(c.Bound.Value)) > 0 || c.Verdict != certify.Exact {
			t.Errorf("%d elements are %s, %g apart in all, want exact, and at most %g", n, c.Verdict, apart, c.Bound.Value)
		}
	}
}
