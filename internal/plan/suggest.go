package plan

import (
	"fmt"
	"slices"

	"repfuse/internal/family"
)

// suggest notes, where nothing was recognised, which families on request have the
// modules' keys: those alone do not say that the network wants them fused.
func (r *recogniser) suggest() {
	if len(r.plan.Blocks) > 0 {
		return
	}
	for _, f := range r.opts.Families.All() {
		if !f.OnRequest || f.Network {
			continue
		}
		var at []string
		r.fitting(r.keys.root, f, &at)
		if len(at) == 0 {
			continue
		}
		r.noteOnce(Note{Where: list(at), Text: fmt.Sprintf("could be %s (%s), which is taken on request only", f.Name, f.Title),
			Hint: fmt.Sprintf("--family %s", f.Name)})
	}
}

// fitting lists the modules below n whose keys are a family's, be it that the shapes
// need an answer yet (a transposed convolution).
func (r *recogniser) fitting(n *node, f *family.Family, at *[]string) {
	if f.Anchored(r.keys, n.path) {
		if c := r.match(f, n); c.misses == 0 && len(c.Used) > 0 && !slices.Contains(*at, shown(n.path)) {
			*at = append(*at, shown(n.path))
		}
	}
	for _, c := range n.children {
		if c.children != nil {
			r.fitting(c, f, at)
		}
	}
}
