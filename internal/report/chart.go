package report

import (
	"fmt"
	"slices"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// charted is the series of the chart, as its legend and a block's title list them, and
// layers is the same from the back to the front.
var (
	charted = []series{measured, certified, tolerance, inFloat32}
	layers  = []series{tolerance, certified, inFloat32, measured}
)

// chart is the differences and bounds of the blocks that were run, on inputs within
// ±limit, on a logarithmic scale; there is none where no block was.
func chart(rows []row, limit float64) g.Node {
	var run []row
	for _, r := range rows {
		if r.ran() && r.certified.Skipped == "" {
			run = append(run, r)
		}
	}
	if len(run) == 0 {
		return nil
	}
	p := plot{run, span(run)}
	same := slices.ContainsFunc(run, func(r row) bool { return measured.of(r) == 0 })
	return g.Group{
		h.P(g.Textf("Each block’s branches were run as the network runs them, and the convolution that was stored in their place, "+
			"on the same random images. No input within ±%g can make a difference above the certified one.", limit)),
		legend(g.Map(charted, sample)...),
		h.Div(h.Class("chart"), axis(p.scale), p.draw(), names(run), h.P(h.Class("told"), h.Aria("live", "polite"))),
		g.If(same, h.P(h.Class("aside"), g.Text("Blocks that do not differ at all stand on the bottom line."))),
	}
}

// sample is a dot or a mark beside its meaning.
func sample(s series) g.Node {
	d := "M8 8h0"
	if s.shape == mark {
		d = "M1 8h14"
	}
	return g.Group{h.SVG(g.Attr("viewBox", "0 0 16 16"), path(s.class(), d)), g.Text(s.meaning)}
}

// axis is the labels beside the box: text in it would be stretched.
func axis(s scale) g.Node {
	return h.Div(h.Class("axis"), g.Map(s.decades(), func(e int) g.Node {
		return h.Span(h.Style("top:"+number(s.line(e)/side*100)+"%"), g.Text("10"), h.Sup(g.Text(exponent(e))))
	}))
}

// mostNames is how many blocks the chart names below it, where there is room for them.
const mostNames = 24

// names is the names of some blocks below the chart. Where a page is narrow, style.css leaves out the
// even ones.
func names(run []row) g.Node {
	var all g.Group
	for k, named := range labelled(run) {
		if !named {
			continue
		}
		class := "odd"
		switch {
		case run[k].bad():
			class = "wrong"
		case len(all)%2 == 1:
			class = "even"
		}
		at := h.Style(fmt.Sprintf("left:%.2f%%", (float64(k)+0.5)/float64(len(run))*100))
		all = append(all, h.Li(h.Class(class), at, to(run[k].anchor(), h.TabIndex("-1"), g.Text(tail(run[k].name)))))
	}
	return h.Ol(h.Class("names"), all)
}

// labelled is which blocks are named: those that differ, then others, as far as there is room.
func labelled(run []row) []bool {
	taken, apart := make([]bool, len(run)), (len(run)+mostNames-1)/mostNames
	for _, bad := range []bool{true, false} {
		for k, r := range run {
			around := taken[max(0, k-apart+1):min(len(run), k+apart)]
			taken[k] = taken[k] || r.bad() == bad && !slices.Contains(around, true)
		}
	}
	return taken
}

// longestName is how many letters of a name the chart has room for.
const longestName = 22

// tail is the end of a name, in which names differ.
func tail(name string) string {
	if r := []rune(name); len(r) > longestName {
		return "…" + string(r[len(r)-longestName+1:])
	}
	return name
}
