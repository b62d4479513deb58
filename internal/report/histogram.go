package report

import (
	"fmt"
	"math"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"repfuse/internal/health"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// bins is how many bins a histogram has.
const bins = 61

// histogram is how the weights are spread, before and after, as outlines in the box of
// charts; nothing where all are zero. Heights are logarithmic: what matters to a
// quantizer is the few.
func histogram(r row, fused tensor.Tensor) (g.Node, error) {
	kernels := storedKernels(r.output.Expr)
	limit, err := outermost(r.measured.Health, kernels)
	if err != nil || limit == 0 {
		return nil, err
	}
	before, err := counted(limit, kernels...)
	if err != nil {
		return nil, err
	}
	after, err := counted(limit, fused)
	if err != nil {
		return nil, err
	}
	return outlines(before, after, figure(-limit), figure(limit)), nil
}

// storedKernels is the kernels of the branches.
func storedKernels(e op.Expr) []tensor.Tensor {
	var all []tensor.Tensor
	op.Walk(e, func(e op.Expr) {
		if c, ok := e.(op.Conv); ok && c.Weight.Type.IsFloat() {
			all = append(all, c.Weight.Tensor)
		}
	})
	return all
}

// outermost is the largest magnitude of all, the fused kernel's by its health.
func outermost(fused *health.Kernel, kernels []tensor.Tensor) (float64, error) {
	limit := max(fused.Max, -fused.Min)
	for _, k := range kernels {
		v, err := health.Scan(k)
		if err != nil {
			return 0, err
		}
		limit = max(limit, v.Largest())
	}
	return limit, nil
}

func counted(limit float64, kernels ...tensor.Tensor) ([]int, error) {
	counts := make([]int, bins)
	for _, k := range kernels {
		if err := health.Histogram(counts, k, limit); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// outlines is the two outlines, and below them what they lie between.
func outlines(before, after []int, low, high string) g.Node {
	return h.Div(h.Class("spread"),
		box("Weights before and after fusing, from "+low+" to "+high,
			path("grid", fmt.Sprintf("M%d 0V%dM0 %[2]dH%[2]d", side/2, side)),
			path("after", outline(after)),
			path("before", outline(before)),
		),
		h.P(h.Class("foot"),
			h.Span(g.Text(low)),
			h.Span(
				h.Span(key("before", " branches, as stored")), g.Text(" "),
				h.Span(key("after", " fused")), g.Text(" "),
				h.Span(g.Textf("%s → %s weights", countText(int64(total(before))), countText(int64(total(after))))),
			),
			h.Span(g.Text(high)),
		),
	)
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
