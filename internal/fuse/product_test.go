package fuse

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// TestHeld: a kernel too large to be held is read some rows at a time, to the same bytes.
func TestHeld(t *testing.T) {
	usual := heldBytes
	defer func() { heldBytes = usual }()
	r := rand.New(rand.NewPCG(31, 31))
	e := dbb(r, 150) // 1×1 kernels of 90,000 bytes
	var want []byte
	for _, heldBytes = range []int{usual, 0} {
		f, err := New(e, tensor.F32)
		if err != nil {
			t.Fatal(err)
		}
		got := kernel(t, f)
		if held := heldOf(f); (held > 0) != (heldBytes > 0) {
			t.Errorf("up to %d bytes are held, and %d were", heldBytes, held)
		}
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Error("other bytes than of a kernel that is held")
		}
	}
}

// TestZeroSigns: what is added to nothing is no negative zero, whichever way it comes: into
// sums that lie tap by tap, and into a tile of several taps.
func TestZeroSigns(t *testing.T) {
	const channels = 16
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
		if name == "sums" && f.root.asStored {
			t.Fatal("the sums lie as they are stored")
		}
		got := make([]byte, f.Rows()*f.RowBytes())
		if err := f.NewWorker().Kernel(got, 0, f.Rows()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, make([]byte, len(got))) {
			t.Errorf("%s: a zero is negative", name)
		}
	}
}
