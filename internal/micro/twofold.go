package micro

import "math"

// TwofoldLanes is the number of sums that Twofold adds to.
const TwofoldLanes = 8

// Twofold adds (hi[i]+lo[i])·w[i] to sum i mod 8, in about twice the precision of
// float64: lanes[k]+lanes[8+k] is sum k. Of n products a lane it errs by at most about
// n²·2⁻¹⁰⁶·Σ|hi·w| (Ogita, Rump, Oishi, "Accurate sum and dot product", 2005, with the
// lower parts carried along), so callers begin anew after some hundred. The bits are
// the same on every processor.
func Twofold(lanes *[2 * TwofoldLanes]float64, hi, lo, w []float64) {
	lo, w = lo[:len(hi)], w[:len(hi)]
	for i := twofold(lanes, hi, lo, w); i < len(hi); i++ {
		sum, rest := &lanes[i%TwofoldLanes], &lanes[TwofoldLanes+i%TwofoldLanes]
		p := float64(hi[i] * w[i])
		e := math.FMA(lo[i], w[i], math.FMA(hi[i], w[i], -p))
		s := *sum + p
		z := s - *sum
		y := (*sum - (s - z)) + (p - z)
		*sum, *rest = s, *rest+(y+e)
	}
}
