package family

import (
	"slices"
	"strings"
	"testing"
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
