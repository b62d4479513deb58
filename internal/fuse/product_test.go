package fuse

import (
	"bytes"
	"math"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// TestZeroSigns: what is added to nothing is no negative zero, whichever way it comes: into
// sums that lie tap by tap, and into a tile of several taps.
func TestZeroSigns(t *testing.T) {
	for channels := 16; channels < 20; channels++ { // a vector, and up to three more
		zeroSigns(t, channels)
	}
}

func zeroSigns(t *testing.T, channels int) {
	t.Helper()
	minus := math.Copysign(0, -1)
	kernel := func(key string, v float64, taps int) op.Conv {
		all := make([]float64, channels*channels*taps)
		for k := range all {
			all[k] = v
		}
		return op.Conv{Weight: *param(key, tensor.F32, []int{channels, channels, taps}, all...)}
	}
	product := op.Seq{kernel("a", 1, 1), kernel("b", 0, 1)}
	for name, e := range map[string]op.Expr{
		"sums": op.Sum{kernel("w", minus, 3), kernel("v", minus, 3), product},
		"tile": op.Seq{op.Scale{Factor: 2}, kernel("w", minus, 3)},
	} {
		f, err := New(e, tensor.F32)
		if err != nil {
			t.Fatal(err)
		}
		if name == "sums" && f.root.interleaved {
			t.Fatal("the sums lie as they are stored")
		}
		got := make([]byte, f.Rows()*f.RowBytes())
		if _, err := f.NewWorker(new(Workspace)).Kernel(got, 0, f.Rows()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, make([]byte, len(got))) {
			t.Errorf("%s: a zero is negative", name)
		}
	}
}

// TestSignOfSingle: an element of one term keeps the sign of its zero, where it is copied
// and where it is not.
func TestSignOfSingle(t *testing.T) {
	const channels = 16
	minus := make([]float64, channels*channels)
	for k := range minus {
		minus[k] = math.Copysign(0, -1)
	}
	w := op.Conv{Weight: *param("w", tensor.F32, []int{channels, channels, 1}, minus...)}
	want := make([]byte, 4*len(minus))
	tensor.Encode(want, minus, tensor.F32)
	for name, e := range map[string]op.Expr{"copied": w, "summed": op.Seq{op.Shift{Term: 1}, w}} {
		if got := collapsed(t, e, tensor.F32); !bytes.HasPrefix(got, want) {
			t.Errorf("%s: a zero is not negative", name)
		}
	}
}
