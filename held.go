package repfuse

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/planfile"
	"repfuse/internal/recognise"
	"repfuse/internal/record"
	"repfuse/internal/verify"
)

// held plans a source by itself and holds a record to that. The plan is the source's own
// wherever it has one: what the record says beyond it is a condition on the notes, and what
// it says against it a finding. An error says that the source has no plan of its own and
// the record does not say how it got one.
func (s *source) held(r *Recognition, rec *record.Record) ([]verify.Finding, error) {
	own, err := s.recognised(r)
	if rec == nil || s.Model != nil {
		s.plan = own
		return nil, err
	}
	families, misfit := family.Builtin()
	if misfit != nil {
		return nil, misfit
	}
	theirs, misfit := followed(s, rec.Plan, families)
	if err == nil && misfit == nil && len(unlike(own, theirs)) == 0 {
		s.plan = own
		return nil, nil
	}
	asked, said := r.asRecorded(rec)
	if guided, e := s.recognised(&asked); e == nil && (err != nil || misfit == nil && len(unlike(guided, theirs)) == 0) {
		own, err = guided, nil
		s.conditions = append(append(s.conditions, r.leftOut(&asked)...), conditionsOf(said, guided)...)
		recorded(own.Notes, said)
	}
	files := rec.Said.Plan + strings.Join(rec.Said.Families, "") + rec.Said.Graph
	if misfit == nil && files != "" && (err != nil || !against(own, theirs)) {
		s.conditions = append(s.conditions, alone(own, theirs, rec)...)
		s.plan = theirs
		return nil, nil
	}
	switch {
	case err != nil:
		return nil, err
	case misfit != nil:
		s.plan = own
		return []verify.Finding{{Kind: verify.Record, Key: s.Path, Got: misfit.Error()}}, nil
	}
	s.plan = own
	return unlike(own, theirs), nil
}

// followed is what a plan that was written down comes to in a checkpoint. Of families is only
// asked which modules are fused already.
func followed(s *source, file *planfile.File, families *family.Set) (*plan.Plan, error) {
	return recognise.Plan(s.Tensors, recognise.Options{Families: families, File: file, Wrapper: s.Wrapper, Adapters: s.adapters})
}

// readBack is an error where a plan that was written down comes to another one.
func readBack(s *source, p *plan.Plan, file *planfile.File) error {
	again, err := followed(s, file, &family.Set{})
	if err == nil {
		if d := unlike(p, again); len(d) > 0 {
			err = errors.New(d[0].String())
		}
	}
	if err != nil {
		return fmt.Errorf("the plan cannot be read back as it is written: %w", err)
	}
	return nil
}

// asRecorded is what the record says was said, under what is said now; said is what of
// it nobody says now.
func (r *Recognition) asRecorded(rec *record.Record) (asked Recognition, said record.Said) {
	asked = *r
	under := func(now, then []string, question func(string) string) (all, left []string) {
		for _, text := range then {
			if !slices.ContainsFunc(now, func(s string) bool { return question(s) == question(text) }) {
				left = append(left, text)
			}
		}
		return append(slices.Clone(left), now...), left
	}
	asked.Eps, said.Eps = under(r.Eps, rec.Said.Eps, question)
	asked.Identity, said.Identity = under(r.Identity, rec.Said.Identity, question)
	asked.Set, said.Set = under(r.Set, rec.Said.Set, question)
	asked.Family, said.Family = under(r.Family, rec.Said.Family, ofFamilies)
	said.FoldNorms = rec.Said.FoldNorms && !r.FoldNorms
	asked.FoldNorms = rec.Said.FoldNorms || r.FoldNorms
	asked.AnyCost = rec.Said.AnyCost || r.AnyCost
	if r.Prefix == "" {
		asked.Prefix = rec.Plan.Prefix
	}
	if len(r.Only)+len(r.Drop) == 0 {
		asked.Only, asked.Drop, asked.KeepRest = rec.Plan.Only, rec.Plan.Without, rec.Plan.KeepRest
	}
	return asked, said
}

// leftOut is what stands on the record's word alone of which tensors were asked for.
func (r *Recognition) leftOut(asked *Recognition) []Condition {
	var all []Condition
	add := func(flag, text string, globs []string) {
		for _, g := range globs {
			all = append(all, Condition{If: text + " " + g, By: plan.TheRecord, Flag: flag, Value: g, Modules: []string{}})
		}
	}
	if len(r.Only)+len(r.Drop) == 0 {
		add("--only", "what is asked for is", asked.Only)
		add("--drop", "nobody needs", asked.Drop)
	}
	return all
}

// question is a setting without its value.
func question(setting string) string { return setting[:strings.LastIndexByte(setting, '=')+1] }

// ofFamilies is which modules a choice is of; those of all add up.
func ofFamilies(choice string) string { return cmp.Or(question(choice), choice) }

// conditionsOf is what stands on the record's word alone, of the blocks of a plan.
func conditionsOf(said record.Said, p *plan.Plan) []Condition {
	var all []Condition
	add := func(what, flag string, settings []string) {
		for _, text := range settings {
			at := strings.LastIndexByte(text, '=') + 1
			c := Condition{If: what + " is " + text[at:], By: plan.TheRecord, Flag: flag, Value: text, Modules: []string{}}
			of, name := "**", strings.TrimSuffix(text[:at], "=")
			if flag != "--set" && name != "" {
				of = name
			} else if glob, question, ok := strings.Cut(name, "="); ok {
				of, name = glob, question
			}
			if flag == "--set" {
				c.If = name + " is " + text[at:]
			}
			for _, b := range p.Blocks {
				if family.CompileGlob(of).Match(b.Path) {
					c.Modules = append(c.Modules, b.Path)
				}
			}
			all = append(all, c)
		}
	}
	add("ε", "--eps", said.Eps)
	add("identity", "--identity", said.Identity)
	add("", "--set", said.Set)
	add("the family", "--family", said.Family)
	return all
}

// recorded has the conditions of notes stand on the record's word, where nobody else says
// what they are about.
func recorded(notes []Note, said record.Said) {
	for _, n := range notes {
		switch c := n.Condition; {
		case c == nil || c.By != plan.YourWord:
		case c.Flag == "--fold-bn" && said.FoldNorms:
			c.By = plan.TheRecord
		case c.Flag == "--family" && len(said.Family) > 0:
			c.By, c.Flag = plan.TheRecord, "" // which names the family, too
		}
	}
}

// layers is what a plan makes, by the key of the weight.
func layers(p *plan.Plan) map[string]*plan.Output {
	made := map[string]*plan.Output{}
	p.EachOutput(nil, func(_ *plan.Block, o *plan.Output) error {
		made[o.Weight] = o
		return nil
	})
	return made
}

// layerText is a layer as people may read it, "" of none; the branches of each sum are sorted, as it is the
// same in any order.
func layerText(o *plan.Output) string {
	if o == nil {
		return ""
	}
	text := strings.ReplaceAll(family.Format(op.Sorted(o.Expr), ""), "\n", " ")
	if o.Bias != "" {
		text += ", with " + o.Bias
	}
	return text
}

// sameLayer reports whether two layers of one weight, either of which may be nil, are the same.
func sameLayer(a, b *plan.Output) bool {
	return a != nil && b != nil && a.Bias == b.Bias && op.Equal(a.Expr, b.Expr) || layerText(a) == layerText(b)
}

// unlike is how a record's plan is not the source's own.
func unlike(own, theirs *plan.Plan) []verify.Finding {
	var all []verify.Finding
	ours, recorded := layers(own), layers(theirs)
	differ := func(key, got, want string) {
		all = append(all, verify.Finding{Kind: verify.Record, Key: key, Got: got, Want: want})
	}
	theirs.EachOutput(nil, func(_ *plan.Block, o *plan.Output) error {
		if mine := ours[o.Weight]; !sameLayer(o, mine) {
			differ(o.Weight, layerText(o), layerText(mine))
		}
		return nil
	})
	own.EachOutput(nil, func(_ *plan.Block, o *plan.Output) error {
		if recorded[o.Weight] == nil {
			differ(o.Weight, "", layerText(o))
		}
		return nil
	})
	for k, f := range own.Fates {
		if got := theirs.Fates[k]; f.Fate != plan.Fused && got.Fate != plan.Fused && fate(got) != fate(f) { // of those the layers tell
			differ(f.Key, fate(got), fate(f))
		}
	}
	return all
}

// fate is what becomes of a tensor in a word or two.
func fate(f plan.Fate) string {
	if f.Fate == plan.Kept && f.NewKey != f.Key {
		return "kept as " + f.NewKey
	}
	return f.Fate
}

// against reports whether a record's plan has anything else of a tensor that a block of the
// source's own plan reads.
func against(own, theirs *plan.Plan) bool {
	ours, recorded := layers(own), layers(theirs)
	for key, layer := range ours {
		if !sameLayer(layer, recorded[key]) {
			return true
		}
	}
	for k, f := range own.Fates {
		if f.Block >= 0 && fate(f) != fate(theirs.Fates[k]) {
			return true
		}
	}
	return false
}

// alone is the conditions that what a record alone knows is right; own may be nil.
func alone(own, theirs *plan.Plan, rec *record.Record) []Condition {
	c := Condition{By: plan.TheRecord, Modules: []string{}}
	switch {
	case rec.Said.Plan != "":
		c.Flag, c.Value = "--plan", rec.Said.Plan
	case rec.Said.Graph != "":
		c.Flag, c.Value = "--graph", rec.Said.Graph
	default:
		c.Flag, c.Value = "--families", rec.Said.Families[0]
	}
	var ours map[string]*plan.Output
	if own != nil {
		ours = layers(own)
	}
	theirs.EachOutput(nil, func(b *plan.Block, o *plan.Output) error {
		if ours[o.Weight] != nil {
			return nil
		}
		if c.If == "" {
			expression, _, _ := strings.Cut(layerText(o), ", with ")
			c.If = o.Weight + " is " + expression
		} else if len(c.Modules) == 1 && c.Modules[0] != b.Path {
			c.If += " and others are what the record has"
		}
		if !slices.Contains(c.Modules, b.Path) {
			c.Modules = append(c.Modules, b.Path)
		}
		return nil
	})
	all := slices.Clone(rec.Conditions)
	if c.If != "" {
		all = append(all, c)
	}
	gone := 0
	for k, f := range theirs.Fates {
		if f.Fate == plan.Dropped && (own == nil || own.Fates[k].Fate != plan.Dropped) {
			gone++
		}
	}
	if gone > 0 {
		c.If, c.Modules = fmt.Sprintf("the deploy model has no use for what is dropped, %d in number", gone), []string{}
		all = append(all, c)
	}
	return all
}
