package conv_test

import (
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"testing"

	"repfuse/internal/conv"
	"repfuse/internal/conv/convtest"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// param is a float32 tensor of the given values.
func param(key string, shape []int, values ...float64) op.Param {
	return op.Param{Key: key, Tensor: tensor.Of(tensor.F32, shape, values)}
}

// filled is a float32 tensor of one value throughout.
func filled(key string, value float64, shape ...int) op.Param {
	v := make([]float64, tensor.Elems(shape))
	for k := range v {
		v[k] = value
	}
	return param(key, shape, v...)
}

// run is what both interpreters make of an image, which must be the same where the
// numbers are small and whole.
func run(t *testing.T, e op.Expr, x conv.Map) []float64 {
	t.Helper()
	y, err := convtest.Run(e, x)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []conv.Options{{}, {Float32: true}} {
		if got := runAll(t, e, x, o); !slices.Equal(got, y.Data) {
			t.Errorf("%s: %+v gives %v, Run %v", e, o, got, y.Data)
		}
	}
	return y.Data
}

func of(t *testing.T, channels int, size []int, values ...float64) conv.Map {
	t.Helper()
	m, err := convtest.Of(channels, size, values)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A bias is seen outside the image by what follows.
func TestMargin(t *testing.T) {
	bias, ones := filled("b", 1, 1), filled("k3", 1, 1, 1, 3, 3)
	first := op.Conv{Weight: filled("k1", 0, 1, 1, 1, 1), Bias: &bias}
	for _, test := range []struct {
		name string
		e    op.Expr
		want []float64
	}{
		{"whole plane", op.Seq{first, op.Conv{Weight: ones}}, []float64{9, 9, 9, 9, 9, 9, 9, 9, 9}},
		{"mean", op.Seq{op.Shift{Term: 2}, op.AvgPool{Kernel: []int{2, 2}}}, []float64{2, 2, 2, 2, 2, 2, 2, 2, 2}},
	} {
		if got := run(t, test.e, of(t, 1, []int{3, 3}, make([]float64, 9)...)); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// Where a tap looks: the centre, an origin, the far side of a dilation; and where a
// transposed one writes.
func TestTaps(t *testing.T) {
	x := of(t, 1, []int{5}, 1, 2, 3, 4, 5)
	w := param("w", []int{1, 1, 2}, 10, 1)
	for _, test := range []struct {
		name string
		e    op.Conv
		want []float64
	}{
		{"even", op.Conv{Weight: w}, []float64{12, 23, 34, 45, 50}},
		{"origin 1", op.Conv{Weight: w, Padding: []int{1}}, []float64{1, 12, 23, 34, 45}},
		{"dilation 2", op.Conv{Weight: w, Dilation: []int{2}}, []float64{2, 13, 24, 35, 40}},
		{"dilation 3", op.Conv{Weight: w, Dilation: []int{3}}, []float64{3, 14, 25, 30, 40}},
		{"far origin", op.Conv{Weight: w, Padding: []int{4}}, []float64{0, 0, 0, 1, 12}},
		{"origin before", op.Conv{Weight: w, Padding: []int{-3}}, []float64{45, 50, 0, 0, 0}},
		{"transposed", op.Conv{Weight: w, Transposed: true}, []float64{10, 21, 32, 43, 54}},
	} {
		if got := run(t, test.e, x); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// A transposed convolution without bias learns its groups from what follows it.
func TestTransposedGroups(t *testing.T) {
	mean, variance := filled("mean", 0, 4), filled("var", 1, 4)
	w := param("w", []int{2, 2, 1, 1}, 1, 2, 3, 4)
	e := op.Seq{op.Conv{Weight: w, Transposed: true}, op.BatchNorm{Mean: &mean, Var: &variance}}
	got := run(t, e, of(t, 2, []int{1, 1}, 1, 10))
	if want := []float64{1, 2, 30, 40}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestBatchNorm(t *testing.T) {
	mean, variance := filled("mean", 3, 1), filled("var", 15, 1)
	gamma, beta := filled("gamma", 2, 1), filled("beta", 7, 1)
	e := op.BatchNorm{Mean: &mean, Var: &variance, Gamma: &gamma, Beta: &beta, Eps: 1}
	if got := run(t, e, of(t, 1, nil, 11)); got[0] != (11-3)/4.*2+7 {
		t.Errorf("%v, want 11", got)
	}
	e.Gamma, e.Beta = nil, nil
	if got := run(t, e, of(t, 1, nil, 11)); got[0] != (11-3)/4. {
		t.Errorf("%v, want 2", got)
	}
}

func TestRandom(t *testing.T) {
	a, b := conv.Random(3, []int{20, 20}, 2, 7), conv.Random(3, []int{20, 20}, 2, 7)
	if !slices.Equal(a.Data, b.Data) {
		t.Error("the same seed gave two images")
	}
	if c := conv.Random(3, []int{20, 20}, 2, 8); slices.Equal(a.Data, c.Data) {
		t.Error("two seeds gave the same image")
	}
	largest := 0.0
	for _, v := range a.Data {
		if v != float64(float32(v)) {
			t.Errorf("%v is not a float32", v)
		}
		largest = max(largest, math.Abs(v))
	}
	if largest > 2 || largest < 1.9 {
		t.Errorf("the largest of 1200 values is %v, want just under 2", largest)
	}
}

// counted is a tensor of zeros that notes the longest piece read of it.
type counted struct{ longest *atomic.Int64 }

func (c counted) ReadAt(p []byte, _ int64) (int, error) {
	for {
		n := c.longest.Load()
		if int64(len(p)) <= n || c.longest.CompareAndSwap(n, int64(len(p))) {
			return len(p), nil
		}
	}
}

func (counted) Close() error { return nil }

// A dense kernel is never read whole: so many of its rows at the most as are computed
// together, which are fewer where they are long.
func TestKernelInPieces(t *testing.T) {
	for _, test := range []struct{ out, in, together int }{{64, 32, 32}, {24, 8192, 8}} {
		var longest atomic.Int64
		w := op.Param{Key: "w", Tensor: tensor.Tensor{Type: tensor.F32, Shape: []int{test.out, test.in, 3, 3},
			Open: func() (tensor.Data, error) { return counted{&longest}, nil }}}
		point := op.Param{Key: "v", Tensor: w.Tensor}
		point.Shape = []int{1, test.out, 1, 1}
		runAll(t, op.Seq{op.Conv{Weight: w}, op.Conv{Weight: point}}, conv.Random(test.in, []int{1, 1}, 1, 1), conv.Options{})
		if row := int64(test.in * 9 * 4); longest.Load() != int64(test.together)*row {
			t.Errorf("%d channels: %d bytes read at once, want %d", test.in, longest.Load(), int64(test.together)*row)
		}
	}
}

func TestErrors(t *testing.T) {
	short := op.Param{Key: "short", Tensor: tensor.FromBytes(tensor.F32, []int{2, 2, 1, 1}, make([]byte, 12))}
	missing := op.Param{Key: "gone", Tensor: tensor.Tensor{Type: tensor.F32, Shape: []int{2, 2, 1, 1},
		Open: func() (tensor.Data, error) { return nil, errors.New("no such file") }}}
	whole := op.Param{Key: "whole", Tensor: tensor.FromBytes(tensor.I64, []int{2, 2, 1, 1}, make([]byte, 32))}
	three := filled("three", 1, 3)
	for _, test := range []struct {
		e    op.Expr
		want string
	}{
		{op.Conv{Weight: short}, "short: the file is shorter than when it was opened"},
		{op.Seq{op.Conv{Weight: short}, op.Conv{Weight: filled("w", 1, 2, 2, 1, 1)}}, "short: the file is shorter than when it was opened"},
		{op.Conv{Weight: missing}, "gone: no such file"},
		{op.Conv{Weight: whole}, "whole: element type int64, want a floating one"},
		{op.Scale{By: &three}, "three has shape [3], want 2 elements or one"},
		{op.Sum{}, "an empty sum"},
		{op.Concat{}, "an empty concatenation"},
		{op.Seq{}, "an empty sequence"},
		{op.Sum{op.Identity{}, op.Conv{Weight: filled("w", 1, 1, 2, 1, 1)}}, "conv(w 1×2×1×1) gives 1 channels, want 2 as x gives"},
	} {
		x := conv.Random(2, []int{3, 3}, 1, 1)
		if _, err := convtest.Run(test.e, x); err == nil || err.Error() != test.want {
			t.Errorf("Run: %v, want %s", err, test.want)
		}
		r, err := newRunner(test.e, x, conv.Options{})
		if err == nil {
			err = r.Rows(new(conv.Workspace), 0, r.Channels(), make([]float64, r.Channels()*r.Elems()))
			defer r.Close()
		}
		if err == nil || err.Error() != test.want {
			t.Errorf("Runner: %v, want %s", err, test.want)
		}
	}
}

func TestOtherErrors(t *testing.T) {
	x := conv.Random(2, []int{3, 3}, 1, 1)
	_, of := convtest.Of(2, []int{3}, make([]float64, 5))
	_, box := convtest.RunOn(op.Identity{}, x, []int{0}, []int{3})
	_, sample := convtest.Sample(x, []int{0, 1}, []int{1, 2}, []int{3, 2})
	r, err := newRunner(op.Identity{}, x, conv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{of, "5 values for a map of 2×[3], want 6"},
		{box, "a box of 1 axes, want 2 as the image has"},
		{sample, "axis 1: elements 1 to 3, want some from 0 to 2"},
		{r.Rows(new(conv.Workspace), 1, 3, make([]float64, 18)), "channels 1 to 3 of 2 into 18 places"},
		{r.Rows(new(conv.Workspace), 0, 2, make([]float64, 17)), "channels 0 to 2 of 2 into 17 places"},
	} {
		if test.err == nil || test.err.Error() != test.want {
			t.Errorf("%v, want %s", test.err, test.want)
		}
	}
}
