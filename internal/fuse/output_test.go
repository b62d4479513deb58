package fuse

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

func single(t tensor.Type, shape []int, v ...float64) op.Conv {
	return op.Conv{Weight: *param("w", t, shape, v...)}
}

// TestWideRows: rows of more than one stretch of the first cache, stored in every type
// as every other, a 1×1 added to their centre taps.
func TestWideRows(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 21))
	const out, in = 2, 500
	for _, from := range types {
		for _, to := range types {
			conv := func(key string, k int) op.Expr {
				v := normal(r, out*in*k*k)
				return op.Conv{Weight: *param(key, from, []int{out, in, k, k}, v...)}
			}
			e := op.Sum{op.Seq{conv("3x3", 3), randomBN(r, "bn3", out)}, op.Seq{conv("1x1", 1), randomBN(r, "bn1", out)}}
			checkTruth(t, e, to)
		}
	}
}

// TestOverflow: the first element that is too large is named, whatever way it was made;
// an element of a stored kernel that is no number is named before all.
func TestOverflow(t *testing.T) {
	bothLayouts(t, func(t *testing.T) {
		const f16, f32, f64 = tensor.F16, tensor.F32, tensor.F64
		nan, one, big := math.NaN(), []int{1, 1, 1}, make([]float64, 6000)
		big[0], big[5000] = 70000, 80000
		transposed := single(f32, []int{1, 3, 1}, 1, 1, 70000)
		transposed.Transposed = true
		cancel := single(f32, []int{1, 2, 3}, nan, 1, 2, 1, -1, -2)
		near := op.BatchNorm{Mean: param("m", f64, []int{1}, 0), Var: param("v", f64, []int{1}, 0.7630278851283417), Eps: 1e-5}
		for _, test := range []struct {
			name string
			e    op.Expr
			typ  tensor.Type
			want string
		}{
			{"of a whole row", single(f32, []int{3, 1, 1}, 1, 1, 70000), f16, "kernel of channel 2: 70000 is beyond float16, want at most 65504"},
			{"of a long row", single(f32, []int{1, 6000, 1}, big...), f16, "kernel of channel 0: 70000 is beyond float16, want at most 65504"},
			{"of a strip", op.Seq{op.Scale{Factor: 2}, single(f32, []int{2, 1, 1}, 1, 40000)}, f16, "kernel of channel 1: 80000 is beyond float16, want at most 65504"},
			{"of a sum", op.Sum{single(f32, []int{2, 1, 1}, 1, 40000), single(f32, []int{2, 1, 1}, 1, 40000)}, f16, "kernel of channel 1: 80000 is beyond float16, want at most 65504"},
			{"of a sum before others", op.Sum{single(f32, []int{1, 1, 3}, 1, 40000, 90000), single(f32, one, 40000)}, f16, "kernel of channel 0: 80000 is beyond float16, want at most 65504"},
			{"of a first term only", op.Sum{single(f32, []int{1, 1, 3}, 1, 70000, 1), single(f32, one, -10000)}, f16, ""},
			{"transposed", transposed, f16, "kernel of channel 2: 70000 is beyond float16, want at most 65504"},
			{"of an exact product", op.Seq{single(f64, one, 1.5703216220358469e308), near}, f64, "kernel of channel 0: +Inf is beyond float64, want at most 1.7976931348623157e+308"},
			{"not a number, in a whole row", single(f32, []int{1, 1, 2}, 1, nan), f16, "w[1] is NaN, want a finite number"},
			{"not a number, in a strip", op.Seq{op.Scale{Factor: 2}, single(f32, []int{1, 1, 2}, 1, nan)}, f32, "w[1] is NaN, want a finite number"},
			{"not a number, beside what cancels", op.Seq{single(f32, []int{2, 1, 1}, 1, 1), cancel}, f32, "w[0] is NaN, want a finite number"},
			{"infinite, in a sum", op.Sum{single(f32, one, 1), single(f32, one, math.Inf(-1))}, f32, "w[0] is -Inf, want a finite number"},
		} {
			f, err := New(test.e, test.typ)
			if err != nil {
				t.Fatal(err)
			}
			for _, rows := range []int{f.Rows(), 1} { // all at once, and each by itself
				w := f.NewWorker(new(Workspace))
				var err error
				for a := 0; a < f.Rows() && err == nil; a += rows {
					_, err = w.Kernel(make([]byte, rows*f.RowBytes()), a, a+rows)
				}
				if got := fmt.Sprint(err); got != test.want && (err != nil || test.want != "") {
					t.Errorf("%s, %d rows at a time: error %v, want %q", test.name, rows, err, test.want)
				}
			}
		}
	})
}

// TestRealsOverflow: what float64 cannot hold is an error there, too.
func TestRealsOverflow(t *testing.T) {
	bothLayouts(t, func(t *testing.T) {
		for _, e := range []op.Expr{
			op.Sum{single(tensor.F64, []int{1, 1, 1}, 1.5e308), single(tensor.F64, []int{1, 1, 1}, 1.5e308)},
			op.Seq{single(tensor.F64, []int{1, 1, 1}, 1.5e308), op.Scale{Factor: 2}},
		} {
			f, err := New(e, tensor.F32)
			if err != nil {
				t.Fatal(err)
			}
			v := make([]float64, 3)
			var over *OverflowError
			if err := f.NewWorker(new(Workspace)).Reals(v[:1], v[1:2], v[2:], 0, 1); !errors.As(err, &over) {
				t.Errorf("%s: error %v, want an overflow", e, err)
			}
		}
	})
}

// TestSmallOnce: every element that becomes subnormal or zero is counted once, whatever
// way it was made, and a zero not at all.
func TestSmallOnce(t *testing.T) {
	bothLayouts(t, func(t *testing.T) {
		const f16, f32, f64 = tensor.F16, tensor.F32, tensor.F64
		one := []int{1, 1, 1}
		long := slices.Repeat([]float64{1}, 6000)
		long[0] = 1e-8
		for _, test := range []struct {
			name string
			e    op.Expr
			typ  tensor.Type
			want int
		}{
			{"two singles of which one is zero, and a sum", op.Sum{single(f32, []int{1, 1, 3}, 1e-8, 1e-8, 0), single(f32, one, 1e-8)}, f16, 2},
			{"a first term only", op.Sum{single(f32, []int{1, 1, 3}, 1, 1e-8, 1), single(f32, one, 1)}, f16, 0},
			{"of a strip", op.Seq{op.Scale{Factor: 2}, single(f32, one, 1e-8)}, f16, 1},
			{"the first of a long row", single(f32, []int{1, 6000, 1}, long...), f16, 1},
			{"the first of a long row of the same type", single(f16, []int{1, 6000, 1}, append([]float64{0x1p-20}, long[1:]...)...), f16, 1},
			{"float64", single(f64, one, 1e-310), f64, 1},
			{"what float64 takes for zero", op.Sum{single(f64, one, 1e20), single(f64, one, 1e-8), single(f64, one, -1e20)}, f16, 1},
			{"what float64 takes for -2", op.Sum{single(f64, one, 1<<53), single(f64, one, 1), single(f64, one, 1), single(f64, one, 1e-8), single(f64, one, -1<<53-2)}, f16, 1},
		} {
			f, err := New(test.e, test.typ)
			if err != nil {
				t.Fatal(err)
			}
			w := f.NewWorker(new(Workspace))
			if small, err := w.Kernel(make([]byte, f.RowBytes()), 0, 1); err != nil || small != test.want {
				t.Errorf("%s: %d small elements, %v, want %d", test.name, small, err, test.want)
			}
		}
	})
}
