package report

import (
	"cmp"
	"fmt"
	"slices"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"repfuse/internal/certify"
	"repfuse/internal/text"
	"repfuse/internal/verify"
)

// tiles is the figures at the head of the page; there are none without a block.
func tiles(m *verify.Report, c *certify.Report) g.Node {
	if m.Largest < 0 || c.Largest < 0 {
		return nil
	}
	apart, proof := m.Blocks[m.Largest], c.Blocks[c.Largest]
	runtime := slices.MaxFunc(m.Blocks, func(a, b verify.Block) int {
		return cmp.Compare(a.Float32.Largest.Difference, b.Float32.Largest.Difference)
	})
	before, after := m.Before, m.After
	return h.Dl(h.Class("tiles"),
		tile("measured", power(apart.Largest.Difference), at("largest difference in float64", apart.Weight)),
		tile("certified", power(certified.of(row{measured: m.Blocks[c.Largest], certified: proof})), at(fmt.Sprintf("the most that any |x| ≤ %g can make", c.Range), proof.Weight)),
		tile("in float32", power(runtime.Float32.Largest.Difference), at("what a runtime will show", runtime.Weight)),
		tile("speed-up", g.Text(text.Ratio(before.Seconds, after.Seconds)),
			g.Textf("%s → %s, float32, one thread", text.Seconds(before.Seconds), text.Seconds(after.Seconds))),
		tile("multiply-adds", g.Text(text.Ratio(float64(before.MultiplyAdds), float64(after.MultiplyAdds))),
			g.Textf("%s → %s for an output position", countText(before.MultiplyAdds), countText(after.MultiplyAdds))),
		tile("stored", g.Text(text.Ratio(float64(before.Bytes), float64(after.Bytes))),
			g.Textf("%s → %s", bytesText(before.Bytes), bytesText(after.Bytes))),
	)
}

func tile(name string, value, note g.Node) g.Node {
	return h.Div(h.Dt(g.Text(name)), h.Dd(h.B(value), h.Small(note)))
}

// count is a tile with a number.
func count(name string, n int, note string) g.Node {
	return tile(name, g.Text(fmt.Sprint(n)), g.Text(note))
}

// at is a note about one block.
func at(note, weight string) g.Node {
	return g.Group{g.Text(note), h.Br(), soft(text.Module(weight))}
}
