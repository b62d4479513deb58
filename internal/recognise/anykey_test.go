package recognise_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/planfile"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

// anyPlan is a plan of blocks, drops and new names over keys that are anything but words.
func anyPlan(t *testing.T, seed uint64) ([]tensor.Named, *plan.Plan) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 5))
	bits := []string{"a", "b", ".", ".", "weight", "bias", "_", ":", " ", "*", "<n>", "\"", "\\", "?", "kernel(", "#", "- ", "\n", "é", "\x7f"}
	seen := map[string]bool{}
	key := func() string {
		for {
			var s strings.Builder
			for range 1 + r.IntN(6) {
				s.WriteString(bits[r.IntN(len(bits))])
			}
			if k := s.String(); !seen[k] && !seen[strings.TrimSuffix(k, ".")] && strings.Trim(k, ".") != "" {
				seen[k] = true
				return k
			}
		}
	}
	var list []tensor.Named
	put := func(shape ...int) tensor.Named {
		n := tensor.Named{Key: key(), Tensor: tensor.Of(tensor.F32, shape, make([]float64, tensor.Elems(shape)))}
		list = append(list, n)
		return n
	}
	found := plan.Found{Dropped: map[string]string{}, Renamed: map[string]string{}}
	for range 1 + r.IntN(3) {
		w, b, mean, variance := put(2, 2, 1, 1), put(2), put(2), put(2)
		e := op.Seq{op.Conv{Weight: w, Bias: &b}, op.BatchNorm{Mean: &mean, Var: &variance, Eps: 1e-3}}
		form, err := op.Check(e)
		if err != nil {
			t.Fatal(err)
		}
		block := plan.Block{Path: []string{"", "a", "b.a"}[r.IntN(3)], Family: "any", Used: []string{w.Key, b.Key, mean.Key, variance.Key},
			Outputs: []plan.Output{{Weight: key(), Bias: key(), Expr: e, Form: form}}}
		if r.IntN(2) == 0 {
			block.Stale = block.Used[:1+r.IntN(4)]
		}
		slices.Sort(block.Used)
		found.Blocks = append(found.Blocks, block)
	}
	found.Dropped[put(1).Key] = "why not"
	found.Renamed[put(1).Key] = key()
	put(1)
	p, err := plan.New(plan.Sources(list, ""), plan.Selection{}, found)
	if err != nil {
		t.Fatal(err)
	}
	return list, p
}

// A plan is written down and followed to the same result whatever its keys and whichever
// paths its blocks are shown under: as YAML and as the record has it.
func TestAnyPlanWrittenDown(t *testing.T) {
	for seed := range uint64(500) {
		list, want := anyPlan(t, seed)
		file := planfile.Of(want)
		read, err := planfile.Read("p.yaml", file.YAML())
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, file.YAML())
		}
		text, err := json.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		asJSON := &planfile.File{}
		if err := json.Unmarshal(text, asJSON); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		for _, f := range []*planfile.File{read, asJSON} {
			got, err := recognise.Plan(list, recognise.Options{Families: builtin(t), File: f})
			if err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, file.YAML())
			}
			if a, b := result(got), result(want); !slices.Equal(a, b) {
				t.Fatalf("seed %d: makes\n%q\nwant\n%q\n%s", seed, a, b, file.YAML())
			}
			if a, b := fates(got), fates(want); !slices.Equal(a, b) {
				t.Fatalf("seed %d:\n%q\nwant\n%q\n%s", seed, a, b, file.YAML())
			}
		}
	}
}

func fates(p *plan.Plan) []string {
	var list []string
	for _, f := range p.Fates {
		s := fmt.Sprintf("%s %s %d", f.Key, f.Fate, f.Block)
		if f.Fate == plan.Kept {
			s += " " + f.NewKey
		}
		list = append(list, s)
	}
	return list
}
