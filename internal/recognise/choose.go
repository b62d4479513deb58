package recognise

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/op"
	"repfuse/internal/plan"
)

// prefer leaves, of candidates that fit, those of the user's own files, those that fuse something, those that the
// network around asks for, those that a fact names by their class, and those whose
// own ε is the one that the facts say, where there are such.
func (o *offer) prefer(fits []candidate) []candidate {
	narrow := func(good func(candidate) bool) {
		if slices.ContainsFunc(fits, good) {
			fits = slices.DeleteFunc(fits, func(c candidate) bool { return !good(c) })
		}
	}
	fits = slices.Clone(fits)
	narrow(func(c candidate) bool { return c.Family.Own })
	narrow(func(c candidate) bool { return !c.declines() })
	narrow(func(c candidate) bool { return o.enables(c.Family.Name, c.Module) })
	if o.facts != nil {
		narrow(func(c candidate) bool {
			_, named := o.ofClass(c.Family, c.Module)
			return named
		})
		narrow(candidate.hasOwnEps)
	}
	return fits
}

// hasOwnEps reports whether all batch norms have the ε that the family gives them.
func (c candidate) hasOwnEps() bool {
	own, norms := true, 0
	for _, m := range c.Made {
		op.Walk(m.Expr, func(e op.Expr) {
			if b, ok := e.(op.BatchNorm); ok {
				norms++
				own = own && b.Eps == c.Family.Eps
			}
		})
	}
	return own && norms > 0
}

// only is the one candidate that fits; several that come to the same are one.
func only(fits []candidate) (candidate, error) {
	first := fits[0]
	for _, c := range fits[1:] {
		if c.signature() != first.signature() {
			module := plan.Shown(first.Module)
			return first, &hint.Error{
				Err:  fmt.Errorf("%s is a %s and a %s block", module, first.Family, c.Family),
				Hint: "say which with " + flagAt("family", first.Module, first.Family.String())}
		}
	}
	return first, nil
}

// signature is what a candidate does, as text.
func (c *candidate) signature() string {
	var s strings.Builder
	for _, m := range c.Made {
		fmt.Fprintf(&s, "%s, %s = %s\n", m.Weight, m.Bias, m.Expr)
	}
	return s.String() + strings.Join(slices.Sorted(maps.Keys(c.dropped)), " ")
}

// nearest is the near miss with the fewest keys amiss.
func nearest(misses []candidate) candidate {
	best := misses[0]
	for _, c := range misses[1:] {
		if c.misses < best.misses {
			best = c
		}
	}
	return best
}

// stops reports whether a near miss is a block of the family with a fault, rather than
// another module with some of its names. It is where the network around asks for the
// family, and where few keys of many are amiss; else the keys have to be the family's except
// for some that are missing, or except for some that are left over, with one of its kernels
// that look around: a 1×1 or a norm is found in any network.
func (o *offer) stops(c candidate) bool {
	var setting *family.SettingError
	switch missing, left := len(c.Missing), c.misses-len(c.Missing); {
	case c.against, c.forbidden(), errors.As(c.problem, &setting), c.Family.Network, o.enables(c.Family.Name, c.Module):
		return true
	case c.misplaced, c.Err != nil && c.misses > 0, o.unknownClass(c.Module):
		return false // the order, the shapes or the facts rule it out
	case len(c.Used) >= few*(missing+left):
		return true
	default:
		return c.looksAround && (missing == 0 || left == 0)
	}
}

// unknownClass reports whether the facts name a class for a module that no family has.
func (o *offer) unknownClass(module string) bool {
	return o.facts != nil && o.facts.Modules[module].Class != "" &&
		!slices.ContainsFunc(o.all, func(f *family.Family) bool { _, ok := f.OfClass(o.facts.Modules[module].Class); return ok })
}

// lost reports whether a block that is taken has keys that a candidate lacks.
func (r *recogniser) lost(c candidate) bool {
	return slices.ContainsFunc(c.Missing, func(key string) bool { n := r.keys.root.find(key); return n != nil && n.taken })
}

// noteOverruled notes a built-in family that fits as well as the user's own that was preferred and makes
// something else.
func (r *recogniser) noteOverruled(own candidate, fits []candidate) {
	for _, c := range fits {
		if own.Family.Own && !c.Family.Own && c.problem == nil && c.signature() != own.signature() {
			r.note(plan.Note{Where: plan.Shown(own.Module), Text: fmt.Sprintf("your %s is taken; %s fits as well, and makes something else", own.Family, c.Family),
				Hint: flagAt("family", own.Module, c.Family.String()) + " takes that"})
		}
	}
}

// few is how many keys there are for each that is amiss where that is a fault.
const few = 4

// resemblances says of each family once which modules have names of it and are no block.
func resemblances(misses []candidate) []plan.Note {
	var notes []plan.Note
	at := map[string]int{}
	where := map[string][]string{}
	for _, c := range misses {
		name := c.Family.String()
		if where[name] = append(where[name], plan.Shown(c.Module)); len(where[name]) == 1 {
			at[name] = len(notes)
			notes = append(notes, plan.Note{Text: fmt.Sprintf("resembles %s and is none, so it stays: %s", name,
				strings.TrimPrefix(c.problem.Error(), fmt.Sprintf("%s (%s): ", plan.Shown(c.Module), name)))})
		}
		notes[at[name]].Where = list(where[name])
	}
	return notes
}
