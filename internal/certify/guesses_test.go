package certify_test

import (
	"slices"
	"testing"

	"repfuse/internal/certify"
)

// Of each pair of ε, and of each answer, the one that changes most stands, in the order in which kinds come.
func TestGuesses(t *testing.T) {
	r := &certify.Report{Blocks: []certify.Block{
		{Epsilons: []certify.Epsilon{{Used: 1e-5, Other: 1e-3, Change: 0.1}, {Used: 1e-5, Other: 1e-6, Change: 0.4}},
			Identities: []certify.Identity{{Name: "identity", Value: "yes", Change: 2}}},
		{Epsilons: []certify.Epsilon{{Used: 1e-5, Other: 1e-3, Change: 0.3}, {Used: 1e-5, Other: 1e-6, Change: 0.2}},
			Identities: []certify.Identity{{Name: "identity", Value: "no", Change: 1}, {Name: "identity", Value: "yes", Change: 1}}},
	}}
	eps, ids := r.Guesses()
	if want := []certify.Epsilon{r.Blocks[1].Epsilons[0], r.Blocks[0].Epsilons[1]}; !slices.Equal(eps, want) {
		t.Errorf("%v, want %v", eps, want)
	}
	if want := []certify.Identity{r.Blocks[0].Identities[0], r.Blocks[1].Identities[0]}; !slices.Equal(ids, want) {
		t.Errorf("%v, want %v", ids, want)
	}
}
