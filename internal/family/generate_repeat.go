package family

import (
	"fmt"

	"repfuse/internal/tensor"
)

// repeat(VECTOR, KERNEL): each element I times in a row, for a kernel [O, I, …]:
// v[o/I]. RepMLP's batch norms have one channel for all outputs of a share set, of
// which there are as many as it has inputs.
func repeat(a []argument) ([]int, formula, error) {
	if len(a) != 2 || len(a[1].tensor.Shape) < 2 {
		return nil, nil, fmt.Errorf("want a vector and a kernel")
	}
	times := a[1].tensor.Shape[1]
	outs := times * a[0].tensor.Len()
	return []int{outs}, func(v [][]float64) []float64 {
		w := make([]float64, outs)
		for o := range w {
			w[o] = v[0][o/times]
		}
		return w
	}, nil
}

// turned(KERNEL, N): the kernel itself for N = 0, and for any other N turned by 180°:
// w[o, i, K−1−t]. A chain of kernels that is built by cross-correlating each with
// what came before (OREPA's large kernels) is a product of such.
func turned(a []argument) ([]int, formula, error) {
	if len(a) != 2 || len(a[0].tensor.Shape) < 2 {
		return nil, nil, fmt.Errorf("want a kernel and a number")
	}
	return a[0].tensor.Shape, func(v [][]float64) []float64 {
		if a[1].word == "0" {
			return v[0]
		}
		return turn(v[0], a[0].tensor.Shape)
	}, nil
}

// turn turns every plane of a kernel by 180°.
func turn(v []float64, shape []int) []float64 {
	taps := tensor.Elems(shape[2:])
	out := make([]float64, len(v))
	for k := range v {
		plane := k / taps * taps
		out[k] = v[plane+taps-1-(k-plane)]
	}
	return out
}
