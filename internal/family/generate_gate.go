package family

import (
	"fmt"
	"math"
)

// gate(T, W1, W3): the squeeze-and-excitation of a parameter t instead of an image,
// σ(W3·silu(W1·t)), with silu(v) = v·σ(v). It is one number a channel, the same for
// every input.
func gate(a []argument) ([]int, formula, error) {
	if len(a) != 3 {
		return nil, nil, fmt.Errorf("has %d arguments, want a vector and two matrices", len(a))
	}
	t, first, second := a[0].tensor, a[1].tensor, a[2].tensor
	n := t.Len()
	if n < 1 || len(first.Shape) != 2 || first.Shape[0] < 1 || first.Shape[1] != n {
		return nil, nil, fmt.Errorf("%s has shape %v, want [R, %d]", first.Key, first.Shape, n)
	}
	if len(second.Shape) != 2 || second.Shape[1] != first.Shape[0] {
		return nil, nil, fmt.Errorf("%s has shape %v, want [%d, %d]", second.Key, second.Shape, n, first.Shape[0])
	}
	return second.Shape[:1], func(v [][]float64) []float64 {
		h := times(v[1], v[0])
		for k, s := range h {
			h[k] = s * sigmoid(s)
		}
		g := times(v[2], h)
		for k, s := range g {
			g[k] = sigmoid(s)
		}
		return g
	}, nil
}

// times is the product of a matrix, row after row, and a vector.
func times(m, v []float64) []float64 {
	out := make([]float64, len(m)/len(v))
	for k, w := range m {
		out[k/len(v)] += float64(w * v[k%len(v)])
	}
	return out
}

func sigmoid(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
