package report

import (
	"fmt"
	"math"
	"strings"

	"repfuse/internal/health"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// bins is how many bins a histogram has.
const bins = 61

// histogram is how the weights are spread, before and after, as outlines in the box
// of charts. Heights are logarithmic: what matters to a quantizer is the few.
type histogram struct {
	Before, After string // the paths
	Low, High     string
	Elements      string
}

// histograms counts the stored kernels of the branches and the fused one.
func histograms(r row, fused tensor.Tensor) (*histogram, error) {
	limit := r.M.Health.Max
	limit = max(limit, -r.M.Health.Min)
	var kernels []tensor.Tensor
	op.Walk(r.Output.Expr, func(e op.Expr) {
		if c, ok := e.(op.Conv); ok && c.Weight.Type.IsFloat() {
			kernels = append(kernels, c.Weight.Tensor)
		}
	})
	for _, k := range kernels {
		v, err := health.Scan(k)
		if err != nil {
			return nil, err
		}
		limit = max(limit, v.Largest())
	}
	if limit == 0 {
		return nil, nil
	}
	before, after := make([]int, bins), make([]int, bins)
	for _, k := range kernels {
		if err := health.Histogram(before, k, limit); err != nil {
			return nil, err
		}
	}
	if err := health.Histogram(after, fused, limit); err != nil {
		return nil, err
	}
	return &histogram{Before: outline(before), After: outline(after), Low: figure(-limit), High: figure(limit),
		Elements: countText(int64(total(before))) + " → " + countText(int64(total(after)))}, nil
}

func total(counts []int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

// outline is the path around a histogram's bars: the share of the elements, from one in
// all of them at the bottom to all at the top, by its logarithm.
func outline(counts []int) string {
	var b strings.Builder
	all := float64(max(total(counts), 2))
	width := float64(side) / float64(len(counts))
	fmt.Fprintf(&b, "M0 %d", side)
	for k, n := range counts {
		y := float64(side)
		if n > 0 { // one element is a little above the line
			y = side * (1 - (math.Log10(float64(n))+0.3)/(math.Log10(all)+0.3))
		}
		fmt.Fprintf(&b, "V%.1fH%.1f", y, width*float64(k+1))
	}
	fmt.Fprintf(&b, "V%dZ", side)
	return b.String()
}
