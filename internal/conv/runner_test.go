package conv_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"repfuse/internal/conv"
	"repfuse/internal/conv/convtest"
	"repfuse/internal/golden"
	"repfuse/internal/micro"
	"repfuse/internal/op"
	"repfuse/internal/op/optest"
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

// The same for random expressions in 0 to 3 dimensions, on images smaller than a
// kernel and wider than a vector.
func TestRunnerRandom(t *testing.T) {
	for seed := range uint64(1200) {
		r := rand.New(rand.NewPCG(seed, 1))
		o := optest.Options{Rank: int(seed % 4), Depth: 2, Channels: []int{3, 6, 40}[seed%3], Mild: true}
		e, in := random(t, seed, o)
		var size []int
		for range o.Rank {
			size = append(size, 1+r.IntN(6))
		}
		if o.Rank > 0 && r.IntN(4) == 0 {
			size[o.Rank-1] += 20
		}
		wantRun(t, e, conv.Random(in, size, 1, seed))
		if t.Failed() {
			t.Fatalf("seed %d: %s on %v", seed, e, size)
		}
	}
}

// random is a random expression and its input channels. Some are transposed, and
// some are two one behind the other.
func random(t *testing.T, seed uint64, o optest.Options) (op.Expr, int) {
	t.Helper()
	e := optest.Random(seed, o)
	if seed%10 == 0 {
		e = optest.Transposed(seed, o)
	}
	f, err := op.Check(e)
	if err != nil {
		t.Fatal(err)
	}
	for next := seed + 1; seed%3 == 1 && !f.Transposed && next < seed+50; next++ {
		second := optest.Random(next, o)
		if g, err := op.Check(second); err == nil && g.In == f.Out && (f.Stride == nil) == (g.Stride == nil) {
			return op.Seq{e, second}, f.In
		}
	}
	return e, f.In
}

// wantRun holds both precisions of a Runner to Run.
func wantRun(t *testing.T, e op.Expr, x conv.Map) {
	t.Helper()
	want, err := convtest.Run(e, x)
	if err != nil {
		t.Fatal(err)
	}
	step := strideOf(t, e, x)
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
		all := conv.Map{Channels: want.Channels, Lo: x.Lo, Size: x.Size, Data: runAll(t, e, x, test.o)}
		sampled, err := convtest.Sample(all, want.Lo, step, want.Size)
		if err != nil {
			t.Fatal(err)
		}
		got := sampled.Data
		for k, v := range want.Data {
			if d := math.Abs(got[k] - v); !(d <= test.tol*(largest+1)) {
				t.Errorf("%+v: element %d is %v, want %v", test.o, k, got[k], v)
				break
			}
		}
	}
}

// strideOf is the stride of e, by its form.
func strideOf(t *testing.T, e op.Expr, x conv.Map) []int {
	t.Helper()
	f, err := op.CheckFrom(e, x.Channels, len(x.Size))
	if err != nil || f.Transposed || f.Stride == nil {
		return slices.Repeat([]int{1}, len(x.Size))
	}
	return f.Stride
}

func newRunner(e op.Expr, x conv.Map, o conv.Options) (*conv.Runner, error) {
	all, err := conv.NewAll([]op.Expr{e}, x, o)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// runAll runs all channels, by two workers and in uneven pieces: short ones, and some
// longer than are computed together.
func runAll(t *testing.T, e op.Expr, x conv.Map, o conv.Options) []float64 {
	t.Helper()
	r, err := newRunner(e, x, o)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float64, r.Channels()*r.Elems())
	middle := (r.Channels() + 1) / 2
	var wait sync.WaitGroup
	for _, part := range [][3]int{{0, middle, micro.Rows + 3}, {middle, r.Channels(), 4*micro.Rows + 3}} {
		wait.Go(func() {
			space := new(conv.Workspace)
			for a := part[0]; a < part[1]; a += part[2] {
				b := min(part[1], a+part[2])
				if err := r.Rows(space, a, b, got[a*r.Elems():]); err != nil {
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

// Two expressions that look further than one another share an image.
func TestRunnersOfOneImage(t *testing.T) {
	exprs := []op.Expr{
		op.Conv{Weight: filled("k1", 1, 1, 1, 1, 1)},
		op.Conv{Weight: filled("k3", 1, 1, 1, 3, 1)},
		op.Conv{Weight: filled("k5", 1, 1, 1, 1, 5)},
	}
	all, err := conv.NewAll(exprs, of(t, 1, []int{1, 3}, 1, 10, 100), conv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range [][]float64{{1, 10, 100}, {1, 10, 100}, {111, 111, 111}} {
		got := make([]float64, 3)
		if err := errors.Join(all[k].Rows(new(conv.Workspace), 0, 1, got), all[k].Close()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", exprs[k], got, want)
		}
	}
}

// Two Runners that take turns in the same space give what each gives by itself.
func TestSharedSpace(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	x := conv.Random(40, []int{9, 9}, 1, 1)
	exprs := []op.Expr{
		op.Sum{op.Conv{Weight: kernel3x3(r, 40, 40, 0)}, op.Identity{}},
		op.Conv{Weight: param("p", []int{40, 40, 1, 1}, normal(r, 1600)...)},
	}
	all, err := conv.NewAll(exprs, x, conv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	space := new(conv.Workspace)
	for k, e := range exprs {
		defer all[k].Close()
		want := runAll(t, e, x, conv.Options{})
		each := all[k].Elems()
		got := make([]float64, 40*each)
		for a := 0; a < 40; a += 10 {
			for j, runner := range all { // the other one's rows go into places that are not looked at
				to := got[a*each:][:10*each]
				if j != k {
					to = make([]float64, 10*each)
				}
				if err := runner.Rows(space, a, a+10, to); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: not what it gives in a space of its own", e)
		}
	}
}
