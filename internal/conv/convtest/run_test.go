package convtest_test

import (
	"slices"
	"testing"

	"repfuse/internal/conv/convtest"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// The numbers are worked out by hand, from the definitions in torch.nn.
func TestRun(t *testing.T) {
	w := op.Param{Key: "w", Tensor: tensor.Of(tensor.F64, []int{1, 1, 3}, []float64{100, 10, 1})}
	one, two := []int{1}, []int{2}
	for _, test := range []struct {
		name string
		e    op.Expr
		want []float64
	}{
		{"padding 1", op.Conv{Weight: w, Padding: one}, []float64{12, 123, 234, 345, 450}},
		{"padding 0", op.Conv{Weight: w, Padding: []int{0}}, []float64{123, 234, 345, 450, 500}},
		{"stride 2", op.Conv{Weight: w, Stride: two, Padding: one}, []float64{12, 234, 450}},
		{"stride 2, dilation 2", op.Conv{Weight: w, Stride: two, Padding: two, Dilation: two}, []float64{13, 135, 350}},
		{"reflect", op.Conv{Weight: w, Padding: one, PaddingMode: "reflect"}, []float64{212, 123, 234, 345, 454}},
		{"replicate", op.Conv{Weight: w, Padding: one, PaddingMode: "replicate"}, []float64{112, 123, 234, 345, 455}},
		{"circular", op.Conv{Weight: w, Padding: one, PaddingMode: "circular"}, []float64{512, 123, 234, 345, 451}},
		{"pad", op.Identity{Padding: two}, []float64{0, 0, 1, 2, 3}},
		{"crop, then each second", op.Identity{Padding: []int{-1}, Stride: two}, []float64{2, 4, 0}},
		{"mean", op.AvgPool{Kernel: two, Stride: two, Padding: one}, []float64{0.5, 2.5, 4.5}},
		{"stride behind stride", op.Seq{op.Identity{Stride: two}, op.Conv{Weight: w, Stride: two, Padding: one}}, []float64{13, 350}},
		{"a window at half the extents", op.Seq{op.Identity{Stride: two}, op.Shift{Term: 1}, op.Window{}, op.Conv{Weight: w, Padding: one}}, []float64{24, 246, 460}},
		{"no window", op.Seq{op.Identity{Stride: two}, op.Shift{Term: 1}, op.Conv{Weight: w, Padding: one}}, []float64{124, 246, 461}},
		{"a window on another axis", op.Seq{op.Shift{Term: 1}, op.Window{Axes: []int{}}, op.Conv{Weight: w, Padding: one}}, []float64{123, 234, 345, 456, 561}},
		{"sum", op.Sum{op.Conv{Weight: w, Stride: two, Padding: one}, op.Identity{Stride: two}}, []float64{13, 237, 455}},
	} {
		x, err := convtest.Of(1, []int{5}, []float64{1, 2, 3, 4, 5})
		if err != nil {
			t.Fatal(err)
		}
		y, err := convtest.Run(test.e, x)
		if err != nil || !slices.Equal(y.Data, test.want) {
			t.Errorf("%s: %v (%v), want %v", test.name, y.Data, err, test.want)
		}
	}
}
