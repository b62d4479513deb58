package stream

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// Blocks whose kernels are multiplied, several at a time and many at each, come out as one
// goroutine makes them; the race detector sees who shares memory with whom.
func TestProducts(t *testing.T) {
	var list []plan.Item
	for _, name := range []string{"dbb-k3-g2-internal", "dbb-k3-in_ne_out", "repvgg-model-tiny"} {
		list = slices.Concat(list, items(t, name, tensor.F64), items(t, name, tensor.F64))
	}
	var want *memory
	for round := range 8 {
		m := newMemory(list)
		o := Options{Jobs: 4, Piece: 1000}
		if round == 0 {
			o = Options{Jobs: 1}
		}
		if _, err := Run(context.Background(), list, m, o); err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = m
		}
		for k := range list {
			if !m.done[k] || !bytes.Equal(m.data[k], want.data[k]) {
				t.Errorf("round %d: %s differs from one job's", round, list[k].Key)
			}
		}
	}
}
