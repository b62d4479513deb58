package micro

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// Every level gives the same bits, which are within the bound of the real sums.
func TestTwofold(t *testing.T) {
	var first [][2 * TwofoldLanes]float64
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 6))
		for n := range 300 {
			hi, lo, w := uniform[float64](r, n), uniform[float64](r, n), uniform[float64](r, n)
			for k := range lo {
				lo[k] = math.Ldexp(lo[k], -54)
			}
			var got [2 * TwofoldLanes]float64
			Twofold(&got, hi, lo, w)
			if !avx2 {
				first = append(first, got)
			} else if got != first[n] {
				t.Fatalf("%d products: %v, want %v as plain Go", n, got, first[n])
			}
			for k := range TwofoldLanes {
				checkTwofold(t, got[k], got[TwofoldLanes+k], every(hi, k), every(lo, k), every(w, k))
			}
		}
	})
}

// every is the elements of v that sum k is made of.
func every(v []float64, k int) []float64 {
	var list []float64
	for ; k < len(v); k += TwofoldLanes {
		list = append(list, v[k])
	}
	return list
}

// checkTwofold holds a sum against the same at 400 bits.
func checkTwofold(t *testing.T, sum, rest float64, hi, lo, w []float64) {
	t.Helper()
	exact := func(x float64) *big.Float { return new(big.Float).SetPrec(400).SetFloat64(x) }
	want, size := exact(0), 0.0
	for i := range hi {
		x := exact(hi[i])
		x.Add(x, exact(lo[i]))
		want.Add(want, x.Mul(x, exact(w[i])))
		size += math.Abs(hi[i] * w[i])
	}
	got := exact(sum)
	got.Add(got, exact(rest))
	err, _ := got.Sub(got, want).Float64()
	n := float64(len(hi))
	// n²·u² is the paper's; the lower parts add an operation to each step
	if limit := n * (n + 2) * 0x1p-106 * size; math.Abs(err) > limit {
		t.Fatalf("%d products: %g from the real sum, want at most %g", len(hi), err, limit)
	}
}
