package report

import (
	"context"
	"fmt"
	"math"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"repfuse/internal/fuse"
	"repfuse/internal/tensor"
)

// mostDiffering is how many blocks that differ are drawn, mostLinks how many the head leads to.
const (
	mostDiffering = 50
	mostLinks     = 8
)

// differing is the blocks that are not what they should be: why, where in the kernel, and how they
// were made; left are not drawn.
func differing(ctx context.Context, stored map[string]tensor.Tensor, wrong []row, left int) (g.Node, error) {
	if len(wrong) == 0 {
		return nil, nil
	}
	articles, err := drawn(ctx, stored, wrong)
	return g.Group{
		h.P(g.Text("Where the stored kernel is not the real one: the largest |ΔW| in each channel and tap, stronger being larger, on one scale " +
			"for each block. What is within 0.501 units in the last place is left out.")),
		articles,
		g.If(left > 0, h.P(h.Class("aside"), g.Textf("%d more differ; the table has them.", left))),
	}, err
}

// where leads from the head to the blocks that differ.
func where(wrong []row, left int) g.Node {
	if len(wrong) == 0 {
		return nil
	}
	some := wrong[:min(len(wrong), mostLinks)]
	return h.Ul(h.Class("where"),
		g.Map(some, func(r row) g.Node { return h.Li(to(r.picture(), soft(r.name))) }),
		g.If(len(wrong) > len(some), h.Li(to("differs", g.Textf("%d in all", len(wrong)+left)))),
	)
}

// mostCells is how many channels and taps a map of differences has; of more, several share a cell.
const mostCells = 64

// shades is how many strengths a map of differences has.
const shades = 8

// delta is the largest |stored − real| of a kernel by channels and taps, and of its bias.
type delta struct {
	channels, taps int // of the kernel: its rows, its positions
	cells          [][]float64
	bias           []float64 // nil where there is none
	differ         int       // elements
	largest        float64
}

// deltaOf computes a block's kernel anew, a few rows at a time, and holds what is stored to it.
func deltaOf(r row, result map[string]tensor.Tensor) (*delta, error) {
	stored := result[r.output.Weight]
	f, err := fuse.New(r.output.Expr, tensor.F64)
	if err != nil {
		return nil, err
	}
	w := f.NewWorker(new(fuse.Workspace))
	defer w.Close()
	m := newDelta(f.Rows(), f.Form.Taps())
	in, err := stored.Open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	per, size := f.RowBytes()/8, stored.Type.Size()
	err = eachRows(f, w, func(a int, real []float64) error {
		buf, was := make([]byte, len(real)*size), make([]float64, len(real))
		if err := tensor.ReadFull(in, buf, int64(a*per*size)); err != nil {
			return err
		}
		tensor.Decode(was, buf, stored.Type)
		for k := range real {
			d := m.off(was[k], real[k], stored.Type)
			cell := &m.cells[binOf(a+k/per, m.channels)][binOf(k%m.taps, m.taps)]
			*cell = max(*cell, d)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if bias, ok := result[r.output.Bias]; ok {
		return m, m.addBias(w, bias)
	}
	return m, nil
}

func newDelta(channels, taps int) *delta {
	m := &delta{channels: channels, taps: taps, cells: make([][]float64, min(channels, mostCells))}
	for k := range m.cells {
		m.cells[k] = make([]float64, min(taps, mostCells))
	}
	return m
}

// addBias holds a stored bias to the real one. It is by output channel, as the rows are, except for a transposed kernel.
func (m *delta) addBias(w *fuse.Worker, stored tensor.Tensor) error {
	was, err := stored.Floats()
	if err != nil {
		return err
	}
	buf, real := make([]byte, 8*len(was)), make([]float64, len(was))
	if _, err := w.Bias(buf); err != nil {
		return err
	}
	tensor.Decode(real, buf, tensor.F64)
	m.bias = make([]float64, min(len(was), mostCells))
	for k := range was {
		cell := &m.bias[binOf(k, len(was))]
		*cell = max(*cell, m.off(was[k], real[k], stored.Type))
	}
	return nil
}

// off is how far a stored element is from the real one, 0 where that is its rounding.
func (m *delta) off(stored, real float64, t tensor.Type) float64 {
	d := math.Abs(stored - real)
	if d <= 0.501*tensor.Ulp(real, t) {
		return 0
	}
	if !(d <= math.MaxFloat64) {
		d = math.MaxFloat64
	}
	m.differ++
	m.largest = max(m.largest, d)
	return d
}

// binOf is the cell of the k-th of n.
func binOf(k, n int) int { return k * min(n, mostCells) / n }

// draw is the map, a column for each tap and, behind a gap, one for the bias, which has rows of its own.
func (m *delta) draw(transposed bool) g.Node {
	columns, rows := len(m.cells[0]), len(m.cells)
	if m.bias != nil {
		columns += 2
	}
	var d [shades][]byte
	put := func(x, y, height, v float64) {
		if v > 0 {
			s := min(int(shades*math.Sqrt(v/m.largest)), shades-1)
			d[s] = fmt.Appendf(d[s], "M%g %.3gh.96v%.3gh-.96z", x, y, height)
		}
	}
	for y, line := range m.cells {
		for x, v := range line {
			put(float64(x), float64(y), 0.96, v)
		}
	}
	for k, v := range m.bias {
		height := float64(rows) / float64(len(m.bias))
		put(float64(columns-1), float64(k)*height, 0.96*height, v)
	}
	var paths g.Group
	for s, path := range d {
		if len(path) > 0 {
			opacity := faintest + (1-faintest)*float64(s+1)/shades
			paths = append(paths, g.El("path", h.Class("off"), h.Style(fmt.Sprintf("fill-opacity:%.2f", opacity)), g.Attr("d", string(path))))
		}
	}
	axis := "output channels"
	if transposed {
		axis = "input channels"
	}
	label := fmt.Sprintf("%d of the elements differ, by up to %s", m.differ, figure(m.largest))
	across := fmt.Sprintf("taps across (%d)", m.taps)
	if m.bias != nil {
		across += ", behind them the bias"
	}
	return h.Figure(h.Class("delta"),
		h.SVG(h.Class("plot"), g.Attr("viewBox", fmt.Sprintf("0 0 %d %d", columns, rows)), g.Attr("preserveAspectRatio", "none"),
			h.Role("img"), h.Aria("label", label), paths),
		h.FigCaption(h.B(g.Text(label)), h.Small(g.Textf("%d %s down, %s", m.channels, axis, across))),
	)
}
