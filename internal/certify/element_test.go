package certify_test

import (
	"testing"

	"repfuse/internal/certify"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// An exact element is within 0.501 ulp of the real value, whatever else could explain it.
func TestNear(t *testing.T) {
	const ulp = 0x1p-23 // of float32 numbers from 1 to 2
	for _, test := range []struct {
		off  float64 // in ulp, of a stored 1 + ulp
		want certify.Verdict
	}{
		{0, certify.Exact},
		{0.5, certify.Exact},
		{0.5009, certify.Exact},
		{0.5011, certify.Different}, // a copied kernel leaves nothing to explain it
		{0.55, certify.Different},
		{1, certify.Different},
	} {
		shape := []int{1, 1, 1, 1}
		e := op.Conv{Weight: op.Param{Key: "k", Tensor: tensor.Of(tensor.F64, shape, []float64{1 + (1-test.off)*ulp})}}
		dst := []tensor.Named{{Key: "fused.weight", Tensor: tensor.Of(tensor.F32, shape, []float64{1 + ulp})}}
		if b := certified(t, planOf(t, e), dst, certify.Options{}); b.Verdict != test.want {
			t.Errorf("%g ulp off is %s, want %s", test.off, b.Verdict, test.want)
		}
	}
}
