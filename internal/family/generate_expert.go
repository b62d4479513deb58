package family

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"repfuse/internal/exact"
	"repfuse/internal/tensor"
)

// softmax(WEIGHT, BIAS, COLUMN, PART, PARTS): what a gate gives for a task, a number each
// channel: of PARTS parts of z = WEIGHT[·, COLUMN] + BIAS, e^z of one over the sum of e^z of all.
func softmax(a []argument) ([]int, formula, error) {
	if len(a) != 5 || len(a[0].tensor.Shape) != 2 {
		return nil, nil, fmt.Errorf("want a matrix, a vector, a column, a part and how many parts there are")
	}
	w, b := a[0].tensor, a[1].tensor
	column, err := strconv.Atoi(a[2].word)
	part, err2 := strconv.Atoi(a[3].word)
	parts, err3 := strconv.Atoi(a[4].word)
	switch rows := w.Shape[0]; {
	case err != nil || column < 0 || column >= w.Shape[1]:
		return nil, nil, fmt.Errorf("%s has shape %v, want a column %s", w.Key, w.Shape, a[2].word)
	case err2 != nil || err3 != nil || part < 0 || part >= parts || rows%parts != 0:
		return nil, nil, fmt.Errorf("%s has shape %v, want part %s of %s", w.Key, w.Shape, a[3].word, a[4].word)
	case b.Len() != rows:
		return nil, nil, fmt.Errorf("%s has shape %v, want [%d]", b.Key, b.Shape, rows)
	}
	n := w.Shape[0] / parts
	return []int{n}, func(v [][]float64) []float64 {
		gate, shift := v[0], v[1]
		out := make([]float64, n)
		for o := range out {
			own := part*n + o
			total := 0.0
			for p := range parts { // 1/Σ e^(z−own z): the exponent in twice the precision
				var z exact.DD
				at := p*n + o
				for _, v := range []float64{gate[at*w.Shape[1]+column], shift[at], -gate[own*w.Shape[1]+column], -shift[own]} {
					t := exact.TwoSum(z.Hi, v)
					z = exact.DD{Hi: t.Hi, Lo: z.Lo + t.Lo}
				}
				e := math.Exp(z.Hi)
				total += e + float64(e*z.Lo)
			}
			out[o] = 1 / total
		}
		return out
	}, nil
}

// softmaxRoundings is e, its correction and their sum, the sum of all and the quotient.
func softmaxRoundings(a []argument) (steps, sums int) {
	parts, _ := strconv.Atoi(a[4].word)
	return 4, max(parts-1, 0)
}

// outer(KERNEL, TAPS): a 1×1 kernel whose one tap is spread over TAPS: w[o, i, t] = KERNEL[o, i]·TAPS[t].
func outer(a []argument) ([]int, formula, error) {
	kernel, taps := a[0].tensor, a[1].tensor
	if len(a) != 2 || len(kernel.Shape) != len(taps.Shape)+2 || tensor.Elems(kernel.Shape[2:]) != 1 {
		return nil, nil, fmt.Errorf("%s %v and %s %v, want a kernel of one tap, and taps along as many axes", kernel.Key, kernel.Shape, taps.Key, taps.Shape)
	}
	return slices.Concat(kernel.Shape[:2], taps.Shape), func(v [][]float64) []float64 {
		var w []float64
		for _, x := range v[0] {
			for _, y := range v[1] {
				w = append(w, x*y)
			}
		}
		return w
	}, nil
}

// point(MATRIX, AXES): a matrix, or a kernel of one tap, as a kernel of one tap along so many axes.
func point(a []argument) ([]int, formula, error) {
	m := a[0].tensor
	if len(a) != 2 || len(m.Shape) < 2 || tensor.Elems(m.Shape[2:]) != 1 {
		return nil, nil, fmt.Errorf("%s has shape %v, want a matrix or a kernel of one tap, and a number of axes", m.Key, m.Shape)
	}
	axes, err := strconv.Atoi(a[1].word)
	if err != nil || axes < 0 || axes > 3 {
		return nil, nil, fmt.Errorf("%q axes, want 0 to 3", a[1].word)
	}
	return slices.Concat(m.Shape[:2], slices.Repeat([]int{1}, axes)), func(v [][]float64) []float64 { return v[0] }, nil
}
