package family

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

func words(list ...string) []argument {
	a := make([]argument, len(list))
	for k, w := range list {
		a[k].word = w
	}
	return a
}

// What each generator that picks, moves or multiplies makes of 1, 2, 3, …, worked out by
// hand.
func TestParts(t *testing.T) {
	for name, c := range map[string]struct {
		of    func([]argument) ([]int, formula, error)
		args  []argument
		shape []int
		want  []float64
	}{
		"row of a matrix":     {row, append([]argument{given("m", true, 2, 3)}, words("1")...), []int{3}, []float64{4, 5, 6}},
		"element of a vector": {row, append([]argument{given("v", true, 3)}, words("2")...), []int{1}, []float64{3}},
		"inputs": {inputs, append([]argument{given("k", true, 2, 3, 1)}, words("1", "end")...), []int{3, 2, 1},
			[]float64{0, 0, 1, 0, 0, 1}},
		"taps": {taps, append([]argument{given("k", true, 2, 1, 3)}, words("2x2", "0", "none", "-0-2", "2+1-0")...), []int{2, 1, 2, 2},
			[]float64{1, 0, -4, 4, 4, 0, -10, 7}},
		"numbers": {numbersOf, words("1", "-2.5", "1e-3"), []int{3}, []float64{1, -2.5, 1e-3}},
		"exp":     {exponential, []argument{given("v", false, 2)}, []int{2}, []float64{1, 1}},
		// [1 2; 3 4] · [1 2 3; 4 5 6] = [9 12 15; 19 26 33]
		"product": {product, []argument{given("b", true, 2, 2), given("a", true, 2, 3), given("like", true, 3, 2, 1)}, []int{3, 2, 1},
			[]float64{9, 12, 15, 19, 26, 33}},
	} {
		shape, got, err := made(c.of, c.args)
		if err != nil || !slices.Equal(shape, c.shape) || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v %v %v, want %v %v", name, shape, got, err, c.shape, c.want)
		}
	}
}

func TestPartMistakes(t *testing.T) {
	k := given("k", true, 2, 3, 3)
	for want, c := range map[string]struct {
		of   func([]argument) ([]int, formula, error)
		args []argument
	}{
		"want a row 3":                                        {row, append([]argument{given("v", true, 3)}, words("3")...)},
		"want a matrix or a vector":                           {row, append([]argument{k}, words("1")...)},
		"channels 2 to 1, want some of 3":                     {inputs, append([]argument{k}, words("2", "1")...)},
		"channels 0 to 4, want some of 3":                     {inputs, append([]argument{k}, words("0", "4")...)},
		"has 2 taps, want the 3 of 3":                         {taps, append([]argument{k}, words("3", "0", "1")...)},
		`tap 1: "3", want none or taps of the 3 of k [2 3 3]`: {taps, append([]argument{k}, words("2", "0", "3")...)},
		`"0-x", want none or taps`:                            {taps, append([]argument{k}, words("1", "0-x")...)},
		`"one", want a number`:                                {numbersOf, words("one")},
		"b [2 2] · a [2 3] has not the elements of like [5]":  {product, []argument{given("b", true, 2, 2), given("a", true, 2, 3), given("like", true, 5)}},
		"b [2 3] · a [2 3] has not":                           {product, []argument{given("b", true, 2, 3), given("a", true, 2, 3), given("like", true, 6)}},
	} {
		if _, _, err := c.of(c.args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// γ/√(σ²+ε) is rounded once, which float64 arithmetic does for some values only.
func TestGain(t *testing.T) {
	const eps, n = 1e-5, 500
	r := rand.New(rand.NewPCG(7, 8))
	v := make([]float64, n)
	for k := range v {
		v[k] = r.Float64() / 1000
	}
	variance := argument{word: "var", tensor: &op.Param{Key: "var", Tensor: tensor.Of(tensor.F64, []int{n}, v)}}
	gamma := random(r, "gamma", tensor.F64, n)
	_, got, err := made(gain, []argument{{word: "1e-05"}, variance, gamma})
	if err != nil {
		t.Fatal(err)
	}
	g := floats(t, gamma.tensor.Tensor)
	for k := range got {
		d := exactly(v[k])
		d.Add(d, exactly(eps))
		rounded(t, "gain", got[k], new(big.Float).SetPrec(300).Quo(exactly(g[k]), d.Sqrt(d)), tensor.F64)
	}
	negative := argument{word: "var", tensor: &op.Param{Key: "var", Tensor: tensor.Of(tensor.F64, []int{2}, []float64{-1, 1})}}
	if _, got, err = made(gain, []argument{{word: "0"}, negative}); err != nil || !math.IsNaN(got[0]) || got[1] != 1 {
		t.Errorf("of variances -1 and 1: %g, %v", got, err)
	}
}

// ε is a number of at least 0, and nothing behind it.
func TestGainMistakes(t *testing.T) {
	variance := given("var", true, 2)
	for _, args := range [][]argument{
		{{word: "1e-5junk"}, variance}, {{word: "-1e-5"}, variance}, {{word: "inf"}, variance}, {{word: "nan"}, variance},
		{{word: "1e-5"}, variance, variance, variance},
	} {
		if _, _, err := gain(args); err == nil || !strings.Contains(err.Error(), "want ε, variances") {
			t.Errorf("%s of %d: error %v", args[0].word, len(args), err)
		}
	}
	if _, _, err := gain([]argument{{word: "1e-5"}, variance, given("gamma", true, 3)}); err == nil || !strings.Contains(err.Error(), "gamma has shape [3], want [2]") {
		t.Errorf("error %v", err)
	}
}
