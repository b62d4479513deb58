package family

import (
	"fmt"
	"strconv"
)

// unrolled(CONV, FC, H): the fully connected layer over patches of h×w elements that
// a zero-padded depthwise convolution of S channels is, as RepMLP lays it out
// (DingXiaoH/RepMLP, _convert_conv_to_fc): for share set s, output (y, x) and input
// (v, u)
//
//	w[s·h·w + y·w + x, v·w + u] = conv[s, v−y+p, u−x+q]
//
// with p, q the middle of the kernel, and zero where the kernel does not reach. FC
// [S·h·w, h·w, 1, 1] says h·w; H is the height, or "square".
func unrolled(a []argument) ([]int, formula, error) {
	if len(a) != 3 || len(a[0].tensor.Shape) != 4 || len(a[1].tensor.Shape) != 4 {
		return nil, nil, fmt.Errorf("want a kernel, a fully connected layer and a height")
	}
	k, fc := a[0].tensor, a[1].tensor
	sets, area := k.Shape[0], fc.Shape[1]
	if k.Shape[1] != 1 || fc.Shape[0] != sets*area {
		return nil, nil, fmt.Errorf("%s has shape %v, want [S, 1, k, k] with S·%d = %d", k.Key, k.Shape, area, fc.Shape[0])
	}
	h, err := height(a[2].word, area)
	if err != nil {
		return nil, nil, err
	}
	return fc.Shape, func(v [][]float64) []float64 {
		w := make([]float64, sets*area*area)
		for r := range sets * area {
			unrolledRow(w[r*area:][:area], v[0][r/area*k.Shape[2]*k.Shape[3]:], k.Shape[2:], r%area, area/h)
		}
		return w
	}, nil
}

// height reads the patch's height; a square patch's follows from its area.
func height(word string, area int) (int, error) {
	h, err := strconv.Atoi(word)
	if word == "square" {
		for h = 1; h*h < area; h++ {
		}
		if h*h != area {
			return 0, fmt.Errorf("patches of %d elements are not square, want their height (h)", area)
		}
		err = nil
	}
	if err != nil || h < 1 || area%h != 0 {
		return 0, fmt.Errorf("h=%s, want a divisor of %d", word, area)
	}
	return h, nil
}

// unrolledRow is what one output element sees of the patch.
func unrolledRow(row, kernel []float64, extents []int, at, width int) {
	y, x := at/width, at%width
	for k := range row {
		dy, dx := k/width-y+extents[0]/2, k%width-x+extents[1]/2
		if dy >= 0 && dy < extents[0] && dx >= 0 && dx < extents[1] {
			row[k] = kernel[dy*extents[1]+dx]
		}
	}
}
