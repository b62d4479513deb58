package conv_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"repfuse/internal/conv"
	"repfuse/internal/op"
	"repfuse/internal/op/optest"
)

// Any rows of a Noise are those of the whole.
func TestNoiseRows(t *testing.T) {
	n := conv.Noise{Channels: 3, Size: []int{7, 2, 5}, Limit: 2, Seed: 9}
	r := rand.New(rand.NewPCG(9, 0x7265706675736521))
	whole := make([]float64, 3*7*10)
	for k := range whole {
		whole[k] = float64(float32((2*r.Float64() - 1) * 2))
	}
	for a := range 8 {
		for b := a; b <= 7; b++ {
			got := n.Rows(a, b, nil).Data
			for i := range 3 {
				if !slices.Equal(got[i*(b-a)*10:(i+1)*(b-a)*10], whole[(i*7+a)*10:(i*7+b)*10]) {
					t.Fatalf("rows %d to %d of channel %d are not those of the whole", a, b, i)
				}
			}
		}
	}
}

// Strips of any even height give what the whole image gives, bit for bit.
func TestStrips(t *testing.T) {
	for seed := range uint64(400) {
		o := optest.Options{Rank: 1 + int(seed%3), Depth: 2, Channels: []int{3, 6, 40}[seed%3], Mild: true}
		if seed%20 == 1 { // by Winograd's way: 3×3 kernels of many channels
			o.Rank, o.Channels = 2, 40
		}
		e, in := random(t, seed, o)
		r := rand.New(rand.NewPCG(seed, 2))
		size := []int{1 + r.IntN(14)}
		for range o.Rank - 1 {
			size = append(size, 1+r.IntN(6))
		}
		wantStrips(t, e, conv.Noise{Channels: in, Size: size, Limit: 1, Seed: seed})
		if t.Failed() {
			t.Fatalf("seed %d: %s on %v", seed, e, size)
		}
	}
	r := rand.New(rand.NewPCG(6, 6))
	k, l := kernel3x3(r, 40, 40, 0), kernel3x3(r, 40, 40, 0)
	// The second image has more squares than are held, its strips have not.
	for _, size := range [][]int{{13, 9}, {131, 59}} {
		wantStrips(t, op.Seq{op.Conv{Weight: k}, op.Conv{Weight: l}}, conv.Noise{Channels: 40, Size: size, Limit: 1, Seed: 1})
	}
}

func wantStrips(t *testing.T, e op.Expr, n conv.Noise) {
	t.Helper()
	lo, hi, err := conv.Reach([]op.Expr{e}, n.Channels, len(n.Size))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []conv.Options{{Jobs: 1}, {Jobs: 1, Float32: true}} {
		want := runRows(t, e, n.Rows(0, n.Size[0], nil), o)
		for _, height := range []int{2, 4, 6} {
			got := make([][]float64, len(want))
			for a := 0; a < n.Size[0]; a += height {
				b := min(a+height, n.Size[0])
				o.Strip = &conv.Strip{Size: n.Size, From: a, To: b}
				for c, row := range runRows(t, e, n.Rows(max(a+lo, 0), min(b+hi, n.Size[0]), nil), o) {
					got[c] = append(got[c], row...)
				}
			}
			for c := range want {
				if !slices.Equal(got[c], want[c]) {
					t.Errorf("strips of %d rows: channel %d is not that of the whole", height, c)
					return
				}
			}
		}
	}
}

// runRows is every output channel by itself.
func runRows(t *testing.T, e op.Expr, x conv.Map, o conv.Options) [][]float64 {
	t.Helper()
	r, err := newRunner(e, x, o)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]float64, r.Channels()*r.Elems())
	if err := errors.Join(r.Rows(new(conv.Workspace), 0, r.Channels(), all), r.Close()); err != nil {
		t.Fatal(err)
	}
	return slices.Collect(slices.Chunk(all, r.Elems()))
}
