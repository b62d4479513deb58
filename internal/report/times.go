package report

import (
	"cmp"
	"fmt"
	"slices"

	"repfuse/internal/text"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// mostBars is how many blocks the chart of times has.
const mostBars = 12

// times is how long the blocks that take longest take, before and after.
func times(rows []row) g.Node {
	run := slowest(rows)
	if len(run) == 0 {
		return nil
	}
	longest := 0.0
	for _, r := range run {
		longest = max(longest, r.measured.Before.Seconds, r.measured.After.Seconds)
	}
	return g.Group{
		h.P(g.Text("One float32 run on one thread, warm, the median of several, the two forms taking turns; the blocks that take longest.")),
		legend(key("before", "branches"), key("after", "fused")),
		h.Table(h.Class("times"), g.Map(run, func(r row) g.Node { return timed(r, longest) })),
	}
}

// slowest is the blocks that take longest, in the order of the table.
func slowest(rows []row) []row {
	run := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return !r.ran() })
	slices.SortStableFunc(run, func(a, b row) int { return cmp.Compare(b.measured.Before.Seconds, a.measured.Before.Seconds) })
	run = run[:min(len(run), mostBars)]
	slices.SortFunc(run, func(a, b row) int { return a.position - b.position })
	return run
}

// timed is the times of both forms, as bars that fill the width where they are longest.
func timed(r row, longest float64) g.Node {
	before, after := r.measured.Before.Seconds, r.measured.After.Seconds
	bar := func(class string, s float64) g.Node {
		return h.Span(h.Class("bar "+class), h.Style(fmt.Sprintf("width:%.2f%%", 100*s/longest)))
	}
	return h.Tr(
		h.Th(h.Scope("row"), soft(r.name)),
		h.Td(bar("before", before), bar("after", after)),
		h.Td(h.Class("n"), g.Text(text.Seconds(before)), h.Br(), g.Text(text.Seconds(after))),
		h.Td(h.Class("n"), h.B(g.Text(text.Ratio(before, after)))),
	)
}
