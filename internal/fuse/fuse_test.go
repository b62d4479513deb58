package fuse

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/op/optest"
	"repfuse/internal/tensor"
)

var types = []tensor.Type{tensor.F32, tensor.F16, tensor.BF16, tensor.F64}

// checkTruth collapses e and compares every stored element with the real value: at
// most 0.501 ulp away, which is the design's promise. An element that overflows its
// type must be reported.
func checkTruth(t *testing.T, e op.Expr, typ tensor.Type) {
	t.Helper()
	form, err := op.Check(e)
	if err != nil {
		t.Fatalf("%s: %v", e, err)
	}
	p := truth(t, op.AtStride1(e, form.Rank()), form.In, form.Rank())
	want := p.stored(form)
	all := []*big.Float{}
	for _, m := range p.coef {
		all = append(all, m...)
	}
	if nonzero(all) != nonzero(want) {
		t.Fatalf("%s: the form leaves out coefficients of the polynomial", e)
	}
	c, err := Collapse(e, typ)
	var over *OverflowError
	if errors.As(err, &over) {
		checkOverflow(t, e, typ, append(want, p.bias...))
		return
	}
	if err != nil {
		t.Fatalf("%s as %s: %v", e, typ, err)
	}
	compare(t, e, "kernel", c.Weight, want, 0.501)
	if c.Bias != nil {
		compare(t, e, "bias", *c.Bias, p.bias, 0.501)
	} else {
		for _, v := range p.bias {
			if v.Sign() != 0 {
				t.Fatalf("%s: bias %v is missing", e, v)
			}
		}
	}
}

func nonzero(v []*big.Float) int {
	n := 0
	for _, x := range v {
		if x.Sign() != 0 {
			n++
		}
	}
	return n
}

func checkOverflow(t *testing.T, e op.Expr, typ tensor.Type, want []*big.Float) {
	t.Helper()
	for _, v := range want {
		if x, _ := v.Float64(); math.Abs(x) > tensor.Max(typ) {
			return
		}
	}
	t.Fatalf("%s as %s: an overflow is reported, and there is none", e, typ)
}

func compare(t *testing.T, e op.Expr, what string, got op.Param, want []*big.Float, limit float64) {
	t.Helper()
	v, err := got.Floats()
	if err != nil {
		t.Fatal(err)
	}
	if len(v) != len(want) {
		t.Fatalf("%s: %d elements of the %s, want %d", e, len(v), what, len(want))
	}
	for i, x := range v {
		r, _ := want[i].Float64()
		off, ulp := zero().Sub(num(x), want[i]), num(tensor.Ulp(r, got.Type)) // which a float64 may not hold
		if off.Quo(off, ulp); off.Abs(off).Cmp(num(limit)) > 0 {
			t.Fatalf("%s as %s: element %d of the %s is %g, want %g: off by %.4g ulp", e, got.Type, i, what, x, r, off)
		}
	}
}

// bothLayouts runs a test with narrow rows as they are done, and as wide ones are.
func bothLayouts(t *testing.T, test func(t *testing.T)) {
	usual := narrow
	defer func() { narrow = usual }()
	for _, narrow = range []int{usual, 0} {
		t.Run(fmt.Sprint("narrow below ", narrow), test)
	}
}

func TestRandomExpressions(t *testing.T) {
	bothLayouts(t, func(t *testing.T) {
		for seed := range uint64(1500) {
			e := optest.Random(seed, optest.Options{Rank: -1})
			typ := types[seed%4]
			checkTruth(t, e, typ)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	})
}

func TestTransposed(t *testing.T) {
	bothLayouts(t, func(t *testing.T) {
		for seed := range uint64(200) {
			checkTruth(t, optest.Transposed(seed, optest.Options{Rank: int(seed % 4)}), types[seed%3])
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	})
}

func param(key string, t tensor.Type, shape []int, v ...float64) *op.Param {
	return &op.Param{Key: key, Tensor: tensor.Of(t, shape, v)}
}

func normal(r *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return v
}

func randomBN(r *rand.Rand, key string, n int) op.BatchNorm {
	vari := normal(r, n)
	for i := range vari {
		vari[i] = math.Abs(vari[i]) + 0.1
	}
	return op.BatchNorm{
		Gamma: param(key+".weight", tensor.F32, []int{n}, normal(r, n)...),
		Beta:  param(key+".bias", tensor.F32, []int{n}, normal(r, n)...),
		Mean:  param(key+".running_mean", tensor.F32, []int{n}, normal(r, n)...),
		Var:   param(key+".running_var", tensor.F32, []int{n}, vari...),
		Eps:   1e-5,
	}
}

// cancelling is a 3×3 and a 1×1, both with a batch norm, whose centre taps cancel to
// about 2⁻ᵈ of their magnitude.
func cancelling(r *rand.Rand, n int, d int) op.Expr {
	w3, w1 := normal(r, n*n*9), make([]float64, n*n)
	bn3, bn1 := randomBN(r, "bn3", n), randomBN(r, "bn1", n)
	s3, s1 := scales(bn3, n), scales(bn1, n)
	for i := range w1 {
		w3[i*9+4] = float64(float32(w3[i*9+4]))
		w1[i] = -w3[i*9+4] * s3[i/n] / s1[i/n] * (1 + math.Ldexp(r.Float64(), -d))
	}
	return op.Sum{
		op.Seq{op.Conv{Weight: *param("w3", tensor.F32, []int{n, n, 3, 3}, w3...)}, bn3},
		op.Seq{op.Conv{Weight: *param("w1", tensor.F64, []int{n, n, 1, 1}, w1...)}, bn1},
	}
}

func scales(b op.BatchNorm, n int) []float64 {
	gamma, _ := b.Gamma.Floats()
	vari, _ := b.Var.Floats()
	s := make([]float64, n)
	for c := range s {
		s[c] = gamma[c] / math.Sqrt(vari[c]+b.Eps)
	}
	return s
}

func TestCancellation(t *testing.T) {
	bothLayouts(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, d := range []int{10, 20, 40, 52} {
			for _, typ := range types {
				e := cancelling(r, 8, d)
				checkTruth(t, e, typ)
				// and through a product of matrices
				w := param("w", tensor.F32, []int{5, 8, 1, 1}, normal(r, 40)...)
				checkTruth(t, op.Seq{op.Conv{Weight: *w}, randomBN(r, "bn", 5), param1x1(r, 8, 5), e}, typ)
			}
		}
	})
}

func param1x1(r *rand.Rand, out, in int) op.Conv {
	return op.Conv{Weight: *param("p", tensor.F32, []int{out, in, 1, 1}, normal(r, out*in)...)}
}

// TestDeepCancellation reaches the third arithmetic: s·w − s'·w' where both are the
// same real number, told by no double-double.
func TestDeepCancellation(t *testing.T) {
	v := param("var", tensor.F64, []int{1}, 3)
	v4 := param("var4", tensor.F64, []int{1}, 12)
	mean := param("mean", tensor.F64, []int{1}, 0)
	w := func(x float64) op.Conv { return op.Conv{Weight: *param("w", tensor.F64, []int{1, 1}, x)} }
	tiny := op.Scale{Factor: 0x1p-80}
	e := op.Sum{
		op.Seq{w(0.3), op.BatchNorm{Mean: mean, Var: v}},
		op.Seq{w(-0.6), op.BatchNorm{Mean: mean, Var: v4}},
		op.Seq{w(0.7), tiny},
	}
	for _, typ := range types {
		checkTruth(t, e, typ)
	}
}

// TestTies adds what leaves an element next to a tie of the output type, or on it.
func TestTies(t *testing.T) {
	for _, typ := range []tensor.Type{tensor.F32, tensor.F16, tensor.BF16} {
		half := tensor.Ulp(1, typ) / 2
		for _, nudge := range []float64{0, 0x1p-52, -0x1p-53, 0x1p-70, -0x1p-70, 0x1p-100, -0x1p-100} {
			for _, odd := range []float64{0, 2} {
				w := func(x float64) op.Conv { return op.Conv{Weight: *param("w", tensor.F64, []int{1, 1}, x)} }
				e := op.Sum{w(1 + odd*half), w(half), op.Scale{Factor: nudge}}
				if nudge == 0 {
					e = e[:2]
				}
				checkTruth(t, e, typ)
				// a product of matrices is rounded correctly, however near the tie
				e = op.Sum{summed(1+odd*half, half, nudge)}
				c, err := Collapse(e, typ)
				if err != nil {
					t.Fatal(err)
				}
				compare(t, e, "kernel", c.Weight, truth(t, e, 1, 0).at(nil), 0.5)
			}
		}
	}
}

// summed is a product of matrices that adds up the values.
func summed(v ...float64) op.Expr {
	ones := make([]float64, len(v))
	for i := range ones {
		ones[i] = 1
	}
	return op.Seq{
		op.Conv{Weight: *param("v", tensor.F64, []int{len(v), 1}, v...)},
		op.Conv{Weight: *param("ones", tensor.F32, []int{1, len(v)}, ones...)},
	}
}

// TestBlocks: the bytes of a row are the same whatever block it is computed in.
func TestBlocks(t *testing.T) {
	bothLayouts(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for seed := range uint64(300) {
			e := optest.Random(seed, optest.Options{Rank: int(seed % 3), Channels: 9, Mild: true})
			f, err := New(e, types[seed%4])
			if err != nil {
				t.Fatal(err)
			}
			whole, parts := bytes.Repeat([]byte{0xa5}, f.Rows()*f.RowBytes()), []byte{}
			w := f.NewWorker(new(Workspace))
			if _, err := w.Kernel(whole, 0, f.Rows()); err != nil {
				t.Fatalf("seed %d: %s: %v", seed, e, err)
			}
			f.tileRows = 1 + r.IntN(3)
			for a := 0; a < f.Rows(); {
				b := min(f.Rows(), a+1+r.IntN(4))
				part := bytes.Repeat([]byte{0x5a}, (b-a)*f.RowBytes())
				if _, err := w.Kernel(part, a, b); err != nil {
					t.Fatal(err)
				}
				parts, a = append(parts, part...), b
			}
			if !bytes.Equal(whole, parts) {
				t.Fatalf("seed %d: %s: other bytes when computed %d rows at a time", seed, e, f.tileRows)
			}
			w.Close()
		}
	})
}

// TestReals: the values before rounding are within their bound of the real ones.
func TestReals(t *testing.T) {
	bothLayouts(t, func(t *testing.T) {
		for seed := range uint64(400) {
			checkReals(t, optest.Random(seed, optest.Options{Rank: int(seed % 3)}), types[seed%4])
		}
		// What cancels is computed in more digits than the two float64 that it is handed on in have.
		w := func(x float64) op.Conv { return op.Conv{Weight: *param("w", tensor.F64, []int{1, 1}, x)} }
		e := op.Sum{w(0x1p120), w(-0x1p120)}
		for k := range 4 {
			e = append(e, op.Seq{w(math.Pi), op.Scale{Factor: math.Ldexp(math.E, -60*k)}})
			for _, typ := range types {
				checkReals(t, e, typ)
			}
		}
	})
}

func checkReals(t *testing.T, e op.Expr, typ tensor.Type) {
	t.Helper()
	f, err := New(e, typ)
	if err != nil {
		t.Fatal(err)
	}
	want := truth(t, op.AtStride1(e, f.Form.Rank()), f.Form.In, f.Form.Rank()).stored(f.Form)
	hi, lo, bound := make([]float64, len(want)), make([]float64, len(want)), make([]float64, len(want))
	w := f.NewWorker(new(Workspace))
	defer w.Close()
	if err := w.Reals(hi, lo, bound, 0, f.Rows()); err != nil {
		t.Fatalf("%s: %v", e, err)
	}
	for i, v := range want {
		off := zero().Sub(v, num(hi[i]))
		got, _ := off.Sub(off, num(lo[i])).Float64()
		if math.Abs(got) > bound[i] {
			t.Fatalf("%s as %s: element %d is %g+%g, off by %g, want at most %g", e, f.Type, i, hi[i], lo[i], got, bound[i])
		}
	}
}

// TestDifferentWindows: two rows touch the same channels of one part of a
// concatenation, though the tile that the whole goes to begins at different ones.
func TestDifferentWindows(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 13))
	conv := func(key string, shape ...int) op.Expr { return randomConv(r, key, shape...) }
	e := op.Seq{
		conv("first", 4, 4),
		op.Concat{op.Seq{conv("b1", 4, 2), conv("b2", 6, 2)}, op.Select{From: 0, To: 1, Of: 4}},
		op.Select{From: 3, To: 7, Of: 7},
		conv("last", 2, 2),
	}
	for _, typ := range types {
		checkTruth(t, e, typ)
	}
}

func TestErrors(t *testing.T) {
	conv := op.Conv{Weight: *param("w", tensor.F32, []int{1, 2, 1, 1}, 1, 2)}
	bn := func(mean, vari, eps float64) op.BatchNorm {
		return op.BatchNorm{Mean: param("mean", tensor.F32, []int{1}, mean), Var: param("var", tensor.F32, []int{1}, vari), Eps: eps}
	}
	for _, test := range []struct {
		name string
		e    op.Expr
		typ  tensor.Type
		want string
	}{
		{"NaN in a kernel", op.Conv{Weight: *param("w", tensor.F32, []int{1, 2, 1, 1}, 1, math.NaN())}, tensor.F32, "w[1] is NaN, want a finite number"},
		{"infinity before a product", op.Seq{op.Conv{Weight: *param("v", tensor.F32, []int{2, 1, 1, 1}, 1, math.Inf(1))}, conv}, tensor.F32, "v[1] is +Inf, want a finite number"},
		{"NaN in a vector", op.Seq{conv, bn(math.NaN(), 1, 1)}, tensor.F32, "mean[0] is NaN, want a finite number"},
		{"negative variance", op.Seq{conv, bn(0, -1, 2)}, tensor.F32, "var[0] is -1, want a variance of at least 0"},
		{"no variance, no ε", op.Seq{conv, bn(0, 0, 0)}, tensor.F32, "var[0] is 0 and ε 0, want a sum above 0"},
		{"overflow", op.Seq{conv, op.Scale{Factor: 1e5}}, tensor.F16, "kernel of channel 0: 100000 is beyond float16, want at most 65504"},
		{"overflow of the bias", op.Seq{conv, op.Shift{Term: 1e39}}, tensor.F32, "bias of channel 0: 1e+39 is beyond float32, want at most 3.4028234663852886e+38"},
		{"constant before a transposed kernel", op.Seq{op.Shift{Term: 1}, op.Conv{Transposed: true, Weight: *param("w", tensor.F32, []int{1, 1, 2, 2}, 1, 2, 3, 4)}}, tensor.F32,
			"shift(1) before a transposed convolution: a constant does not reach all its outputs alike"},
	} {
		_, err := Collapse(test.e, test.typ)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s: error %v, want %s", test.name, err, test.want)
		}
	}
	_, err := New(conv, tensor.I64)
	if err == nil || !strings.Contains(err.Error(), "int64") {
		t.Errorf("an integer kernel: error %v", err)
	}
}

// TestSmall counts what becomes subnormal or zero.
func TestSmall(t *testing.T) {
	e := op.Conv{Weight: *param("w", tensor.F32, []int{1, 4, 1, 1}, 0, 1, 0x1p-15, 0x1p-40)}
	f, err := New(e, tensor.F16)
	if err != nil {
		t.Fatal(err)
	}
	w := f.NewWorker(new(Workspace))
	defer w.Close()
	if small, err := w.Kernel(make([]byte, 8), 0, 1); err != nil || small != 2 {
		t.Errorf("%d small elements, %v, want 2", small, err)
	}
}
