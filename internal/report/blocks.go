package report

import (
	"strconv"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// columns is the figures of the table.
var columns = []series{measured, certified, tolerance, inFloat32, bound}

// speedUp is the title of the last column.
const speedUp = "speed-up"

// blocks is the table of them all, except for those that are left out.
func blocks(rows []row, left int) g.Node {
	if len(rows) == 0 {
		return h.P(g.Text("No block was fused; every tensor passed through."))
	}
	return g.Group{
		table(titles(), g.Map(rows, line), left, "more, of smaller certified differences, are left out; verify --json has them."),
		h.P(h.Class("aside"), g.Text("Measured: the largest difference of the float64 runs. Certified: the most that any input can make. "+
			"Tolerance: what rounding the stored elements explains. Float32: what a float32 runtime shows on the same images. "+
			"Bound: the most that its roundings can make there.")),
	}
}

// table is the table of a page, with what is said of lines that are left out.
func table(heads, lines g.Node, left int, more string) g.Node {
	return g.Group{
		search(),
		h.Table(h.Class("blocks"), h.THead(heads), h.TBody(lines)),
		g.If(left > 0, h.P(h.Class("aside"), g.Textf("%d %s", left, more))),
	}
}

// search is hidden until the script finds that there is much to search.
func search() g.Node {
	return h.P(h.Class("search"), h.Hidden(""),
		h.Label(g.Text("Find "), h.Input(h.Type("search"), h.Placeholder("words of a line"), h.Aria("label", "Find lines of the table"))),
		g.Text(" "),
		h.Span(h.Aria("live", "polite")),
	)
}

func titles() g.Node {
	column := h.Scope("col")
	return h.Tr(
		h.Th(column, g.Text("block")),
		h.Th(column, g.Text("verdict")),
		g.Map(columns, func(s series) g.Node { return h.Th(column, h.Class("n"), g.Text(s.label)) }),
		h.Th(column, h.Class("n"), g.Text(speedUp)),
	)
}

// line is a block in the table.
func line(r row) g.Node {
	return h.Tr(h.ID(r.anchor()), g.If(r.bad(), h.Class("bad")), named(r), judged(r), figures(r))
}

func named(r row) g.Node {
	why, name := r.why(), soft(r.name)
	if r.drawn {
		name = to(r.picture(), name)
	}
	return h.Th(h.Scope("row"), h.Data("value", strconv.Itoa(r.position)),
		h.Span(h.Class("name"), name),
		h.Small(g.Text(r.kind())),
		g.If(why != "", h.Small(h.Class("why"), g.Text(why))),
	)
}

func judged(r row) g.Node {
	v := string(r.certified.Verdict)
	return h.Td(h.Data("label", "verdict"), h.Span(h.Class("tag "+v), g.Text(v)))
}

// figures is a cell for each column, or one that says that there are none.
func figures(r row) g.Node {
	if !r.ran() {
		return h.Td(h.Class("n"), h.ColSpan(strconv.Itoa(len(columns)+1)), g.Text("not run"))
	}
	return g.Group{
		g.Map(columns, func(s series) g.Node { return cell(s.label, s.of(r), power(s.of(r))) }),
		cell(speedUp, r.speedUp(), g.Textf("%.1f×", r.speedUp())),
	}
}

// cell is a figure, and the value to sort it by.
func cell(label string, value float64, text g.Node) g.Node {
	return h.Td(h.Class("n"), h.Data("label", label), h.Data("value", number(value)), text)
}
