package fuse

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// biased is a pointwise convolution of one channel to as many as there are biases.
func biased(bias ...float64) op.Expr {
	n := len(bias)
	w := make([]float64, n)
	return op.Conv{Weight: *param("w", tensor.F32, []int{n, 1, 1}, w...), Bias: param("b", tensor.F64, []int{n}, bias...)}
}

// TestLongBias: of many channels each has its own bias, those that become small are counted
// wherever they are, and the one that is too large is named.
func TestLongBias(t *testing.T) {
	bias := make([]float64, 600)
	for o := range bias {
		bias[o] = float64(o+1) / 8
	}
	bias[10], bias[300], bias[599] = 0x1p-20, 0x1p-20, 0x1p-40 // the last becomes zero
	for typ, small := range map[tensor.Type]int{tensor.F16: 3, tensor.BF16: 0, tensor.F32: 0, tensor.F64: 0} {
		f, err := New(biased(bias...), typ)
		if err != nil {
			t.Fatal(err)
		}
		got, want := make([]byte, len(bias)*typ.Size()), make([]byte, len(bias)*typ.Size())
		tensor.Encode(want, bias, typ)
		n, err := f.NewWorker(new(Workspace)).Bias(got)
		if err != nil || n != small {
			t.Errorf("%s: %d small, %v, want %d", typ, n, err, small)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: other biases than those of the convolution", typ)
		}
	}
	bias[299], bias[301] = 65519, 65520 // the latter is halfway to what would be 2¹⁶
	f, err := New(biased(bias...), tensor.F16)
	if err != nil {
		t.Fatal(err)
	}
	var over *OverflowError
	if _, err := f.NewWorker(new(Workspace)).Bias(make([]byte, 2*len(bias))); !errors.As(err, &over) || !over.Bias || over.Channel != 301 || over.Value != 65520 {
		t.Errorf("error %v, want that the bias of channel 301 is 65520", err)
	}
}

// TestNoBiasAfterOthers: where nothing adds a bias it is zero, whatever lay in its memory.
func TestNoBiasAfterOthers(t *testing.T) {
	r := rand.New(rand.NewPCG(14, 14))
	for range 3 {
		for k, e := range []op.Expr{repvgg(r, 40), op.Conv{Weight: *param("w", tensor.F32, []int{40, 1, 1}, normal(r, 40)...)}} {
			f, err := New(e, tensor.F32)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 4*40)
			if _, err := f.NewWorker(new(Workspace)).Bias(got); err != nil {
				t.Fatal(err)
			}
			if zero := bytes.Equal(got, make([]byte, len(got))); zero != (k == 1) {
				t.Errorf("%s: biases are zero: %v", e, zero)
			}
		}
	}
}
