package conv_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"repfuse/internal/conv"
	"repfuse/internal/conv/convtest"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// Kernels of 3×3 and many channels, for which a Runner has a way of its own: of one group
// and of several, on images of even and odd extents. The error is held to what
// conv.Roundings promises, by kernels whose taps are of very different sizes, too.
func TestManyChannels(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for _, inner := range []int{31, 32, 65, 130} {
		for _, size := range [][]int{{14, 14}, {7, 30}, {1, 1}, {2, 9}, {5, 1}} {
			for _, groups := range []int{1, 2} {
				for _, apart := range []float64{0, 60} {
					out := 10
					if inner == 65 && apart == 0 { // more than are computed together
						out = 86
					}
					w := kernel3x3(r, out, inner, apart)
					bias := param("b", []int{out}, normal(r, out)...)
					for _, origin := range [][]int{{1, 1}, {2, 0}, {-1, 3}} {
						c := op.Conv{Weight: w, Bias: &bias, Groups: groups, Padding: origin}
						wantPromised(t, fmt.Sprint(inner, size, groups, apart, origin), c, conv.Random(inner*groups, size, 3, 1))
					}
				}
			}
		}
	}
}

// What is like such a kernel and has another shape, and such kernels among others: one
// behind the other, and two on the same map.
func TestManyChannelsElsewhere(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	a, b := op.Conv{Weight: kernel3x3(r, 40, 40, 0)}, op.Conv{Weight: kernel3x3(r, 40, 40, 0)}
	point := op.Conv{Weight: param("p", []int{40, 40, 1, 1}, normal(r, 1600)...)}
	dilated, line := a, op.Conv{Weight: param("l", []int{40, 40, 9}, normal(r, 40*40*9)...)}
	dilated.Dilation = []int{2, 1}
	aside := b
	aside.Padding = []int{0, 2}
	for name, e := range map[string]op.Expr{
		"dilated":    dilated,
		"transposed": op.Conv{Weight: a.Weight, Transposed: true, Groups: 1},
		"behind":     op.Seq{a, op.Scale{Factor: 0.01}, b},
		"margin":     op.Seq{point, op.Shift{Term: 1}, b},
		"beside":     op.Sum{a, op.Seq{point, b}, b, aside},
	} {
		t.Run(name, func(t *testing.T) { wantRun(t, e, conv.Random(40, []int{9, 10}, 0.1, 2)) })
	}
	t.Run("line", func(t *testing.T) { wantRun(t, line, conv.Random(40, []int{20}, 0.1, 2)) })
}

// kernel3x3 is a kernel of normal values, each times 2 to a power of up to apart.
func kernel3x3(r *rand.Rand, out, inner int, apart float64) op.Param {
	v := normal(r, out*inner*9)
	for k := range v {
		v[k] *= math.Exp2(apart * r.Float64())
	}
	return param("w", []int{out, inner, 3, 3}, v...)
}

func normal(r *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for k := range v {
		v[k] = r.NormFloat64()
	}
	return v
}

// wantPromised holds Runners to Run: all err by as much as their roundings can make.
func wantPromised(t *testing.T, name string, c op.Conv, x conv.Map) {
	t.Helper()
	want, err := convtest.Run(c, x)
	if err != nil {
		t.Fatal(err)
	}
	w, _ := c.Weight.Floats()
	bias, _ := c.Bias.Floats()
	inner, each := c.Weight.Shape[1], tensor.Elems(x.Size)
	for unit, float32 := range map[float64]bool{0x1p-53: false, 0x1p-24: true} {
		o := conv.Options{Float32: float32, Jobs: 2}
		got := runAll(t, c, x, o)
		bound := float64(conv.Roundings(inner, 9, o))*unit + float64(inner*9+2)*0x1p-53
		for o, b := range bias {
			size := math.Abs(b)
			for _, v := range w[o*inner*9:][:inner*9] {
				size += 3 * math.Abs(v)
			}
			for k := o * each; k < (o+1)*each; k++ {
				if d := math.Abs(got[k] - want.Data[k]); !(d <= bound*size) {
					t.Fatalf("%s, float32 %v: element %d of channel %d is %v, want %v to %g", name, float32, k%each, o, got[k], want.Data[k], bound*size)
				}
			}
		}
	}
}
