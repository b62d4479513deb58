package report

import (
	"fmt"

	g "maragu.dev/gomponents"

	"repfuse/internal/certify"
)

// guesses is, of each kind of assumption, what it would cost most if it were wrong.
func guesses(c *certify.Report) g.Node {
	eps, ids := c.Guesses()
	return g.Group{g.Map(eps, epsilon), g.Map(ids, identity)}
}

func epsilon(e certify.Epsilon) g.Node {
	return note(fmt.Sprintf("ε %g", e.Used), fmt.Sprintf("were it %g, a channel's scale would change by up to %.2g %% (%s, channel %d)",
		e.Other, 100*e.Change, e.Key, e.Channel))
}

func identity(i certify.Identity) g.Node {
	return note(i.Name+" "+i.Value, fmt.Sprintf("decided by %s; were it the other, outputs would change by up to %.3g (of at most %.3g)",
		i.By, i.Change, i.Output))
}
