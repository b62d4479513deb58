package op_test

import (
	"math"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

func param(shape ...int) op.Param {
	return op.Param{Key: "w", Tensor: tensor.Tensor{Type: tensor.F32, Shape: shape}}
}

func vectorOf(n int) *op.Param { p := param(n); return &p }

func norm(n int) op.BatchNorm {
	return op.BatchNorm{Gamma: vectorOf(n), Beta: vectorOf(n), Mean: vectorOf(n), Var: vectorOf(n), Eps: 1e-5}
}

// The counts are those of the steps that a script takes, counted by hand.
func TestFusingRoundings(t *testing.T) {
	dense, point := op.Conv{Weight: param(8, 4, 3, 3)}, op.Conv{Weight: param(8, 4, 1, 1)}
	wide := op.Conv{Weight: param(6, 8, 3, 3), Bias: vectorOf(6)}
	for _, test := range []struct {
		name         string
		e            op.Expr
		kernel, bias op.Roundings
	}{
		{"a kernel alone is copied", dense, op.Roundings{}, op.Roundings{}},
		// ε, +, √, 1/ and ·γ, then ·W; and for β − μ·s the product and the difference.
		{"conv, bn", op.Seq{dense, norm(8)}, op.Roundings{Steps: 6}, op.Roundings{Steps: 7}},
		// One addition more for two branches; the bias of a branch likewise.
		{"two branches", op.Sum{op.Seq{dense, norm(8)}, op.Seq{point, norm(8)}}, op.Roundings{Steps: 7}, op.Roundings{Steps: 8}},
		{"only one has a bias", op.Sum{op.Seq{dense, norm(8)}, point}, op.Roundings{Steps: 7}, op.Roundings{Steps: 7}},
		// 8 channels lie between; one tap of the 1×1 meets each tap of the 3×3.
		{"1×1, 3×3", op.Seq{point, wide}, op.Roundings{Steps: 1, Sums: 7}, op.Roundings{}},
		// Nine pairs of taps fall on one; and the constant is summed over 8·9 elements,
		// then the later bias is added.
		{"3×3 with bias, 3×3", op.Seq{dense, norm(8), wide}, op.Roundings{Steps: 7, Sums: 71}, op.Roundings{Steps: 9, Sums: 71}},
		// A factor is one product an element; a constant that is there already is added to.
		{"scale", op.Seq{wide, op.Scale{By: vectorOf(6)}}, op.Roundings{Steps: 1}, op.Roundings{Steps: 1}},
		{"shift", op.Seq{wide, op.Shift{By: vectorOf(1)}}, op.Roundings{}, op.Roundings{Steps: 1}},
		{"shift of nothing", op.Seq{dense, op.Shift{Term: 1}}, op.Roundings{}, op.Roundings{}},
		// Channels are picked, elements moved and zeros put around without arithmetic.
		{"select", op.Seq{wide, op.Select{From: 1, To: 3, Of: 6}}, op.Roundings{}, op.Roundings{}},
		{"shifted", op.Seq{wide, op.Identity{Padding: []int{1, 1}}}, op.Roundings{}, op.Roundings{}},
		{"input added", op.Sum{op.Seq{op.Conv{Weight: param(4, 4, 3, 3)}, norm(4)}, op.Identity{}}, op.Roundings{Steps: 7}, op.Roundings{Steps: 7}},
		// Stacked kernels are not added up; the 1×1 behind them sums over their 16 channels.
		{"concat", op.Concat{op.Seq{dense, norm(8)}, point}, op.Roundings{Steps: 6}, op.Roundings{Steps: 7}},
		{"concat, 1×1", op.Seq{op.Concat{op.Seq{dense, norm(8)}, point}, op.Conv{Weight: param(2, 16, 1, 1)}}, op.Roundings{Steps: 7, Sums: 15}, op.Roundings{Steps: 8, Sums: 15}},
		// Of channels apart, 6 of them reach each input.
		{"channels apart, 1×1", op.Seq{op.Concat{apart(0, 6, kernel(6, 6, 1, 1)), apart(6, 12, kernel(6, 6, 1, 1))}, kernel(2, 12, 1, 1)},
			op.Roundings{Steps: 1, Sums: 5}, op.Roundings{}},
		{"identity is one", op.Seq{op.Identity{}, dense, op.Identity{}}, op.Roundings{}, op.Roundings{}},
		// 1/k², then the product: each tap of the mean meets the 1×1 once.
		{"mean", op.Seq{point, op.AvgPool{Kernel: []int{3, 3}}}, op.Roundings{Steps: 2}, op.Roundings{}},
	} {
		f, err := op.Check(test.e)
		if err != nil {
			t.Fatal(err)
		}
		kernel, bias, err := op.FusingRoundings(test.e, f)
		if err != nil || kernel != test.kernel || bias != test.bias {
			t.Errorf("%s: %+v and %+v (%v), want %+v and %+v", test.name, kernel, bias, err, test.kernel, test.bias)
		}
	}
}

func TestGamma(t *testing.T) {
	r := op.Roundings{Steps: 2, Sums: 6}
	if got, want := r.Gamma(tensor.F32), 8*0x1p-24/(1-8*0x1p-24); got != want {
		t.Errorf("float32: %g, want %g", got, want)
	}
	// Half types round their steps, but sums are accumulated in float32.
	if got, want := r.Gamma(tensor.BF16), 2*0x1p-8+6*0x1p-24; math.Abs(got-want/(1-want)) > 1e-12 {
		t.Errorf("bfloat16: %g, want %g", got, want)
	}
	if got := (op.Roundings{Steps: 300}).Gamma(tensor.BF16); !math.IsInf(got, 1) {
		t.Errorf("300 roundings to 8 bits: %g, want no bound", got)
	}
}
