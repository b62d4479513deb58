package optest

import (
	"fmt"
	"testing"

	"repfuse/internal/op"
)

// TestEveryKind: expressions are made of all operators, each within all others.
func TestEveryKind(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(2000) {
		op.Walk(Random(seed, Options{Rank: -1}), func(e op.Expr) {
			seen[fmt.Sprintf("%T", e)]++
			if s, ok := e.(op.Seq); ok {
				for _, p := range s[1:] {
					seen[fmt.Sprintf("%T after another", p)]++
				}
			}
		})
	}
	for _, kind := range []op.Expr{op.Conv{}, op.BatchNorm{}, op.Identity{}, op.Scale{}, op.Shift{}, op.AvgPool{},
		op.Window{}, op.Select{}, op.Concat{}, op.Seq{}, op.Sum{}} {
		for _, what := range []string{"%T", "%T after another"} {
			if what = fmt.Sprintf(what, kind); seen[what] < 50 {
				t.Errorf("%s: %d times in 2000 expressions, want some", what, seen[what])
			}
		}
	}
}

// TestSeeds: the same seed gives the same expression.
func TestSeeds(t *testing.T) {
	for seed := range uint64(50) {
		a, b := Random(seed, Options{Rank: 2}), Random(seed, Options{Rank: 2})
		if a.String() != b.String() {
			t.Errorf("seed %d: %s and %s", seed, a, b)
		}
	}
}
