package report

import (
	"fmt"
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// plot is the picture within a chart: blocks from left to right, each with a dot or a
// mark of every series.
type plot struct {
	rows []row
	scale
}

// widest is half of the width of a mark, at most; closest is half of it where blocks
// are close to each other, as a share of their distance.
const (
	widest  = 14
	closest = 0.32
)

func (p plot) draw() g.Node {
	return box("Differences and bounds of each block on a logarithmic scale; the table below has the figures",
		g.Map(p.decades(), func(e int) g.Node { return path("grid", fmt.Sprintf("M0 %sH%d", number(p.line(e)), side)) }),
		path("stem", p.stems()),
		g.Map(layers, func(s series) g.Node { return path(s.class(), p.path(s)) }),
		p.hits(),
	)
}

// step is the distance of two blocks.
func (p plot) step() float64 { return side / float64(len(p.rows)) }

func (p plot) x(k int) float64 { return p.step() * (float64(k) + 0.5) }

// stems joins what was certified and what was measured.
func (p plot) stems() string {
	var b strings.Builder
	for k, r := range p.rows {
		fmt.Fprintf(&b, "M%.1f %.1fV%.1f", p.x(k), p.y(certified.of(r)), p.y(measured.of(r)))
	}
	return b.String()
}

// path is a series: dots are lines of no length with round ends.
func (p plot) path(s series) string {
	var b strings.Builder
	dash := min(p.step()*closest, widest)
	for k, r := range p.rows {
		x, y := p.x(k), p.y(s.of(r))
		if s.shape == dot {
			fmt.Fprintf(&b, "M%.1f %.1fh0", x, y)
		} else {
			fmt.Fprintf(&b, "M%.1f %.1fh%.1f", x-dash, y, 2*dash)
		}
	}
	return b.String()
}

// hits is where a pointer finds each block, and what leads to its line in the table. The script goes
// through them by the arrows of the keyboard; the table has the same links for the tabulator.
func (p plot) hits() g.Node {
	var all g.Group
	for k, r := range p.rows {
		class := "hit"
		if r.bad() {
			class = "hit wrong"
		}
		rect := g.El("rect", h.Class(class), g.Attr("x", number(p.x(k)-p.step()/2)), g.Attr("y", "0"),
			h.Width(number(p.step())), h.Height(number(side)), h.TitleEl(g.Text(summary(r))))
		all = append(all, to(r.anchor(), h.TabIndex("-1"), rect))
	}
	return all
}

func summary(r row) string {
	var said []string
	for _, s := range charted {
		said = append(said, s.label+" "+figure(s.of(r)))
	}
	return r.name + ": " + strings.Join(said, ", ")
}
