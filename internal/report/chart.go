package report

import (
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
	return section("How far the two forms are apart",
		h.P(g.Textf("Each block’s branches were run as the network runs them, and the convolution that was stored in their place, "+
			"on the same random images. No input within ±%g can make a difference above the certified one.", limit)),
		legend(g.Map(charted, sample)...),
		h.Div(h.Class("chart"), axis(p.scale), p.draw(), ends(run)),
		g.If(same, h.P(h.Class("aside"), g.Text("Blocks that do not differ at all stand on the bottom line."))),
	)
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

// ends says in which direction the blocks follow each other.
func ends(run []row) g.Node {
	return h.P(h.Class("foot"), g.If(len(run) > 1, g.Group{h.Span(g.Text("first block")), h.Span(g.Text("last block"))}))
}
