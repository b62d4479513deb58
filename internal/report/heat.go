package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"repfuse/internal/health"
	"repfuse/internal/tensor"
)

// mostTitles is how many taps a kernel may have for each to say its figure.
const mostTitles = 49

// faintest is the shade of a tap that is next to nothing, but not nothing.
const faintest = 0.12

// heat is the root mean square of a kernel's weights at each tap: of a branch, or of
// their sum.
type heat struct {
	sign          string // what stands before it
	label, detail string
	power         []float64 // mean squares
}

// The signs of all but the first branch, and of the sum.
const (
	plus   = "+"
	equals = "="
)

// frame is what the maps of a block have in common.
type frame struct {
	rows, columns int
	strongest     float64
}

// heats is the maps of a block's branches and of their sum; nothing where kernels have
// more axes than a picture.
func heats(r row, fused tensor.Tensor) (g.Node, error) {
	f := r.output.Form
	if f.Rank() > 2 {
		return nil, nil
	}
	all, err := branchHeats(r)
	if err != nil {
		return nil, err
	}
	power, err := health.TapPower(fused, f.Taps())
	if err != nil {
		return nil, err
	}
	all = append(all, heat{equals, kernelText(f), "fused, as stored", power})
	common := newFrame(all, f.Kernel())
	return g.Map(all, func(m heat) g.Node { return m.term(common) }), nil
}

func branchHeats(r row) ([]heat, error) {
	var all []heat
	sign := ""
	for _, b := range branches(r.output.Expr) {
		power, err := branchPower(b, r.output.Form)
		if err != nil {
			return nil, err
		}
		all = append(all, heat{sign, what(b), detail(b, r.path), power})
		sign = plus
	}
	return all, nil
}

func newFrame(all []heat, kernel []int) frame {
	f := frame{rows: 1, columns: 1}
	switch len(kernel) {
	case 1:
		f.columns = kernel[0]
	case 2:
		f.rows, f.columns = kernel[0], kernel[1]
	}
	for _, m := range all {
		f.strongest = max(f.strongest, slices.Max(m.power))
	}
	return f
}

// term is the map behind its sign.
func (m heat) term(f frame) g.Node {
	return h.Div(h.Class("term"),
		g.If(m.sign != "", h.Span(h.Class("op"), g.Text(m.sign))),
		h.Figure(g.If(m.sign == equals, h.Class("fused")),
			m.draw(f),
			h.FigCaption(h.B(g.Text(m.label)), h.Small(g.Text(m.detail))),
		),
	)
}

// draw is a square for each tap that is not zero, with some air around all of them.
func (m heat) draw(f frame) g.Node {
	var taps g.Group
	for k, p := range m.power {
		if p > 0 {
			taps = append(taps, f.tap(k, p, len(m.power) <= mostTitles))
		}
	}
	return h.SVG(g.Attr("viewBox", fmt.Sprintf("-0.04 -0.04 %d.08 %d.08", f.columns, f.rows)),
		h.Role("img"), h.Aria("label", m.label+", "+m.detail), taps)
}

func (f frame) tap(k int, power float64, titled bool) g.Node {
	shade := math.Round(1000*(faintest+(1-faintest)*math.Sqrt(power/f.strongest))) / 1000
	return g.El("rect", h.Class("tap"), g.Attr("x", strconv.Itoa(k%f.columns)+".03"), g.Attr("y", strconv.Itoa(k/f.columns)+".03"),
		h.Style("fill-opacity:"+number(shade)),
		g.If(titled, h.TitleEl(g.Text(figure(math.Sqrt(power))))))
}
