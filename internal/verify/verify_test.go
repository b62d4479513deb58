package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/golden"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
	"repfuse/internal/verify"
)

// one is a plan of one block.
func one(t *testing.T, e op.Expr) *plan.Plan {
	t.Helper()
	f, err := op.Check(e)
	if err != nil {
		t.Fatal(err)
	}
	return &plan.Plan{
		Blocks: []plan.Block{{Outputs: []plan.Output{{Weight: "w", Expr: e, Form: f}}}},
		Fates:  []plan.Fate{{Fate: plan.Fused, Block: 0}},
	}
}

// scaled is a plan of a 1×1 kernel of one element that is 2, and what the result holds
// in its place.
func scaled(t *testing.T, stored float64) (*plan.Plan, []tensor.Named) {
	shape := []int{1, 1, 1, 1}
	e := op.Conv{Weight: op.Param{Key: "k", Tensor: tensor.Of(tensor.F32, shape, []float64{2})}}
	return one(t, e), []tensor.Named{{Key: "w", Tensor: tensor.Of(tensor.F32, shape, []float64{stored})}}
}

// |a−b| ≤ atol + rtol·|b| decides where it is asked for, element by element, with
// PyTorch's value for the one that was not given.
func TestRequestedTolerance(t *testing.T) {
	number := func(v float64) *float64 { return &v }
	const off = 2 * (1 + 1e-3) // outputs are off by a thousandth
	for _, test := range []struct {
		name       string
		stored     float64
		atol, rtol *float64
		want       bool
	}{
		{"derived", off, nil, nil, false},
		{"relative", off, number(0), number(1.1e-3), true},
		{"not enough", off, number(0), number(0.9e-3), false},
		{"absolute", off, number(2.1e-3), number(0), true},
		{"atol by default", 2 * (1 + 4e-6), nil, number(0), true}, // up to 8e-6 off, 1e-5 is allowed
		{"rtol by default", 2 * (1 + 1e-6), number(0), nil, true}, // 1.3e-6 is allowed
		{"more than rtol by default", 2 * (1 + 2e-6), number(0), nil, false},
		{"nothing", math.Nextafter(2, 3), number(0), number(0), true}, // rounded away in storing
	} {
		p, dst := scaled(t, test.stored)
		r := run(t, p, dst, verify.Options{Atol: test.atol, Rtol: test.rtol})
		if r.Passed != test.want {
			t.Errorf("%s: passed is %t, want %t: %+v", test.name, r.Passed, test.want, r.Blocks[0])
		}
		if rule := r.Blocks[0].Tolerance.Rule; (rule == verify.Requested) != (test.atol != nil || test.rtol != nil) {
			t.Errorf("%s: decided by the %s rule", test.name, rule)
		}
	}
}

// The derived tolerance is that of the formula at the head of tolerance.go, worked out by
// hand: a lone kernel of one element is stored with half an ulp, and computed without rounding.
func TestDerivedTolerance(t *testing.T) {
	for typ, u := range map[tensor.Type]float64{tensor.F32: 0x1p-24, tensor.F16: 0x1p-11, tensor.BF16: 0x1p-8} {
		shape := []int{1, 1, 1, 1}
		e := op.Conv{Weight: op.Param{Key: "k", Tensor: tensor.Of(typ, shape, []float64{2})}}
		off := tensor.Of(typ, shape, []float64{2 + 4*u}) // the next number after 2
		r := run(t, one(t, e), []tensor.Named{{Key: "w", Tensor: off}}, verify.Options{Range: 3})
		tol := r.Blocks[0].Tolerance
		// R·|w|·u; what half an ulp of the smallest number adds is far below the ten digits.
		if want := 3 * (2 + 4*u) * u; math.Abs(tol.Rounding/want-1) > 1e-10 && typ == tensor.F32 || math.Abs(tol.Rounding/want-1) > 1e-2 {
			t.Errorf("%s: rounding %g, want %g", typ, tol.Rounding, want)
		}
		if tol.Arithmetic != 0 {
			t.Errorf("%s: arithmetic %g, want none of a kernel that is copied", typ, tol.Arithmetic)
		}
		// Two runs, each of a product and of at most a few roundings of 2⁻⁵³ of 6 and some.
		if least, most := 2*6*0x1p-53, 10*2*6.1*0x1p-53; !(tol.Slack >= least && tol.Slack <= most) {
			t.Errorf("%s: slack %g, want %g to %g", typ, tol.Slack, least, most)
		}
		if sum := tol.Rounding + tol.Arithmetic + tol.Slack; math.Abs(tol.Value/sum-1) > 1e-5 { // 2⁻²⁰ is for the sum
			t.Errorf("%s: tolerance %g, want the sum of its parts %g", typ, tol.Value, sum)
		}
		if r.Passed {
			t.Errorf("%s: a kernel that is an ulp off passed: %+v", typ, tol)
		}
	}
}

// Half an ulp of the smallest number is allowed for each element that R multiplies, and the bias.
func TestLeastTolerance(t *testing.T) {
	shape := []int{1, 4, 1, 1}
	for typ, half := range map[tensor.Type]float64{tensor.F32: 0x1p-150, tensor.F16: 0x1p-25, tensor.BF16: 0x1p-134} {
		zero := tensor.Of(typ, shape, make([]float64, 4))
		r := run(t, one(t, op.Conv{Weight: op.Param{Key: "k", Tensor: zero}}), []tensor.Named{{Key: "w", Tensor: zero}}, verify.Options{Range: 3})
		if got, want := r.Blocks[0].Tolerance.Rounding, half*(3*4+1); got != want {
			t.Errorf("%s: rounding %g, want %g", typ, got, want)
		}
	}
}

// With a batch norm, n is seven: ε, +, √, 1/, ·γ for the scale, and for the bias a product and
// a difference more.
func TestDerivedArithmetic(t *testing.T) {
	vec := func(v float64) *op.Param {
		return &op.Param{Key: "v", Tensor: tensor.Of(tensor.F32, []int{1}, []float64{v})}
	}
	k := op.Param{Key: "k", Tensor: tensor.Of(tensor.F32, []int{1, 1, 1, 1}, []float64{-2})}
	e := op.Seq{op.Conv{Weight: k}, op.BatchNorm{Mean: vec(-3), Var: vec(3), Gamma: vec(-4), Beta: vec(5), Eps: 1}}
	p := one(t, e)
	p.Blocks[0].Outputs[0].Bias = "b"
	dst := []tensor.Named{{Key: "w", Tensor: tensor.Of(tensor.F32, []int{1, 1, 1, 1}, []float64{4})}, {Key: "b", Tensor: vec(-1).Tensor}}
	tol := run(t, p, dst, verify.Options{}).Blocks[0].Tolerance
	const n, u, terms = 7, 0x1p-24, (2+3)*4/2. + 5 // (|w| + |μ|)·|γ|/√(σ²+ε) + |β|
	if want := n * u / (1 - n*u) * terms; math.Abs(tol.Arithmetic/want-1) > 1e-12 || tol.Terms != terms {
		t.Errorf("arithmetic %g of terms %g, want %g of %g", tol.Arithmetic, tol.Terms, want, terms)
	}
}

// What is measured is the difference of the two forms where the report says it is.
func TestMeasured(t *testing.T) {
	p, dst := scaled(t, 3)
	b := run(t, p, dst, verify.Options{Size: []int{5, 7}, Range: 4, Trials: 3}).Blocks[0]
	l := b.Largest
	if x := l.Branches / 2; l.Difference != math.Abs(x) || l.Fused != 3*x || math.Abs(x) > 4 || math.Abs(x) < 3 {
		t.Errorf("largest %+v, want the largest x of 105", l)
	}
	if b.Elements != 3*5*7 || b.Relative != 0.5 || b.Mean < 1 || b.Mean > 3 {
		t.Errorf("%d elements, relative %g, mean %g, want 105, 0.5 and some 2", b.Elements, b.Relative, b.Mean)
	}
	// An output near zero has no part in what is relative.
	at := []tensor.Named{{Key: "w", Tensor: tensor.Of(tensor.F32, []int{1, 1, 1, 1}, []float64{2})}, {Key: "b", Tensor: tensor.Of(tensor.F32, []int{1}, []float64{0.5})}}
	p.Blocks[0].Outputs[0].Bias = "b"
	if b := run(t, p, at, verify.Options{Size: []int{5, 7}, Range: 4, Trials: 3}).Blocks[0]; b.Relative < 0.5/8 || b.Relative > 0.5/6 {
		t.Errorf("relative %g, want 0.5 of an output between 6 and 8", b.Relative)
	}
	if b.Before.MultiplyAdds != 1 || b.Before.Bytes != 4 || b.After.Seconds <= 0 || b.Before.Seconds <= 0 {
		t.Errorf("costs %+v and %+v", b.Before, b.After)
	}
}

// Multiply-adds and bytes are those of the operators, for one output position.
func TestCost(t *testing.T) {
	filled := func(shape ...int) op.Param {
		v := make([]float64, tensor.Elems(shape))
		for k := range v {
			v[k] = 1
		}
		return op.Param{Key: "k", Tensor: tensor.Of(tensor.F32, shape, v)}
	}
	vec := func(n int) *op.Param { p := filled(n); return &p }
	norm := op.BatchNorm{Gamma: vec(6), Beta: vec(6), Mean: vec(6), Var: vec(6), Eps: 1e-5}
	e := op.Sum{
		op.Seq{op.Conv{Weight: filled(6, 4, 3, 3), Groups: 1}, norm},                            // 216 + 6
		op.Seq{op.AvgPool{Kernel: []int{3, 3}}, op.Conv{Weight: filled(6, 2, 1, 1), Groups: 2}}, // 36 + 12
		op.Concat{op.Conv{Weight: filled(2, 4, 1, 1)}, op.Conv{Weight: filled(4, 4, 1, 1)}},     // 8 + 16
	}
	p := one(t, e)
	p.Blocks[0].Outputs[0].Bias = "b"
	dst := []tensor.Named{{Key: "w", Tensor: filled(6, 4, 3, 3).Tensor}, {Key: "b", Tensor: vec(6).Tensor}}
	b := run(t, p, dst, verify.Options{}).Blocks[0]
	if want := int64(216 + 6 + 36 + 12 + 8 + 16); b.Before.MultiplyAdds != want || b.After.MultiplyAdds != 216 {
		t.Errorf("%d and %d multiply-adds, want %d and 216", b.Before.MultiplyAdds, b.After.MultiplyAdds, want)
	}
	if want := int64(4 * (216 + 24 + 12 + 8 + 16)); b.Before.Bytes != want || b.After.Bytes != 4*222 {
		t.Errorf("%d and %d bytes, want %d and %d", b.Before.Bytes, b.After.Bytes, want, 4*222)
	}
}

func TestSize(t *testing.T) {
	for _, test := range []struct {
		kernel, asked, want []int
	}{
		{[]int{3, 3}, nil, []int{14, 14}},
		{[]int{31, 3}, nil, []int{32, 14}},
		{[]int{3, 3, 3}, nil, []int{8, 8, 8}},
		{nil, nil, []int{}},
		{[]int{3}, []int{5}, []int{5}},
		{[]int{3, 3}, []int{5}, []int{5, 5}},
		{[]int{3, 3}, []int{2, 9}, []int{2, 9}},
		{[]int{3, 3, 3}, []int{2, 9}, nil},
		{[]int{3, 3}, []int{2, 9, 4}, nil},
		{[]int{3}, []int{2, 9}, nil},
	} {
		shape := append([]int{1, 1}, test.kernel...)
		zeros := tensor.Of(tensor.F32, shape, make([]float64, tensor.Elems(shape)))
		p := one(t, op.Conv{Weight: op.Param{Key: "k", Tensor: zeros}})
		dst, o := []tensor.Named{{Key: "w", Tensor: zeros}}, verify.Options{Size: test.asked}
		if test.want == nil {
			if _, err := verify.Run(t.Context(), p, dst, o); err == nil || !strings.Contains(err.Error(), "want one number") {
				t.Errorf("kernel %v, asked for %v: %v, want an error", test.kernel, test.asked, err)
			}
			continue
		}
		b := run(t, p, dst, o).Blocks[0]
		if !slices.Equal(b.Size, test.want) {
			t.Errorf("kernel %v, asked for %v: size %v, want %v", test.kernel, test.asked, b.Size, test.want)
		}
	}
}

// The same seed gives the same report whatever the number of goroutines, but for
// times; another seed gives another.
func TestRepeats(t *testing.T) {
	p, err := planOf(t, golden.Load(t, "repvgg-block-s1"))
	if err != nil {
		t.Fatal(err)
	}
	dst := fused(t, p, tensor.F32)
	report := func(o verify.Options) *verify.Report {
		r := run(t, p, dst, o)
		r.Before.Seconds, r.After.Seconds = 0, 0
		for k := range r.Blocks {
			r.Blocks[k].Before.Seconds, r.Blocks[k].After.Seconds = 0, 0
		}
		return r
	}
	first := report(verify.Options{Seed: 1, Jobs: 1, Health: true})
	if again := report(verify.Options{Seed: 1, Jobs: 4, Health: true}); !reflect.DeepEqual(first, again) {
		t.Errorf("%+v, want %+v", again, first)
	}
	if other := report(verify.Options{Seed: 2}); other.Blocks[0].Largest.Difference == first.Blocks[0].Largest.Difference {
		t.Error("another seed gives the same difference")
	}
	if h := first.Blocks[0].Health; h == nil || h.SNR.Float16 < 60 {
		t.Errorf("health %+v", h)
	}
}

// A report is JSON whatever was stored.
func TestReportIsJSON(t *testing.T) {
	for _, stored := range []float64{2, math.MaxFloat32, math.Inf(1), math.NaN()} {
		p, dst := scaled(t, stored)
		r := run(t, p, dst, verify.Options{})
		if _, err := json.Marshal(r); err != nil {
			t.Errorf("%g stored: %v", stored, err)
		}
		if r.Passed != (stored == 2) {
			t.Errorf("%g stored: passed is %t", stored, r.Passed)
		}
	}
}

func TestRefused(t *testing.T) {
	p, dst := scaled(t, 2)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := verify.Run(ended, p, dst, verify.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after the end of the context", err)
	}
	for _, o := range []verify.Options{{Range: -1}, {Range: math.Inf(1)}, {Range: math.NaN()}, {Size: []int{0}}} {
		if r, err := verify.Run(context.Background(), p, dst, o); err == nil {
			t.Errorf("%+v: %+v, want an error", o, r)
		}
	}
	shape := []int{1, 1}
	bad := op.Conv{Weight: op.Param{Key: "k", Tensor: tensor.Of(tensor.F32, shape, []float64{math.NaN()})}}
	dst = []tensor.Named{{Key: "w", Tensor: tensor.Of(tensor.F32, shape, []float64{1})}}
	const want = "w: k[0 0] is NaN, want a finite number"
	if _, err := verify.Run(context.Background(), one(t, bad), dst, verify.Options{}); err == nil || err.Error() != want {
		t.Errorf("a NaN in a branch: %v, want %s", err, want)
	}
}
