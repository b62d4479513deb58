package fuse

import (
	"math"
	"math/rand/v2"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/op/optest"
	"repfuse/internal/tensor"
)

// TestTiny: what leaves float64's range on the way, or is at its lower end, comes out as the oracle has
// it, whose numbers have no such end.
func TestTiny(t *testing.T) {
	scales := func(by ...float64) (s op.Seq) {
		for _, f := range by {
			s = append(s, op.Scale{Factor: f})
		}
		return s
	}
	r := rand.New(rand.NewPCG(1, 1))
	w := func(size float64) op.Expr {
		v := normal(r, 2*3*9)
		for i := range v {
			v[i] *= size
		}
		b := normal(r, 2)
		for i := range b {
			b[i] *= size
		}
		return op.Conv{Weight: *param("w", tensor.F64, []int{2, 3, 3, 3}, v...), Bias: param("b", tensor.F64, []int{2}, b...)}
	}
	mix := func(size float64) op.Expr {
		return op.Conv{Weight: *param("m", tensor.F64, []int{4, 2, 1, 1}, size, -size, size/3, size*7, -size/5, size, size*0.9, size*1.1)}
	}
	norm := op.BatchNorm{Mean: param("mean", tensor.F64, []int{2}, 1e-300, 3), Var: param("var", tensor.F64, []int{2}, 1e10, 1e-12),
		Gamma: param("gamma", tensor.F64, []int{2}, 1e-306, -1e-303), Beta: param("beta", tensor.F64, []int{2}, 3e-310, 0x1p-1073)}
	matrix := func(out, in int, v ...float64) op.Expr {
		return op.Conv{Weight: *param("k", tensor.F64, []int{out, in, 1, 1}, v...)}
	}
	const e, tiny = 0x1p-52, 0x1p-565
	left := op.Seq{op.Scale{Factor: 0x1p665}, matrix(3, 1, tiny*(1+e), tiny, tiny), matrix(3, 3, 1+e, 0, 0, 0, 1, 0, 0, 0, 1),
		matrix(1, 3, 1+e, -1-3*e, -3*e*e)} // 2¹⁰⁰·((1+e)³ − 1 − 3e − 3e²) = 2¹⁰⁰·e³, of which two float64 see nothing
	for _, e := range []op.Expr{
		left, left[1:], append(op.Seq{op.Scale{Factor: 0x1p200}}, left[1:]...),
		append(op.Seq{w(1)}, scales(1e200, 1e200, 1e-200, 1e-200)...), // on the way 1e-400
		append(op.Seq{w(1)}, scales(1e150, 1e-200, 1e-250)...),
		append(scales(1e170, 1e230), w(1e-200), mix(1e-200)), // rows of the kernel are 1e-400 before the factors bring them back
		append(scales(1e170), w(1e-170), mix(1)),             // and squares of these are 0
		w(1e-310), w(0x1p-1073),
		op.Sum{w(1e-308), w(-3e-310), append(op.Seq{w(1)}, scales(1e-170, 1e-140)...)},
		op.Seq{w(1e-160), mix(1e-155)}, op.Seq{w(1e-200), mix(1e-200), op.Scale{Factor: 1e92}},
		append(op.Seq{w(1e-200), mix(1e-200)}, scales(1e200, 1e200)...), // on the way 1e400 for a row, and 1e-400 for an image
		append(op.Seq{w(1)}, scales(1e-200, 1e-200, 1e200, 1e200)...),
		append(op.Seq{w(1)}, scales(1e200, 1e200)...), // which overflows
		op.Seq{op.AvgPool{Kernel: []int{3, 3}}, w(1e-307)},
		op.Seq{w(1), norm}, op.Seq{w(1e100), norm}, op.Sum{op.Seq{w(1e-5), norm}, w(1e-315)},
	} {
		for _, typ := range types {
			checkTruth(t, e, typ)
		}
	}
	for seed := range uint64(150) {
		e := optest.Random(seed, optest.Options{Rank: -1})
		small := math.Ldexp(1+r.Float64(), -980-r.IntN(80))
		checkTruth(t, op.Seq{e, op.Scale{Factor: small}}, types[seed%4])
		checkTruth(t, op.Seq{op.Scale{Factor: 1e-140}, e, op.Scale{Factor: small * 1e140}}, tensor.F64)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
