package certify_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"repfuse/internal/certify"
	"repfuse/internal/golden"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
	"repfuse/internal/verify"
)

// result is a fused block that faults are planted in.
type result struct {
	t    *testing.T
	plan *plan.Plan
	dst  []tensor.Named
}

// edit changes the elements of the tensor whose key ends in a suffix.
func (r *result) edit(suffix string, change func(v []float64, shape []int)) string {
	r.t.Helper()
	k := r.find(suffix)
	n := r.dst[k]
	v, err := n.Floats()
	if err != nil {
		r.t.Fatal(err)
	}
	change(v, n.Shape)
	r.dst[k].Tensor = tensor.Of(n.Type, n.Shape, v)
	return n.Key
}

func (r *result) find(suffix string) int {
	r.t.Helper()
	k := slices.IndexFunc(r.dst, func(n tensor.Named) bool {
		return len(n.Key) >= len(suffix) && n.Key[len(n.Key)-len(suffix):] == suffix
	})
	if k < 0 {
		r.t.Fatalf("no key ends in %s", suffix)
	}
	return k
}

// remake fuses the block once more from an expression with a mistake in it.
func (r *result) remake(mistake func(e op.Expr) op.Expr) {
	r.t.Helper()
	out := r.plan.Blocks[0].Outputs[0]
	p := planOf(r.t, mistake(out.Expr))
	made := collapse(r.t, p, tensor.F32)
	r.dst[r.find(out.Weight)].Tensor = made[0].Tensor
	r.dst[r.find(out.Bias)].Tensor = made[1].Tensor
}

// mapped is e with every operator changed by of.
func mapped(e op.Expr, of func(op.Expr) op.Expr) op.Expr {
	switch s := e.(type) {
	case op.Sum:
		var all op.Sum
		for _, p := range s {
			all = append(all, mapped(p, of))
		}
		return all
	case op.Seq:
		var all op.Seq
		for _, p := range s {
			all = append(all, mapped(p, of))
		}
		return all
	default:
		return of(e)
	}
}

const (
	weightKey = "rbr_reparam.weight"
	biasKey   = "rbr_reparam.bias"
)

// faults is what can go wrong in a result. The verdict is certify's; seen says that
// the random run sees it, too; key and index are the place that the report names,
// where there is one place.
var faults = []struct {
	name  string
	plant func(r *result)
	want  certify.Verdict
	seen  bool
	index []int
	find  string // the kind of verify's finding, where that is what catches it
}{
	{name: "nothing", plant: func(*result) {}, want: certify.Exact},
	{name: "a weight by two ulps", want: certify.Equivalent, index: []int{3, 5, 1, 2}, plant: func(r *result) {
		r.edit(weightKey, func(v []float64, s []int) {
			at := flat(s, 3, 5, 1, 2)
			v[at] += 2 * tensor.Ulp(v[at], tensor.F32)
		})
	}},
	{name: "a weight by one percent", want: certify.Different, seen: true, index: []int{2, 1, 0, 1}, plant: func(r *result) {
		r.edit(weightKey, func(v []float64, s []int) { v[flat(s, 2, 1, 0, 1)] *= 1.01 })
	}},
	{name: "a bias by one percent", want: certify.Different, seen: true, index: []int{4}, plant: func(r *result) {
		r.edit(biasKey, func(v []float64, _ []int) { v[4] *= 1.01 })
	}},
	{name: "two channels swapped", want: certify.Different, seen: true, plant: func(r *result) {
		r.edit(weightKey, func(v []float64, s []int) {
			row := len(v) / s[0]
			for k := range row {
				v[k], v[row+k] = v[row+k], v[k]
			}
		})
	}},
	{name: "a kernel shifted by one tap", want: certify.Different, seen: true, plant: func(r *result) {
		r.edit(weightKey, func(v []float64, _ []int) { copy(v[1:], slices.Clone(v)) })
	}},
	{name: "a kernel transposed", want: certify.Different, seen: true, plant: func(r *result) {
		r.edit(weightKey, func(v []float64, s []int) {
			was := slices.Clone(v)
			for k := range v {
				at := tensor.Place(k, s)
				v[k] = was[flat(s, at[0], at[1], at[3], at[2])]
			}
		})
	}},
	{name: "in and out channels exchanged", want: certify.Different, seen: true, plant: func(r *result) {
		r.edit(weightKey, func(v []float64, s []int) {
			was := slices.Clone(v)
			for k := range v {
				at := tensor.Place(k, s)
				v[k] = was[flat(s, at[1]+at[0]/s[1]*s[1], at[0]%s[1], at[2], at[3])]
			}
		})
	}},
	{name: "identity added", want: certify.Different, seen: true, plant: func(r *result) {
		r.remake(func(e op.Expr) op.Expr { return op.Sum{e, op.Identity{}} })
	}},
	{name: "the identity left out", want: certify.Different, seen: true, plant: func(r *result) {
		r.remake(func(e op.Expr) op.Expr { return e.(op.Sum)[:len(e.(op.Sum))-1] })
	}},
	{name: "the 1×1 branch left out", want: certify.Different, seen: true, plant: func(r *result) {
		r.remake(func(e op.Expr) op.Expr { return slices.Delete(slices.Clone(e.(op.Sum)), 1, 2) })
	}},
	{name: "groups mixed up", want: certify.Different, seen: true, plant: func(r *result) {
		r.edit(weightKey, func(v []float64, s []int) {
			half := slices.Clone(v[:len(v)/2])
			copy(v, v[len(v)/2:])
			copy(v[len(v)/2:], half)
		})
	}},
	{name: "ε 1e-3 for 1e-5", want: certify.Different, seen: true, plant: func(r *result) {
		r.remake(func(e op.Expr) op.Expr {
			return mapped(e, func(e op.Expr) op.Expr {
				if b, ok := e.(op.BatchNorm); ok {
					b.Eps = 1e-3
					return b
				}
				return e
			})
		})
	}},
	{name: "γ and β exchanged", want: certify.Different, seen: true, plant: func(r *result) {
		r.remake(func(e op.Expr) op.Expr {
			return mapped(e, func(e op.Expr) op.Expr {
				if b, ok := e.(op.BatchNorm); ok {
					b.Gamma, b.Beta = b.Beta, b.Gamma
					return b
				}
				return e
			})
		})
	}},
	{name: "a variance for its root", want: certify.Different, seen: true, plant: func(r *result) {
		r.remake(func(e op.Expr) op.Expr {
			return mapped(e, func(e op.Expr) op.Expr {
				b, ok := e.(op.BatchNorm)
				if !ok {
					return e
				}
				v, err := b.Var.Floats()
				if err != nil {
					r.t.Fatal(err)
				}
				for c := range v {
					v[c] *= v[c]
				}
				b.Var = &op.Param{Key: b.Var.Key, Tensor: tensor.Of(tensor.F64, b.Var.Shape, v)}
				return b
			})
		})
	}},
	{name: "an infinity", want: certify.Different, seen: true, index: []int{0, 0, 0, 0}, find: verify.Value, plant: func(r *result) {
		r.edit(weightKey, func(v []float64, _ []int) { v[0] = math.Inf(1) })
	}},
	{name: "not a number", want: certify.Different, seen: true, index: []int{7}, find: verify.Value, plant: func(r *result) {
		r.edit(biasKey, func(v []float64, _ []int) { v[7] = math.NaN() })
	}},
	{name: "another shape", want: certify.Different, seen: true, find: verify.Shape, plant: func(r *result) {
		k := r.find(biasKey)
		r.dst[k].Shape = []int{r.dst[k].Len(), 1}
	}},
	{name: "a key missing", want: certify.Different, seen: true, find: verify.Missing, plant: func(r *result) {
		k := r.find(biasKey)
		r.dst = slices.Delete(r.dst, k, k+1)
	}},
	{name: "a key too many", want: certify.Exact, seen: true, find: verify.Unexpected, plant: func(r *result) {
		r.dst = append(r.dst, tensor.Named{Key: "more", Tensor: tensor.Of(tensor.F32, []int{1}, []float64{0})})
	}},
}

func flat(shape []int, at ...int) int {
	k := 0
	for a, n := range shape {
		k = k*n + at[a]
	}
	return k
}

// Every fault is found, and its place is named; what is no fault is not.
func TestPlantedFaults(t *testing.T) {
	for _, name := range []string{"repvgg-block-s1", "repvgg-block-g4"} {
		for _, fault := range faults {
			t.Run(name+"/"+fault.name, func(t *testing.T) {
				p, err := planned(t, golden.Load(t, name))
				if err != nil {
					t.Fatal(err)
				}
				r := &result{t, p, fused(t, p, tensor.F32)}
				shape := r.dst[r.find(weightKey)].Shape
				if len(fault.index) > 1 && fault.index[1] >= shape[1] {
					t.Skip("no such channel in a group of ", shape[1])
				}
				fault.plant(r)
				c, err := certify.Run(context.Background(), p, r.dst, certify.Options{})
				if err != nil {
					t.Fatal(err)
				}
				b := c.Blocks[0]
				if c.Verdict != fault.want {
					t.Errorf("verdict %s, want %s: %+v", c.Verdict, fault.want, b.Worst)
				}
				if fault.index != nil && !slices.Equal(b.Worst.Index, fault.index) {
					t.Errorf("worst is %s%v, want %v", b.Worst.Key, b.Worst.Index, fault.index)
				}
				m, err := verify.Run(context.Background(), p, r.dst, verify.Options{Seed: 1})
				if err != nil {
					t.Fatal(err)
				}
				if m.Passed == fault.seen {
					t.Errorf("measured: passed is %t, want %t", m.Passed, !fault.seen)
				}
				found := slices.ContainsFunc(m.Findings, func(f verify.Finding) bool { return f.Kind == fault.find })
				if found != (fault.find != "") || len(m.Findings) > 1 {
					t.Errorf("findings %v, want one of kind %q", m.Findings, fault.find)
				}
			})
		}
	}
}
