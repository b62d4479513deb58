package report

import (
	"fmt"

	g "maragu.dev/gomponents"

	"repfuse/internal/certify"
)

// guesses is, of each kind of assumption, what it would cost most if it were wrong.
func guesses(c *certify.Report) g.Node {
	var eps []certify.Epsilon
	var ids []certify.Identity
	for _, b := range c.Blocks {
		eps, ids = append(eps, b.Epsilons...), append(ids, b.Identities...)
	}
	eps = costliest(eps,
		func(e certify.Epsilon) [2]float64 { return [2]float64{e.Used, e.Other} },
		func(e certify.Epsilon) float64 { return e.Change })
	ids = costliest(ids,
		func(i certify.Identity) string { return i.Name + " " + i.Value },
		func(i certify.Identity) float64 { return i.Change })
	return g.Group{g.Map(eps, epsilon), g.Map(ids, identity)}
}

// costliest is the item of each kind that changes most, kinds in the order in which
// they come.
func costliest[T any, K comparable](all []T, kind func(T) K, change func(T) float64) []T {
	var most []T
	place := map[K]int{}
	for _, item := range all {
		k, seen := place[kind(item)]
		switch {
		case !seen:
			place[kind(item)] = len(most)
			most = append(most, item)
		case change(item) > change(most[k]):
			most[k] = item
		}
	}
	return most
}

func epsilon(e certify.Epsilon) g.Node {
	return note(fmt.Sprintf("ε %g", e.Used), fmt.Sprintf("were it %g, a channel's scale would change by up to %.2g %% (%s, channel %d)",
		e.Other, 100*e.Change, e.Key, e.Channel))
}

func identity(i certify.Identity) g.Node {
	return note(i.Name+" "+i.Value, fmt.Sprintf("decided by %s; were it the other, outputs would change by up to %.3g (of at most %.3g)",
		i.By, i.Change, i.Output))
}
