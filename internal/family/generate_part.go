package family

import (
	"fmt"
	"strconv"
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
