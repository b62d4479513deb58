package family

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"repfuse/internal/exact"
	"repfuse/internal/tensor"
)

// row(MATRIX, N): row N of a matrix as a vector, or element N of a vector as a scalar.
func row(a []argument) ([]int, formula, error) {
	if len(a) != 2 || len(a[0].tensor.Shape) < 1 || len(a[0].tensor.Shape) > 2 {
		return nil, nil, fmt.Errorf("want a matrix or a vector and a number")
	}
	m := a[0].tensor
	n, err := strconv.Atoi(a[1].word)
	if err != nil || n < 0 || n >= m.Shape[0] {
		return nil, nil, fmt.Errorf("%s has shape %v, want a row %s", m.Key, m.Shape, a[1].word)
	}
	width := m.Len() / m.Shape[0]
	return []int{width}, func(v [][]float64) []float64 { return v[0][n*width:][:width] }, nil
}

// inputs(KERNEL, FROM, TO): channels FROM to TO−1 put in their place among the input
// channels of a kernel, where the others are zero: δ(o, FROM + i). Before the kernel it
// leaves those columns of it.
func inputs(a []argument) ([]int, formula, error) {
	if len(a) != 3 || len(a[0].tensor.Shape) < 2 {
		return nil, nil, fmt.Errorf("want a kernel and two channels")
	}
	of := a[0].tensor.Shape[1]
	from, to, err := channelRange(a[1].word, a[2].word, of)
	if err != nil {
		return nil, nil, err
	}
	shape, f := unit(of, to-from, from, len(a[0].tensor.Shape))
	return shape, f, nil
}

// channelRange reads FROM and TO, which may be end, of so many channels.
func channelRange(from, to string, of int) (int, int, error) {
	if to == "end" {
		to = strconv.Itoa(of)
	}
	f, err := strconv.Atoi(from)
	t, err2 := strconv.Atoi(to)
	if err != nil || err2 != nil || f < 0 || f >= t || t > of {
		return 0, 0, fmt.Errorf("channels %s to %s, want some of %d", from, to, of)
	}
	return f, t, nil
}

// taps(KERNEL, K, T0, T1, …): a kernel of extents K whose taps, in the order stored, are
// sums of another's: T is none, or taps of KERNEL with a sign, 4-0-1. It is any map over
// taps with the coefficients 1, 0 and −1, also from one axis to two.
func taps(a []argument) ([]int, formula, error) {
	if len(a) < 3 || len(a[0].tensor.Shape) < 2 {
		return nil, nil, fmt.Errorf("want a kernel, extents and what stands at each tap")
	}
	w := a[0].tensor
	extents, err := parseExtents(a[1].word)
	if err != nil {
		return nil, nil, err
	}
	per := w.Len() / max(w.Shape[0]*w.Shape[1], 1)
	terms := make([][]term, len(a)-2)
	for k, arg := range a[2:] {
		if terms[k], err = parseTerms(arg.word, per); err != nil {
			return nil, nil, fmt.Errorf("tap %d: %w of %s %v", k, err, w.Key, w.Shape)
		}
	}
	if want := tensor.Elems(extents); len(terms) != want {
		return nil, nil, fmt.Errorf("has %d taps, want the %d of %s", len(terms), want, a[1].word)
	}
	return slices.Concat(w.Shape[:2], extents), func(v [][]float64) []float64 {
		var out []float64
		for at := 0; at < len(v[0]); at += per {
			for _, sum := range terms {
				s := 0.0
				for _, t := range sum {
					s += float64(t.sign * v[0][at+t.tap])
				}
				out = append(out, s)
			}
		}
		return out
	}, nil
}

// term is a tap of a kernel with its sign.
type term struct {
	tap  int
	sign float64
}

// parseTerms reads none, or taps with a sign between them, such as 4-0-1.
func parseTerms(word string, taps int) ([]term, error) {
	if word == "none" {
		return nil, nil
	}
	var list []term
	for rest := word; rest != ""; {
		t := term{sign: 1}
		if rest[0] == '-' {
			t.sign = -1
		}
		rest = strings.TrimLeft(rest, "+-")
		end := digits(rest)
		var err error
		if t.tap, err = strconv.Atoi(rest[:end]); err != nil || t.tap >= taps {
			return nil, fmt.Errorf("%q, want none or taps of the %d", word, taps)
		}
		list, rest = append(list, t), rest[end:]
	}
	return list, nil
}

// numbers(V, V…): a vector of these numbers.
func numbersOf(a []argument) ([]int, formula, error) {
	v := make([]float64, len(a))
	for k, arg := range a {
		var err error
		if v[k], err = strconv.ParseFloat(arg.word, 64); err != nil {
			return nil, nil, fmt.Errorf("%q, want a number", arg.word)
		}
	}
	return []int{len(v)}, func([][]float64) []float64 { return v }, nil
}

// exp(TENSOR): e to the power of each element.
func exponential(a []argument) ([]int, formula, error) {
	return a[0].tensor.Shape, func(v [][]float64) []float64 {
		for k, x := range v[0] {
			v[0][k] = math.Exp(x)
		}
		return v[0]
	}, nil
}

// swapped(MATRIX): its transpose.
func swapped(a []argument) ([]int, formula, error) {
	m := a[0].tensor
	if len(a) != 1 || len(m.Shape) != 2 {
		return nil, nil, fmt.Errorf("%s has shape %v, want a matrix alone", m.Key, m.Shape)
	}
	rows, columns := m.Shape[0], m.Shape[1]
	return []int{columns, rows}, func(v [][]float64) []float64 {
		t := make([]float64, len(v[0]))
		for k := range t {
			t[k] = v[0][k%rows*columns+k/rows]
		}
		return t
	}, nil
}

// product(B, A, LIKE): the product B·A of two matrices, its elements in the shape of a
// kernel: (Σ_r B[i, r]·A[r, j]) one row after the other.
func product(a []argument) ([]int, formula, error) {
	if len(a) != 3 || len(a[0].tensor.Shape) != 2 || len(a[1].tensor.Shape) != 2 {
		return nil, nil, fmt.Errorf("want two matrices and a kernel")
	}
	left, right, like := a[0].tensor, a[1].tensor, a[2].tensor
	rows, inner, columns := left.Shape[0], left.Shape[1], right.Shape[1]
	if right.Shape[0] != inner || rows*columns != like.Len() {
		return nil, nil, fmt.Errorf("%s %v · %s %v has not the elements of %s %v", left.Key, left.Shape, right.Key, right.Shape, like.Key, like.Shape)
	}
	return like.Shape, func(v [][]float64) []float64 {
		w := make([]float64, rows*columns)
		for k := range w {
			var s exact.DD
			for r := range inner {
				s = s.Add(exact.DD{Hi: v[0][k/columns*inner+r]}.Times(v[1][r*columns+k%columns]))
			}
			w[k] = s.Hi
		}
		return w
	}, nil
}

// gain(EPS, VARIANCE), gain(EPS, VARIANCE, GAMMA): what a batch norm multiplies by,
// γ/√(σ²+ε), each rounded once.
func gain(a []argument) ([]int, formula, error) {
	eps, ok := readEps(a[0].word)
	if !ok || len(a) > 3 {
		return nil, nil, errors.New("want ε, variances and perhaps factors")
	}
	variance := a[1].tensor
	if len(a) == 3 && a[2].tensor != nil && a[2].tensor.Len() != variance.Len() {
		return nil, nil, fmt.Errorf("%s has shape %v, want %v", a[2].tensor.Key, a[2].tensor.Shape, variance.Shape)
	}
	return []int{variance.Len()}, func(v [][]float64) []float64 {
		for k, f := range exact.Norm(append(v, nil)[2], v[1], eps).Value { // γ of nil is 1
			v[1][k] = f.Hi
		}
		return v[1]
	}, nil
}
