package recognise

import (
	"fmt"
	"slices"

	"repfuse/internal/family"
	"repfuse/internal/plan"
)

// suggest notes, where nothing was recognised, which anchors of the user's own families no module has, and which families
// on request have the modules' keys: those alone do not say that the network wants them fused. Where
// there is none of these, nor a module that resembles a block, it notes what comes near to one.
func (r *recogniser) suggest() error {
	for _, f := range r.offer.all {
		if f.Own && !r.anchored(f) {
			r.note(plan.Note{Where: f.Name, Text: "no module has the keys of its anchor " + f.AnchorText(),
				Hint: "an anchor is keys as the block's module sees them"})
		}
	}
	found := len(r.resembles) > 0
	for _, f := range r.offer.all {
		tells := slices.ContainsFunc(f.Anchor, func(keys []family.Pattern) bool { return len(keys) > 1 || keys[0].Key != "weight" })
		if !f.OnRequest || f.Network || !tells {
			continue
		}
		if at := r.fitting(f); len(at) > 0 {
			found = true
			r.note(plan.Note{Where: list(at), Text: fmt.Sprintf("could be %s (%s), which is taken on request only", f.Name, f.Title),
				Hint: fmt.Sprintf("--family %s", f.Name)})
		}
	}
	if found {
		return nil
	}
	near, err := r.nearest()
	r.note(near...)
	return err
}

// anchored reports whether a module has an anchor of a family.
func (r *recogniser) anchored(f *family.Family) bool {
	for n := range r.keys.root.modules {
		if f.Anchored(r.keys, n.path) {
			return true
		}
	}
	return false
}

// stays reports whether it is known why a key of a candidate stays.
func (r *recogniser) stays(c candidate) bool {
	for key := range c.Used {
		if r.found.Kept[key] != "" {
			return true
		}
	}
	return false
}

// fits reports whether a candidate is a block with some answer: a transposed convolution may need one.
func (r *recogniser) fits(c candidate) bool {
	return c.problem == nil || slices.ContainsFunc(variants(c), func(answers map[string]string) bool {
		return r.matchWith(c.Family, c.Module, r.answering(answers, c.Module)).problem == nil
	})
}

// fitting lists the modules that are blocks of a family and of which nobody said that they stay.
func (r *recogniser) fitting(f *family.Family) (at []string) {
	for n := range r.keys.root.modules {
		if f.Anchored(r.keys, n.path) && r.hears(f, n.path) {
			if c := r.match(f, n.path); len(c.Used) > 0 && r.fits(c) && !r.stays(c) {
				at = append(at, plan.Shown(n.path))
			}
		}
	}
	return at
}

// hears reports whether a family asks for all that the user's flags answer at a path: one that does not would leave an
// answer that fits no block, which is an error.
func (r *recogniser) hears(f *family.Family, path string) bool {
	return !slices.ContainsFunc(r.sets, func(s *rule) bool {
		_, asked := f.Question(s.name)
		return s.name != "eps" && s.glob.Match(path) && !asked
	})
}
