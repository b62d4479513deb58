package unfuse_test

import (
	"fmt"
	"slices"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/fuse"
	"repfuse/internal/golden"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
	"repfuse/internal/unfuse"
)

// No zero that is left in a kernel is dead: what a block computes changes with its row and with its column, at once or
// after those have changed on which it does.
func TestAlive(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute in an emulator, and one goroutine for the race detector")
	}
	set, err := family.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, name := range golden.Cases(t) {
		c := golden.Load(t, name)
		p, err := recognise.Plan(c.Train, recognise.Options{Families: set, Facts: c.Facts()})
		if err != nil || golden.NotUnfused[name] != "" {
			continue
		}
		for k := range p.Blocks {
			b := &p.Blocks[k]
			if key := fmt.Sprint(b.Family, len(b.Outputs)); seen[key] || readsComputed(b) {
				continue
			} else {
				seen[key] = true
			}
			deployed, err := fused(b)
			if err != nil {
				t.Fatal(err)
			}
			changed, err := unfuse.Values(&plan.Plan{Blocks: []plan.Block{*b}}, func(key string) tensor.Tensor { return deployed[key] }, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range b.Outputs {
				for _, dead := range deadZeros(t, o.Expr, changed) {
					t.Errorf("%s (%s): %s is dead", name, b.Family, dead)
				}
			}
		}
	}
}

func readsComputed(b *plan.Block) bool {
	return slices.ContainsFunc(b.Outputs, func(o plan.Output) bool {
		return slices.ContainsFunc(slices.Collect(op.Params(o.Expr)), func(p op.Param) bool { return p.Computed != nil })
	})
}

// Ways that no reference block goes.
func TestAliveWays(t *testing.T) {
	dense := func(shape ...int) op.Conv { return op.Conv{Weight: *stored("w", shape)} }
	for _, e := range []op.Expr{
		op.Seq{dense(12, 4, 1, 1), dense(4, 12, 3, 3)},
		op.Seq{dense(12, 4, 3, 3), dense(4, 12, 1, 1)},
		op.Seq{op.Concat{dense(4, 4, 1, 1), dense(4, 4, 3, 3)}, dense(4, 8, 1, 1)},
		op.Sum{op.Identity{}, op.Seq{dense(12, 4, 1, 1), op.Sum{dense(12, 12, 3, 3), op.Identity{}}, dense(4, 12, 1, 1)}},
		op.Sum{op.Identity{}, op.Seq{dense(12, 4, 1, 1), dense(12, 12, 3, 3), dense(4, 12, 1, 1)}},
		op.Sum{dense(4, 4, 3, 3), op.Seq{dense(4, 4, 1, 1), dense(4, 4, 3, 3)}},
	} {
		form, err := op.Check(e)
		if err != nil {
			t.Fatal(err)
		}
		one := &plan.Plan{Blocks: []plan.Block{{Outputs: []plan.Output{{Weight: "weight", Expr: e, Form: form}}}}}
		kernel := random(one.Items(nil)[0].Spec, false)
		changed, err := unfuse.Sure(one, func(string) tensor.Tensor { return kernel })
		if err != nil {
			t.Errorf("%s: %v", e, err)
		}
		for _, dead := range deadZeros(t, e, changed) {
			t.Errorf("%s: %s is dead", e, dead)
		}
	}
}

// line is a row or a column of a kernel, or a vector: the elements of it that are zero.
type line struct {
	key   string
	zeros []int
}

// linesOf is the elements of what an expression reads, by key, and its lines that have zeros.
func linesOf(t *testing.T, e op.Expr, changed map[string]tensor.Tensor) (values map[string][]float64, lines map[string]line) {
	t.Helper()
	values, lines = map[string][]float64{}, map[string]line{}
	for p := range op.Params(e) {
		if to, ok := changed[p.Key]; ok {
			p.Tensor = to
		}
		v, err := p.Floats()
		if err != nil {
			t.Fatal(err)
		}
		values[p.Key] = v
		rows, inner := 1, len(v) // a vector is one row and one column
		if len(p.Shape) > 1 {
			rows, inner = p.Shape[0], tensor.Elems(p.Shape[2:])
		}
		for k, x := range v {
			row, column := k*rows/len(v), k/inner%(len(v)/rows/inner)
			for _, name := range []string{fmt.Sprintf("row %d of %s", row, p.Key), fmt.Sprintf("column %d of %s", column, p.Key)} {
				if l := lines[name]; x == 0 {
					lines[name] = line{p.Key, append(l.zeros, k)}
				}
			}
		}
	}
	return values, lines
}

// deadZeros lists the rows and columns of a block's kernels whose zeros stay without a gradient.
func deadZeros(t *testing.T, e op.Expr, changed map[string]tensor.Tensor) []string {
	t.Helper()
	values, lines := linesOf(t, e, changed)
	alive := map[string]bool{}
	for range 3 { // steps of training
		before := computes(t, e, values)
		hits := map[string]map[int]int{} // of each zero, how many of its two lines count
		for name, l := range lines {
			kept := values[l.key]
			values[l.key] = slices.Clone(kept)
			for _, k := range l.zeros {
				values[l.key][k] = 1
			}
			counts := alive[name] || !slices.Equal(computes(t, e, values), before)
			if values[l.key] = kept; !counts {
				continue
			}
			alive[name] = true
			for _, k := range l.zeros {
				if hits[l.key] == nil {
					hits[l.key] = map[int]int{}
				}
				hits[l.key][k]++
			}
		}
		for key, zeros := range hits {
			for k, n := range zeros {
				if n == 2 {
					values[key][k] = 0.5 + float64(k%7)/16
				}
			}
		}
	}
	var dead []string
	for name := range lines {
		if !alive[name] {
			dead = append(dead, name)
		}
	}
	slices.Sort(dead)
	return dead
}

// computes is the elements that a block comes to with some values.
func computes(t *testing.T, e op.Expr, values map[string][]float64) []float64 {
	t.Helper()
	e, err := op.Rebind(e, func(p op.Param) (op.Param, error) {
		p.Tensor = tensor.Of(tensor.F64, p.Shape, values[p.Key])
		return p, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := fuse.Collapse(e, tensor.F64)
	if err != nil {
		t.Fatal(err)
	}
	v, err := c.Weight.Floats()
	if err != nil || c.Bias == nil {
		return v
	}
	b, err := c.Bias.Floats()
	if err != nil {
		t.Fatal(err)
	}
	return append(v, b...)
}
