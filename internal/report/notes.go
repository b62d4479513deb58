package report

import (
	"fmt"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"repfuse/internal/plan"
	"repfuse/internal/verify"
)

// mostNotes is how many of a kind are listed.
const mostNotes = 100

// notes is what was assumed, what it was tried on, and what the words mean.
func notes(in Input) g.Node {
	m := in.Measured
	return h.Dl(h.Class("notes"),
		conditions(in.Conditions),
		guesses(in.Certificate),
		g.Map(in.Assumed[:min(len(in.Assumed), mostNotes)], func(text string) g.Node { return note("noted", text) }),
		g.Map(in.Changed[:min(len(in.Changed), mostNotes)], func(text string) g.Node { return note("changed", text+", since it was written") }),
		note("images", fmt.Sprintf("uniform in ±%g, seed %d, %d for each block, borders included", m.Range, m.Seed, m.Trials)),
		note("passed through", through(m.Through)),
		note("exact", "every stored element is within 0.501 units in the last place of the real fused value"),
		note("equivalent", "every stored element is within what an ordinary computation in its type explains: "+
			"half a unit, and γₙ·Σ|terms| for its n roundings"),
	)
}

// conditions is what a claim depends on.
func conditions(all []plan.Condition) g.Node {
	return g.Map(all, func(c plan.Condition) g.Node { return note("right only if", c.String()) })
}

func note(name, text string) g.Node {
	return g.Group{h.Dt(g.Text(name)), h.Dd(g.Text(text))}
}

func through(t verify.Through) string {
	s := fmt.Sprintf("%d tensors, compared byte for byte", t.Tensors)
	if t.Converted > 0 {
		s += fmt.Sprintf("; %d of another element type, compared after one rounding", t.Converted)
	}
	return s
}
