package family

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"repfuse/internal/op"
)

// row(MATRIX, N): row N of a matrix as a vector, or element N of a vector as a scalar.
func row(a []argument) ([]int, func() ([]float64, error), error) {
	if len(a) != 2 || len(a[0].tensor.Shape) < 1 || len(a[0].tensor.Shape) > 2 {
		return nil, nil, fmt.Errorf("want a matrix or a vector and a number")
	}
	m := a[0].tensor
	n, err := strconv.Atoi(a[1].word)
	if err != nil || n < 0 || n >= m.Shape[0] {
		return nil, nil, fmt.Errorf("%s has shape %v, want a row %s", m.Key, m.Shape, a[1].word)
	}
	width := m.Len() / m.Shape[0]
	return []int{width}, func() ([]float64, error) {
		v, err := m.Floats()
		if err != nil {
			return nil, err
		}
		return v[n*width:][:width], nil
	}, nil
}

// inputs(KERNEL, FROM, TO): channels FROM to TO−1 put in their place among the input
// channels of a kernel, where the others are zero: δ(o, FROM + i). Before the kernel it
// leaves those columns of it.
func inputs(a []argument) ([]int, func() ([]float64, error), error) {
	if len(a) != 3 || len(a[0].tensor.Shape) < 2 {
		return nil, nil, fmt.Errorf("want a kernel and two channels")
	}
	of := a[0].tensor.Shape[1]
	from, to, err := channelRange(a[1].word, a[2].word, of)
	if err != nil {
		return nil, nil, err
	}
	shape, values := unit(of, to-from, from, len(a[0].tensor.Shape))
	return shape, values, nil
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
func taps(a []argument) ([]int, func() ([]float64, error), error) {
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
	shape := append([]int{w.Shape[0], w.Shape[1]}, extents...)
	want := 1
	for _, k := range extents {
		want *= k
	}
	if len(terms) != want {
		return nil, nil, fmt.Errorf("has %d taps, want the %d of %s", len(terms), want, a[1].word)
	}
	return shape, func() ([]float64, error) {
		v, err := w.Floats()
		if err != nil {
			return nil, err
		}
		out := make([]float64, 0, len(v)/max(per, 1)*want)
		for at := 0; at < len(v); at += per {
			for _, sum := range terms {
				s := 0.0
				for _, t := range sum {
					s += float64(t.sign * v[at+t.tap])
				}
				out = append(out, s)
			}
		}
		return out, nil
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
func numbersOf(a []argument) ([]int, func() ([]float64, error), error) {
	v := make([]float64, len(a))
	for k, arg := range a {
		var err error
		if v[k], err = strconv.ParseFloat(arg.word, 64); err != nil {
			return nil, nil, fmt.Errorf("%q, want a number", arg.word)
		}
	}
	return []int{len(v)}, func() ([]float64, error) { return v, nil }, nil
}

// exp(TENSOR): e to the power of each element.
func exponential(a []argument) ([]int, func() ([]float64, error), error) {
	return a[0].tensor.Shape, func() ([]float64, error) {
		v, err := a[0].tensor.Floats()
		for k := range v {
			v[k] = math.Exp(v[k])
		}
		return v, err
	}, nil
}

// swapped(MATRIX): its transpose.
func swapped(a []argument) ([]int, func() ([]float64, error), error) {
	m := a[0].tensor
	if len(a) != 1 || len(m.Shape) != 2 {
		return nil, nil, fmt.Errorf("%s has shape %v, want a matrix alone", m.Key, m.Shape)
	}
	rows, columns := m.Shape[0], m.Shape[1]
	return []int{columns, rows}, func() ([]float64, error) {
		v, err := m.Floats()
		t := make([]float64, len(v))
		for k := range t {
			t[k] = v[k%rows*columns+k/rows]
		}
		return t, err
	}, nil
}

// product(B, A, LIKE): the product B·A of two matrices, its elements in the shape of a
// kernel: (Σ_r B[i, r]·A[r, j]) one row after the other.
func product(a []argument) ([]int, func() ([]float64, error), error) {
	if len(a) != 3 || len(a[0].tensor.Shape) != 2 || len(a[1].tensor.Shape) != 2 {
		return nil, nil, fmt.Errorf("want two matrices and a kernel")
	}
	left, right, like := a[0].tensor, a[1].tensor, a[2].tensor
	rows, inner, columns := left.Shape[0], left.Shape[1], right.Shape[1]
	if right.Shape[0] != inner || rows*columns != like.Len() {
		return nil, nil, fmt.Errorf("%s %v · %s %v has not the elements of %s %v", left.Key, left.Shape, right.Key, right.Shape, like.Key, like.Shape)
	}
	return like.Shape, func() ([]float64, error) {
		b, c, err := bothFloats(left, right)
		if err != nil {
			return nil, err
		}
		v := make([]float64, rows*columns)
		for k := range v {
			var s sum
			for r := range inner {
				s.add(b[k/columns*inner+r], c[r*columns+k%columns])
			}
			v[k] = s.value()
		}
		return v, nil
	}, nil
}

func bothFloats(a, b *op.Param) (v, w []float64, err error) {
	if v, err = a.Floats(); err != nil {
		return nil, nil, err
	}
	w, err = b.Floats()
	return v, w, err
}
