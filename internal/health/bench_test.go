package health_test

import (
	"context"
	"testing"

	"repfuse/internal/health"
	"repfuse/internal/tensor"
)

func BenchmarkMeasure(b *testing.B) {
	shape := []int{64, 256, 3, 3}
	k := []tensor.Named{{Key: "k", Tensor: tensor.Of(tensor.F32, shape, normal(tensor.Elems(shape), 1))}}
	b.SetBytes(k[0].Bytes())
	for b.Loop() {
		if _, err := health.Measure(context.Background(), k, 1); err != nil {
			b.Fatal(err)
		}
	}
}
