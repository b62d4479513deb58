package health_test

import (
	"math"
	"slices"
	"testing"

	"repfuse/internal/health"
	"repfuse/internal/tensor"
)

func TestScan(t *testing.T) {
	v := []float64{0, 3, -2, math.NaN(), math.Inf(1), 0, -2, 1}
	got, err := health.Scan(tensor.Of(tensor.F32, []int{2, 4}, v))
	if err != nil {
		t.Fatal(err)
	}
	if got.Elements != 8 || got.NaN != 1 || got.Infinite != 1 || got.Zeros != 2 || got.Min != -2 || got.Max != 3 {
		t.Errorf("%+v", got)
	}
	if !slices.Equal(got.First, []int{0, 3}) || !slices.Equal(got.MinAt, []int{0, 2}) {
		t.Errorf("first at %v, least at %v, want [0 3] and [0 2]", got.First, got.MinAt)
	}
	if got.Finite() || got.Largest() != 3 {
		t.Errorf("finite %v, largest %g", got.Finite(), got.Largest())
	}
	if empty, err := health.Scan(tensor.Of(tensor.F16, []int{0}, nil)); err != nil || empty.Min != 0 || empty.MinAt != nil || !empty.Finite() {
		t.Errorf("no element: %+v, %v", empty, err)
	}
}

// What is read in several pieces comes to the same as at once.
func TestScanLong(t *testing.T) {
	v := normal(40_001, 9)
	v[30_000], v[39_999] = math.Inf(-1), -77
	got, err := health.Scan(tensor.Of(tensor.F64, []int{40_001}, v))
	if err != nil || !slices.Equal(got.First, []int{30_000}) || !slices.Equal(got.MinAt, []int{39_999}) {
		t.Errorf("%+v, %v; want an infinity at 30000 and the least at 39999", got, err)
	}
}

func TestHistogram(t *testing.T) {
	counts := make([]int, 4) // of [−2, 2]: below −1, 0, 1 and 2
	v := []float64{-9, -1.5, -0.5, 0, 0.25, 1, 2, 1e300, math.NaN()}
	if err := health.Histogram(counts, tensor.Of(tensor.F64, []int{9}, v), 2); err != nil {
		t.Fatal(err)
	}
	if want := []int{2, 1, 2, 3}; !slices.Equal(counts, want) {
		t.Errorf("counts %v, want %v", counts, want)
	}
}

func TestTapPower(t *testing.T) {
	got, err := health.TapPower(tensor.Of(tensor.F32, []int{2, 1, 3}, []float64{1, 0, 3, 5, 0, 1}), 3)
	if want := []float64{13, 0, 5}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}
