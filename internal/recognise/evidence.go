package recognise

import (
	"fmt"
	"slices"

	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/op"
	"repfuse/internal/plan"
)

// evidence is the blocks that a network's graph shows. Of a block that names find as well,
// the expression is the graph's and the keys that it is written under are the family's.
type evidence struct {
	blocks []plan.Block
	// reader is the block that reads a key.
	reader map[string]int
	// left is why keys that the graph reads are in no block.
	left map[string]string
	// computed is the keys of which the graph knows that weights are computed, and not how.
	computed map[string]bool
}

func newEvidence(shown *plan.Found) *evidence {
	e := &evidence{blocks: shown.Blocks, reader: map[string]int{}, left: shown.Kept, computed: shown.Computed}
	for k, b := range e.blocks {
		for _, key := range b.Used {
			e.reader[key] = k
		}
	}
	return e
}

// proven is a candidate as the graph shows it: with the answers of which its expressions
// are the graph's. A candidate that is none with any answer has a problem that shows both.
func (r *recogniser) proven(c candidate) candidate {
	if r.graph == nil || c.problem != nil || len(c.Made) == 0 {
		return c
	}
	if r.graph.silent(&c) {
		c.unseen = true
		return c
	}
	first := r.graph.agree(&c)
	if first == nil {
		return c
	}
	for _, answers := range variants(c) {
		other := r.matchWith(c.Family, c.Module, r.answering(answers, c.Module))
		if other.problem == nil && len(other.Made) > 0 && r.graph.agree(&other) == nil {
			return other
		}
	}
	c.problem, c.against = first, true
	return c
}

// answering is what is said of a module's questions, with answers that are tried.
func (r *recogniser) answering(tried map[string]string, module string) func(name string) (string, bool) {
	return func(name string) (string, bool) {
		if v, ok := tried[name]; ok {
			return v, true
		}
		return answer(r.sets, module, name)
	}
}

// variants is the ways to answer the questions that the user has not.
func variants(c candidate) []map[string]string {
	var free []string
	for _, q := range c.Open {
		free = append(free, q.Name)
	}
	for _, a := range c.Answers {
		if a.By != "said" && (a.Value == "yes" || a.Value == "no") {
			free = append(free, a.Name)
		}
	}
	const most = 6 // questions of a family, none of which has as many
	free = free[:min(len(free), most)]
	var all []map[string]string
	for bits := range 1 << len(free) {
		m := map[string]string{}
		for k, name := range free {
			m[name] = family.YesNo(bits>>k&1 == 1)
		}
		all = append(all, m)
	}
	return all
}

// silent reports whether a candidate has weights that the network computes before use, so that the
// graph shows neither that it is one layer nor that it is not. The names' own word stands, as a condition.
func (e *evidence) silent(c *candidate) bool {
	if !slices.ContainsFunc(c.Made, func(m family.Made) bool { _, lone := m.Expr.(op.Conv); return !lone }) {
		return false // layers that are only renamed
	}
	for key := range c.Used {
		if e.computed[key] {
			return true
		}
	}
	return false
}

// agree replaces the expressions of a candidate by the graph's, which are the same and
// leave nothing open, or says where they differ. A layer that is only renamed is none of
// the graph's blocks.
func (e *evidence) agree(c *candidate) error {
	made := slices.Clone(c.Made)
	for k, m := range made {
		params := slices.Collect(op.Params(m.Expr))
		if _, lone := m.Expr.(op.Conv); lone || len(params) == 0 {
			continue
		}
		shown := "no one layer of these tensors"
		if at, ok := e.reader[params[0].Key]; ok {
			o := e.blocks[at].Outputs[0]
			if part, ok := within(o.Expr, op.Canonical(m.Expr)); ok {
				form, err := op.Check(part)
				if err != nil {
					return err
				}
				made[k].Expr, made[k].Form = part, form
				continue
			}
			shown = family.Format(o.Expr, c.Module)
		}
		where := plan.Shown(c.Module)
		return &hint.Error{Err: fmt.Errorf("%s: by its names a %s, %s; the graph shows %s", where, c.Family, family.Format(m.Expr, c.Module), shown),
			Hint: flagAt("family", c.Module, noFamily) + " leaves it to the graph"}
	}
	c.Made, c.EpsAssumed, c.Open = made, 0, nil
	for k := range c.Answers {
		c.Answers[k].By = "graph"
	}
	return nil
}

// within is the part of an expression that has a canonical text: the whole, one of its
// parts, or some parts of a sequence that follow each other.
func within(e op.Expr, text string) (op.Expr, bool) {
	var found op.Expr
	op.Walk(e, func(e op.Expr) {
		if found == nil && op.Canonical(e) == text {
			found = e
		}
		s, ok := e.(op.Seq)
		for a := 0; ok && found == nil && a < len(s); a++ {
			for b := a + 2; b <= len(s) && found == nil; b++ {
				if op.Canonical(s[a:b]) == text {
					found = s[a:b]
				}
			}
		}
	})
	return found, found != nil
}

// takeShown takes the blocks of the graph that no family is of.
func (r *recogniser) takeShown() {
	used := map[string]bool{}
	for _, b := range r.found.Blocks {
		for _, key := range b.Used {
			used[key] = true
		}
	}
	for _, b := range r.graph.blocks {
		if slices.ContainsFunc(b.Used, func(key string) bool { return used[key] || r.found.Dropped[key] != "" }) {
			continue
		}
		for _, key := range b.Used {
			r.keys.take(key)
		}
		r.found.Blocks = append(r.found.Blocks, b)
	}
}
