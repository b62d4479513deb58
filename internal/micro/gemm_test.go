package micro

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

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
