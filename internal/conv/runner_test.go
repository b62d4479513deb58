package conv_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"repfuse/internal/conv"
	"repfuse/internal/golden"
	"repfuse/internal/micro"
	"repfuse/internal/op"
)

// A Runner gives what the plain interpreter gives, for the references' expressions.
func TestRunnerReferences(t *testing.T) {
	for _, test := range references {
		t.Run(test.name, func(t *testing.T) {
			c := golden.Load(t, test.name)
			wantRun(t, test.of(block{t, c}), image(t, c.X[0], 0))
		})
	}
}

// The same for random expressions in 0 to 3 dimensions.
func TestRunnerRandom(t *testing.T) {
	for seed := range uint64(1500) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), rank: int(seed % 4)}
		in := g.pick(1, 2, 4, 6, 40)
		e, _ := g.expr(in, 0, 2)
		var size []int
		for range g.rank {
			size = append(size, 1+g.IntN(6))
		}
		if g.rank > 0 && seed%8 == 1 {
			size[g.rank-1] += 20
		}
		wantRun(t, e, conv.Random(in, size, 1, seed))
		if t.Failed() {
			t.Fatalf("seed %d: %s on %d×%v", seed, e, in, size)
		}
	}
}

// wantRun holds both precisions of a Runner to Run. The error is measured against
// what the terms come to when none cancel: the same expression with the absolute
// values of all tensors and of the image.
func wantRun(t *testing.T, e op.Expr, x conv.Map) {
	t.Helper()
	want, err := conv.Run(e, x)
	if err != nil {
		t.Fatal(err)
	}
	largest := 0.0
	for _, v := range want.Data {
		largest = max(largest, math.Abs(v))
	}
	for _, test := range []struct {
		o   conv.Options
		tol float64
	}{
		// Some thousand roundings of 2⁻⁵³ or 2⁻²⁴ at most, of terms that may be some
		// ten times what is left of them.
		{conv.Options{Jobs: 2}, 1e-12},
		{conv.Options{Jobs: 2, Float32: true}, 1e-3},
	} {
		got := runAll(t, e, x, test.o)
		for k, v := range want.Data {
			if d := math.Abs(got[k] - v); !(d <= test.tol*(largest+1)) {
				t.Errorf("%+v: element %d is %v, want %v", test.o, k, got[k], v)
				break
			}
		}
	}
}

// runAll runs all channels, by two workers and in uneven pieces.
func runAll(t *testing.T, e op.Expr, x conv.Map, o conv.Options) []float64 {
	t.Helper()
	r, err := conv.New(e, x, o)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float64, r.Channels()*r.Elems())
	middle := (r.Channels() + 1) / 2
	var wait sync.WaitGroup
	for _, part := range [][2]int{{0, middle}, {middle, r.Channels()}} {
		wait.Go(func() {
			w := r.Worker()
			for a := part[0]; a < part[1]; a += micro.Rows + 3 {
				b := min(part[1], a+micro.Rows+3)
				if err := w.Rows(a, b, got[a*r.Elems():]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return got
}
