package verify

import (
	"context"
	"math/rand/v2"
	"reflect"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// The numbers of a report are those of the whole image, bit for bit, however low its strips are.
func TestStripsGiveTheSameReport(t *testing.T) {
	defer func(n float64) { stripBytes = n }(stripBytes)
	r := rand.New(rand.NewPCG(1, 1))
	kernel := func(shape ...int) tensor.Tensor {
		v := make([]float64, tensor.Elems(shape))
		for k := range v {
			v[k] = r.NormFloat64()
		}
		return tensor.Of(tensor.F32, shape, v)
	}
	e := op.Sum{op.Conv{Weight: op.Param{Key: "k", Tensor: kernel(40, 40, 3, 3)}}, op.Identity{}}
	f, err := op.Check(e)
	if err != nil {
		t.Fatal(err)
	}
	p := &plan.Plan{Blocks: []plan.Block{{Outputs: []plan.Output{{Weight: "w", Expr: e, Form: f}}}}, Fates: []plan.Fate{{Fate: plan.Fused}}}
	dst := []tensor.Named{{Key: "w", Tensor: kernel(40, 40, 3, 3)}}
	var first *Report
	for _, bytes := range []float64{40e6, 600e3, 580e3, 560e3, 0} { // one strip, numbers of rows that must be made even, eight rows
		stripBytes = bytes
		got, err := Run(context.Background(), p, dst, Options{Size: []int{41, 9}, Trials: 2, Jobs: 2})
		if err != nil {
			t.Fatal(err)
		}
		b := &got.Blocks[0]
		b.Before.Seconds, b.After.Seconds, b.Float32.Samples = 0, 0, 0
		got.Before.Seconds, got.After.Seconds = 0, 0
		if first == nil {
			first = got
		}
		if !reflect.DeepEqual(got, first) {
			t.Errorf("strips of %g bytes: %+v, want %+v", bytes, got.Blocks, first.Blocks)
		}
	}
}
