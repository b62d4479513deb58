package optest

import (
	"fmt"
	"slices"
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
		op.Select{}, op.Concat{}, op.Seq{}, op.Sum{}} {
		for _, what := range []string{"%T", "%T after another"} {
			if what = fmt.Sprintf(what, kind); seen[what] < 50 {
				t.Errorf("%s: %d times in 2000 expressions, want some", what, seen[what])
			}
		}
	}
}

// TestEverySetting: and with all that layers have.
func TestEverySetting(t *testing.T) {
	seen := map[string]int{}
	note := func(what string, is bool) {
		if is {
			seen[what]++
		}
	}
	for seed := range uint64(2000) {
		e := Random(seed, Options{Rank: 1 + int(seed%3), Modes: true})
		f, err := op.Check(e)
		if err != nil {
			t.Fatal(err)
		}
		note("a stride", strided(f.Stride))
		note("a stride that nobody said", f.Stride == nil)
		note("a padding mode", f.PaddingMode != "")
		op.Walk(e, func(e op.Expr) {
			switch e := e.(type) {
			case op.Conv:
				note("a negative padding", slices.Min(e.Padding) < 0)
			case op.AvgPool:
				note("a padded mean", e.Padding != nil && strided(e.Padding))
				note("a dilated mean", strided(e.Dilation))
				note("a mean without its padding", e.ExcludesPadding)
			case op.Select:
				note("channels apart", e.Apart)
			case op.Identity:
				note("a shifted identity", e.Padding != nil)
				note("a sampled identity", strided(e.Stride))
			}
		})
	}
	for _, what := range []string{"a stride", "a stride that nobody said", "a padding mode", "a negative padding", "a padded mean", "a dilated mean",
		"a mean without its padding", "channels apart", "a shifted identity", "a sampled identity"} {
		if seen[what] < 50 {
			t.Errorf("%s: %d times in 2000 expressions, want some", what, seen[what])
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
