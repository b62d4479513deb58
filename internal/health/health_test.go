package health_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/health"
	"repfuse/internal/tensor"
)

func measure(t *testing.T, typ tensor.Type, shape []int, v []float64) health.Kernel {
	t.Helper()
	all, err := health.Measure(context.Background(), []tensor.Named{{Key: "k", Tensor: tensor.Of(typ, shape, v)}}, 2)
	if err != nil {
		t.Fatal(err)
	}
	return *all[0]
}

// normal is elements of a normal distribution.
func normal(n int, seed uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, 0))
	v := make([]float64, n)
	for k := range v {
		v[k] = r.NormFloat64()
	}
	return v
}

// Among float16's subnormals the noise is that of storing there.
func TestSubnormals(t *testing.T) {
	v := normal(1000, 6)
	for k := range v {
		v[k] *= 0x1p-17
	}
	got := measure(t, tensor.F64, []int{10, 100}, v)
	wantClose(t, "float16", got.SNR.Float16, stored(v, tensor.F16))
	wantClose(t, "bfloat16", got.SNR.BFloat16, stored(v, tensor.BF16))
}

// The figures are what storing the elements in fact does: of each type, of short rows
// and of such as are read and decoded in several pieces.
func TestMeasureAgainstStoring(t *testing.T) {
	for _, typ := range []tensor.Type{tensor.F64, tensor.F32, tensor.F16, tensor.BF16} {
		for _, shape := range [][]int{{16, 20, 3, 3}, {1000, 1, 3, 3}, {23, 3001}, {3, 40_001}} {
			v := normal(tensor.Elems(shape), 1)
			for k := range 60 {
				v[k*40] *= math.Ldexp(1, -k/3) // some near zero, down to float16's subnormals
			}
			v[77], v[len(v)-1] = 0, 70_000 // above what float16 holds, in most types
			measureAgainstStoring(t, typ, shape, v)
			v[len(v)-1] = 1
			measureAgainstStoring(t, typ, shape, v)
		}
	}
}

func measureAgainstStoring(t *testing.T, typ tensor.Type, shape []int, v []float64) {
	t.Helper()
	v, _ = tensor.Of(typ, shape, v).Floats()
	if slices.ContainsFunc(v, func(x float64) bool { return math.IsInf(x, 0) }) {
		return // stored as float16
	}
	got := measure(t, typ, shape, v)
	wantStored(t, "float16", got.SNR.Float16, v, tensor.F16)
	wantStored(t, "bfloat16", got.SNR.BFloat16, v, tensor.BF16)
	wantClose(t, "int8", got.SNR.Int8Tensor, decibels(v, quantized(v)))
	var byChannel, peaks []float64
	row := len(v) / shape[0]
	for o := range shape[0] {
		of := v[o*row : (o+1)*row]
		byChannel = append(byChannel, quantized(of)...)
		peaks = append(peaks, math.Max(slices.Max(of), -slices.Min(of)))
	}
	wantClose(t, "int8 by channel", got.SNR.Int8Channel, decibels(v, byChannel))
	if a, b := vanish(v, quantized(v)), vanish(v, byChannel); got.Vanish != a || got.VanishChannel != b {
		t.Errorf("%s %v: %g and %g vanish, want %g and %g", typ, shape, got.Vanish, got.VanishChannel, a, b)
	}
	overflow, magnitudes := 0, make([]float64, len(v))
	for k, x := range v {
		magnitudes[k] = math.Abs(x)
		if magnitudes[k] > 65504 {
			overflow++
		}
	}
	slices.Sort(magnitudes)
	if want := magnitudes[len(v)/2]; math.Abs(got.Median-want) > want/200 {
		t.Errorf("%s %v: median %g, want %g to half a percent", typ, shape, got.Median, want)
	}
	if want := magnitudes[len(v)-1] / got.Median; got.Peak != want {
		t.Errorf("%s %v: peak %g, want %g", typ, shape, got.Peak, want)
	}
	if got.Min != slices.Min(v) || got.Max != slices.Max(v) || got.Elements != len(v) || got.Overflow != overflow {
		t.Errorf("%s %v: range %g to %g of %d, %d beyond float16", typ, shape, got.Min, got.Max, got.Elements, got.Overflow)
	}
	if got.Channel != slices.Index(peaks, slices.Max(peaks)) {
		t.Errorf("%s %v: channel %d is the largest", typ, shape, got.Channel)
	}
	if w := got.Warning; typ == tensor.F64 && overflow == 0 && w != "" {
		t.Errorf("%s %v: a normal kernel is warned of: %s", typ, shape, w)
	}
}

// vanish is the share of the elements of v that q has zeros for.
func vanish(v, q []float64) float64 {
	n := 0
	for k, x := range v {
		if x != 0 && q[k] == 0 {
			n++
		}
	}
	return float64(n) / float64(len(v))
}

// wantStored wants the SNR of storing v in an element type, by doing it; where nothing
// is lost by that, or much is cut off, another test says what is wanted.
func wantStored(t *testing.T, what string, got float64, v []float64, typ tensor.Type) {
	t.Helper()
	if want := stored(v, typ); !math.IsInf(want, 0) {
		wantClose(t, what, got, want)
	}
}

// stored is the SNR of v in an element type, by storing it.
func stored(v []float64, typ tensor.Type) float64 {
	q, _ := tensor.Of(typ, []int{len(v)}, v).Floats()
	return decibels(v, q)
}

func quantized(v []float64) []float64 {
	largest := math.Max(slices.Max(v), -slices.Min(v))
	q := make([]float64, len(v))
	for k, x := range v {
		q[k] = math.RoundToEven(x/largest*127) * largest / 127
	}
	return q
}

func decibels(v, q []float64) float64 {
	signal, noise := 0.0, 0.0
	for k, x := range v {
		signal, noise = signal+x*x, noise+(x-q[k])*(x-q[k])
	}
	return 10 * math.Log10(signal/noise)
}

// wantClose allows for a tie that falls the other way: a thousandth of a decibel.
func wantClose(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) < 1e-3) {
		t.Errorf("%s: %g dB, want %g", what, got, want)
	}
}

func TestWarnings(t *testing.T) {
	peaked := normal(64*9, 2)
	peaked[100] = 900 // an identity whose variance is next to nothing
	spread := normal(64*9, 3)
	for k := range 9 {
		spread[k] *= 500
	}
	several := normal(64*9, 4)
	for o := range 64 {
		several[o*9] = 2000
	}
	huge := normal(64*9, 5)
	huge[7] = 1e5
	tiny := normal(64*9, 6)
	for k := range tiny {
		tiny[k] *= 1e-6
	}
	for _, test := range []struct {
		name string
		v    []float64
		want string
	}{
		{"one element of a channel", peaked, "quantize per channel"},
		{"one channel", spread, "quantize per channel"},
		{"an element of each channel", several, "train with quantization"},
		{"below float16", tiny, "take bfloat16"},
		{"beyond float16", huge, "cannot hold 1 of its elements"},
	} {
		k := measure(t, tensor.F32, []int{64, 1, 3, 3}, test.v)
		if w := k.Warning; !strings.Contains(w, test.want) {
			t.Errorf("%s: warning %q, want one with %q (%+v)", test.name, w, test.want, k)
		}
	}
}

func TestNothingLost(t *testing.T) {
	k := measure(t, tensor.F32, []int{2, 2}, []float64{0, 127, -64, 1})
	if k.SNR.Float16 != health.Clean || k.SNR.BFloat16 != health.Clean || k.SNR.Int8Tensor != health.Clean {
		t.Errorf("%+v, want nothing lost", k.SNR)
	}
	if z := measure(t, tensor.F32, []int{2}, []float64{0, 0}); z.Peak != 0 || z.Spread != 0 || z.SNR.Int8Channel != health.Clean {
		t.Errorf("zeros: %+v", z)
	}
	if k := measure(t, tensor.F64, []int{2, 2}, []float64{1e-320, 1e-310, 1, 2}); math.IsNaN(k.SNR.Int8Tensor) || math.IsNaN(k.SNR.Int8Channel) {
		t.Errorf("a row of subnormals: %+v", k.SNR)
	}
}

func TestRefused(t *testing.T) {
	for _, bad := range []tensor.Tensor{
		tensor.Of(tensor.F32, []int{2}, []float64{1, math.NaN()}),
		tensor.Of(tensor.F32, []int{2}, []float64{1, math.Inf(-1)}),
		tensor.Of(tensor.F32, []int{}, []float64{1}),
		tensor.Of(tensor.F32, []int{0, 3}, nil),
		tensor.FromBytes(tensor.I64, []int{1}, make([]byte, 8)),
	} {
		if k, err := health.Measure(context.Background(), []tensor.Named{{Key: "k", Tensor: bad}}, 1); err == nil {
			t.Errorf("%s %v: %+v, want an error", bad.Type, bad.Shape, k)
		} else if !strings.HasPrefix(err.Error(), "k: ") {
			t.Errorf("%q does not begin with the key", err)
		}
	}
}
