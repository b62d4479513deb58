package certify

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"repfuse/internal/tensor"
)

// compare finds what a look at one element after the other finds, wherever it begins:
// the doubtful ones, the place of the worst of the others, and the sums.
func TestCompare(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		n := r.IntN(100)
		w := kernelWorker{u: ulpsOf(tensor.F32)}
		for range n {
			v := r.NormFloat64()
			stored := float64(float32(v))
			if r.IntN(40) == 0 {
				stored += 0.2 * w.u.At(v)
			}
			w.hi, w.lo, w.stored = append(w.hi, v), append(w.lo, v*0x1p-60), append(w.stored, stored)
			w.bound = append(w.bound, 0x1p-12*r.Float64()*w.u.At(v))
		}
		from := r.IntN(n + 1)
		to := from + r.IntN(n-from+1)
		before := r.Float64() / 2
		doubtful, worst, at := []int{-1}, before, -2
		got := w.compare(from, to, &doubtful, &worst, &at)
		wantDoubtful, wantWorst, wantAt := []int{-1}, before, -2
		var want sums
		for i := from; i < to; i++ {
			d, ulp := w.value(i).off(w.stored[i]), tensor.Ulp(w.hi[i], tensor.F32)
			want.off, want.own = want.off+d, want.own+w.bound[i]
			if d+w.bound[i] > near*ulp {
				wantDoubtful = append(wantDoubtful, i)
			} else if d > wantWorst*ulp {
				wantWorst, wantAt = d/ulp, i
			}
		}
		if !slices.Equal(doubtful, wantDoubtful) || at != wantAt || math.Abs(worst-wantWorst) > 1e-9 {
			t.Fatalf("%d to %d: doubtful %v, worst %g at %d, want %v, %g at %d", from, to, doubtful, worst, at, wantDoubtful, wantWorst, wantAt)
		}
		if math.Abs(got.off-want.off) > 1e-12*want.off || math.Abs(got.own-want.own) > 1e-12*want.own {
			t.Fatalf("%d to %d: %g off and %g own, want %g and %g", from, to, got.off, got.own, want.off, want.own)
		}
	}
}
