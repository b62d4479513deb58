package convtest_test

import (
	"errors"
	"slices"
	"testing"

	"repfuse/internal/conv"
	"repfuse/internal/conv/convtest"
	"repfuse/internal/op"
	"repfuse/internal/op/optest"
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
		{"a border of the plane", op.Seq{op.Identity{Stride: two}, op.Shift{Term: 1}, op.Conv{Weight: w, Padding: one}}, []float64{124, 246, 461}},
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

// Layers that pad see zeros outside what the layers before them give; others, and those that are
// said to see the plane, do not.
func TestRunLayers(t *testing.T) {
	w := op.Param{Key: "w", Tensor: tensor.Of(tensor.F64, []int{1, 1, 3}, []float64{100, 10, 1})}
	one, two := []int{1}, []int{2}
	half, add := op.Identity{Stride: two}, op.Shift{Term: 1}
	for _, test := range []struct {
		name string
		e    op.Expr
		want []float64
	}{
		{"at half the extents", op.Seq{half, add, op.Conv{Weight: w, Padding: one}}, []float64{24, 246, 460}},
		{"of the plane", op.Seq{half, add, op.Conv{Weight: w, Padding: one, Plane: true}}, []float64{124, 246, 461}},
		{"without padding", op.Seq{half, add, op.Conv{Weight: w, Padding: []int{0}}}, []float64{246, 461, 611}},
		{"padded", op.Seq{half, add, op.Identity{Padding: one}}, []float64{0, 2, 4}},
		{"padded, of the plane", op.Seq{half, add, op.Identity{Padding: one, Plane: true}}, []float64{1, 2, 4}},
		{"a mean", op.Seq{half, add, op.AvgPool{Kernel: two, Padding: one}}, []float64{1, 3, 5}},
		{"a mean, of the plane", op.Seq{half, add, op.AvgPool{Kernel: two, Padding: one, Plane: true}}, []float64{1.5, 3, 5}},
	} {
		x, err := convtest.Of(1, []int{5}, []float64{1, 2, 3, 4, 5})
		if err != nil {
			t.Fatal(err)
		}
		y, err := convtest.RunLayers(test.e, x)
		if err != nil || !slices.Equal(y.Data, test.want) {
			t.Errorf("%s: %v (%v), want %v", test.name, y.Data, err, test.want)
		}
	}
}

// What op.CheckLayers accepts gives the same with zeros put back as on the plane, element by
// element: what the zeros take the place of is zeros. What it refuses mostly gives something else.
func TestLayersLaw(t *testing.T) {
	accepted, apart, refused := 0, 0, 0
	for seed := range uint64(3000) {
		e := optest.Random(seed, optest.Options{Rank: 1 + int(seed%2), Mild: true})
		f, err := op.Check(e)
		if err != nil {
			t.Fatal(err)
		}
		x := conv.Random(f.In, slices.Repeat([]int{7}, f.Rank()), 1, seed)
		plane, err := convtest.Run(e, x)
		if err != nil {
			continue // a stride that nobody said
		}
		layers, err := convtest.RunLayers(e, x)
		if err != nil {
			t.Fatal(err)
		}
		same := slices.Equal(plane.Data, layers.Data)
		switch _, err := op.CheckLayers(e); {
		case err == nil:
			if accepted++; !same {
				t.Fatalf("seed %d: %s gives something else with zeros put back", seed, e)
			}
		case errors.As(err, new(*op.BorderError)):
			if refused++; !same {
				apart++
			}
		default:
			t.Fatal(err)
		}
	}
	if accepted < 500 || refused < 500 || apart*10 < refused*9 {
		t.Errorf("%d accepted, %d refused, %d of them something else: want 500 each, and nine of ten", accepted, refused, apart)
	}
}
