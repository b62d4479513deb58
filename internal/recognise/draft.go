package recognise

import (
	"cmp"
	"slices"

	"repfuse/internal/draft"
	"repfuse/internal/family"
	"repfuse/internal/pairs"
	"repfuse/internal/tensor"
)

// Drafted is what is proposed for blocks that no family takes.
type Drafted struct {
	Prefix   string // that was taken off every key
	Families []*draft.Family
	// Blocks is how many a known family takes, Folds what --fold-bn would fold beside them, "" where that is nothing.
	Blocks int
	Folds  string
	// Left is what resembles a block and has no family, with why, a sentence each.
	Left []string
}

// Draft proposes families for what no known family takes. Each proposal has been held to
// the blocks that it is of: plan takes it as it stands, once its questions are answered. A graph answers
// those that it shows.
func Draft(tensors []tensor.Named, o Options) (*Drafted, error) {
	s, err := choose(tensors, o)
	if err != nil {
		return nil, err
	}
	r, err := newRecogniser(s.chosen, &o)
	if err != nil {
		return nil, err
	}
	r.recognise(false) // what is taken is a family's, whatever else is wrong
	loose := r.loose(s.chosen)
	if !o.Ordered && len(r.seen.place) > 0 {
		place := func(t tensor.Spec) int { return r.seen.place[tensor.Parent(t.Key)] }
		slices.SortStableFunc(loose, func(a, b tensor.Spec) int { return cmp.Compare(place(a), place(b)) })
		o.Ordered = true
	}
	if o.Shown != nil {
		shown, err := o.Shown(s.chosen)
		if err != nil {
			return nil, err
		}
		r.graph = newEvidence(shown)
	}
	d := &Drafted{Prefix: s.Prefix}
	list, left := draft.Propose(draft.Input{Tensors: loose, Ordered: o.Ordered, Facts: o.Facts})
	d.Left = left
	for _, f := range list {
		err := r.paddedIn(f.Modules)
		if err == nil {
			err = r.accepts(f)
		}
		if err != nil {
			d.Left = append(d.Left, err.Error())
			continue
		}
		d.Families = append(d.Families, f)
	}
	folds, _ := pairs.Find(loose, o.Ordered)
	d.Blocks, d.Folds = len(r.found.Blocks), foldable(len(folds))
	return d, nil
}

// paddedIn is why one of the modules is not one convolution, though it has all that a known family's blocks have.
func (r *recogniser) paddedIn(modules []string) error {
	for _, module := range modules {
		if err := r.padded[module]; err != nil {
			return err
		}
	}
	return nil
}

// accepts holds a proposal to its blocks. It takes the answers that the graph has for all of them, and those without
// which a block does not fit together.
func (r *recogniser) accepts(f *draft.Family) error {
	list, err := family.Load("draft", []byte(draft.YAML("", []*draft.Family{f})))
	if err != nil {
		return err
	}
	of := list[0]
	shown := map[string]map[string]bool{} // by question, what the graph answers
	for _, module := range f.Modules {
		c := r.match(of, module)
		if name := r.onlyNo(c); name != "" {
			f.Answers[name] = draft.Answer{Value: "no", By: "as nothing else fits together"}
			return r.accepts(f)
		}
		if c = r.proven(c); c.problem != nil {
			return c.problem
		}
		for _, q := range of.Ask {
			if shown[q.Name] == nil {
				shown[q.Name] = map[string]bool{}
			}
			shown[q.Name][r.shownAnswer(c, q.Name)] = true
		}
	}
	for name, values := range shown {
		for value := range values {
			if len(values) == 1 && value != "" {
				f.Answers[name] = draft.Answer{Value: value, By: "by the graph"}
			}
		}
	}
	return nil
}

// onlyNo is a question that is to be answered no for a candidate to fit, "" where there is none.
func (r *recogniser) onlyNo(c candidate) string {
	if c.problem == nil {
		return ""
	}
	for _, q := range c.Open {
		no := r.matchWith(c.Family, c.Module, r.answering(map[string]string{q.Name: "no"}, c.Module))
		if no.problem == nil && len(no.Made) > 0 {
			return q.Name
		}
	}
	return ""
}

// shownAnswer is what the graph answers of a block that has been held to it, "" where it does not.
func (r *recogniser) shownAnswer(c candidate, question string) string {
	asks := func(a family.Answer) bool { return a.Name == question }
	if r.graph == nil || c.unseen || slices.ContainsFunc(c.Open, asks) {
		return ""
	}
	if at := slices.IndexFunc(c.Answers, asks); at >= 0 {
		return c.Answers[at].Value
	}
	return "yes" // what was tried first, and agrees
}
