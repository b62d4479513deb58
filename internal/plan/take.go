package plan

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/hint"
)

// take enters a match in the plan: what it uses and drops is gone for others, what
// it keeps may hold further blocks.
func (r *recogniser) take(c candidate) error {
	f := c.Family
	for whole, why := range c.dropped {
		fate := r.keys.settle(whole)
		fate.Fate, fate.Why = Dropped, why
	}
	for _, ren := range f.Rename {
		r.rename(c.Module, ren)
	}
	if f.Network {
		for _, text := range f.Enable {
			r.enabled = append(r.enabled, newScope(c.Module, text))
		}
	}
	if len(c.Made) == 0 {
		return nil
	}
	b := Block{Path: c.Module, Family: f.String(), Title: f.Title, Answers: c.Answers, Rules: f}
	for _, m := range c.Made {
		b.Outputs = append(b.Outputs, output(m))
	}
	b.Used = slices.Sorted(maps.Keys(c.Used))
	r.enter(b, f.Stale)
	r.assume(c)
	for _, q := range c.Open {
		r.open = append(r.open, openBlock{c.Module, q})
	}
	return nil
}

// output names the tensors that a convolution is written under. A module that ends
// in an underscore is joined without a dot, as its inputs were.
func output(m family.Made) Output {
	o := Output{Weight: named(m.Key, "weight"), Expr: m.Expr, Form: m.Form}
	if m.Form.Bias {
		o.Bias = named(m.Key, "bias")
	}
	return o
}

// enter adds a block and settles the fate of the keys that it uses.
// stale is globs, relative to it, of those that stay.
func (r *recogniser) enter(b Block, stale []string) {
	stay := globs(stale)
	for _, whole := range b.Used {
		fate := r.keys.settle(whole)
		fate.Fate, fate.Block = Fused, len(r.plan.Blocks)
		key := relative(b.Path, whole)
		if slices.ContainsFunc(stay, func(g family.Glob) bool { return g.Match(key) }) {
			fate.Fate = Kept
		}
	}
	r.plan.Blocks = append(r.plan.Blocks, b)
}

func (r *recogniser) rename(module string, ren family.Rename) {
	from, to := join(module, ren.From), join(module, ren.To)
	for key, fate := range r.keys.tensors {
		if rest, ok := strings.CutPrefix(key, from); ok && (rest == "" || rest[0] == '.') {
			fate.NewKey = strings.TrimPrefix(to+rest, ".")
		}
	}
}

// assume notes what was decided without anybody's word: ε, the dialect, answers by
// default. The same note about many blocks is made once.
func (r *recogniser) assume(c candidate) {
	f := c.Family
	if c.EpsAssumed != 0 {
		r.noteOnce(Note{Where: f.String(), Text: fmt.Sprintf("ε %g is assumed, no key holds it", c.EpsAssumed),
			Hint: "--eps decides it" + otherDialects(f)})
	} else if f.Dialect == "" && len(f.Dialects) > 0 && r.opts.Facts == nil {
		r.noteOnce(Note{Where: f.String(), Text: "read as the first of its dialects", Hint: strings.TrimPrefix(otherDialects(f), "; ")})
	}
	if c.PaddingMode != "" {
		r.noteOnce(Note{Where: shown(c.Module), Text: fmt.Sprintf("pads by %s: the deploy convolution has to as well", c.PaddingMode)})
	}
	for _, a := range c.Answers {
		if a.By == "default" {
			r.noteOnce(Note{Where: f.String(), Text: fmt.Sprintf("%s: %s is assumed, no key says it", about(a.Question), a.Value),
				Hint: fmt.Sprintf("--set %s=%s decides it", a.Name, otherAnswer(a))})
		}
	}
}

func otherAnswer(a family.Answer) string {
	switch a.Value {
	case "yes":
		return "no"
	case "no":
		return "yes"
	}
	return "VALUE"
}

func otherDialects(f *family.Family) string {
	if f.Dialect != "" || len(f.Dialects) == 0 {
		return ""
	}
	var s []string
	for _, d := range f.Dialects {
		t := fmt.Sprintf("--family %s/%s", f.Name, d.Name)
		if d.Eps != 0 {
			t += fmt.Sprintf(" takes ε %g", d.Eps)
		} else if d.Title != "" {
			t += " is " + d.Title
		}
		s = append(s, t)
	}
	return "; " + strings.Join(s, ", ")
}

func about(q family.Question) string {
	if q.About != "" {
		return q.About
	}
	return q.Name
}

func (r *recogniser) noteOnce(n Note) {
	if !slices.Contains(r.plan.Notes, n) {
		r.plan.Notes = append(r.plan.Notes, n)
	}
}

// askOpen is the one error that lists every question left open and ends in a
// command ready to run.
func (r *recogniser) askOpen() error {
	if len(r.open) == 0 {
		return nil
	}
	var names []string
	byName := map[string][]string{}
	text := map[string]string{}
	for _, o := range r.open {
		if byName[o.Name] == nil {
			names = append(names, o.Name)
			text[o.Name] = about(o.Question)
		}
		byName[o.Name] = append(byName[o.Name], shown(o.path))
	}
	var errs []error
	for _, name := range names {
		blocks := byName[name]
		errs = append(errs, &hint.Error{
			Err:  fmt.Errorf("%s: no key says: %s", list(blocks), text[name]),
			Hint: settle(name, blocks)})
	}
	return errors.Join(errs...)
}

func list(blocks []string) string {
	const most = 12
	if len(blocks) <= most {
		return strings.Join(blocks, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(blocks[:most], ", "), len(blocks)-most)
}

func settle(name string, blocks []string) string {
	if name == "identity" {
		if len(blocks) == 1 {
			return "--identity yes or --identity no; or export with repfuse exporter, which records it"
		}
		return fmt.Sprintf("--identity yes or --identity no for all, --identity %s=no for one; or export with repfuse exporter, which records it", blocks[0])
	}
	return fmt.Sprintf("--set %s=VALUE for all, --set %s=%s=VALUE for one; or export with repfuse exporter, which records it", name, blocks[0], name)
}

// finish settles what no block took, looks for what is fused already, and refuses
// settings that decided nothing and keys that would be written twice.
func (r *recogniser) finish(keys []string) error {
	for k := range r.plan.Fates {
		f := &r.plan.Fates[k]
		if f.Fate == "" {
			f.Fate = Kept
		}
	}
	if err := errors.Join(unused("set", r.sets), unused("family", r.choices)); err != nil {
		return err
	}
	r.findDeployed(keys)
	if n := len(r.plan.Deployed); n > 0 && len(r.plan.Blocks) > 0 {
		r.noteOnce(Note{Where: shown(r.plan.Deployed[0]) + more(n-1), Text: "fused already, and left as it is"})
	}
	return r.plan.unique()
}

// giveaways is the keys that only deploy forms have.
func (r *recogniser) giveaways() map[string]bool {
	all := map[string]bool{}
	for _, f := range r.opts.Families.All() {
		for _, d := range f.Deployed {
			all[d] = true
		}
	}
	return all
}

// findDeployed lists the modules that a record says are fused, and those with keys that
// only a deploy form has.
func (r *recogniser) findDeployed(keys []string) {
	giveaway := r.giveaways()
	r.plan.Deployed = append(r.plan.Deployed, r.opts.Leave...)
	for k, key := range keys {
		if r.plan.Fates[k].Fate != Kept {
			continue
		}
		for module, name := range splits(key) {
			if giveaway[name] && !slices.Contains(r.opts.Leave, module) {
				r.plan.Deployed = append(r.plan.Deployed, module)
				break
			}
		}
	}
}

// splits cuts a key at each of its dots, the shortest name first; the last is the
// whole key, in the root.
func splits(key string) iter.Seq2[string, string] {
	return func(yield func(module, name string) bool) {
		for at := strings.LastIndexByte(key, '.'); at >= 0; at = strings.LastIndexByte(key[:at], '.') {
			if !yield(key[:at], key[at+1:]) {
				return
			}
		}
		yield("", key)
	}
}

// unique refuses two tensors under one key of the result.
func (p *Plan) unique() error {
	from := map[string]string{}
	put := func(key, who string) error {
		if other, ok := from[key]; ok {
			return fmt.Errorf("%s would be written twice: by %s and by %s", key, other, who)
		}
		from[key] = who
		return nil
	}
	for _, f := range p.Fates {
		if f.Fate == Kept {
			if err := put(f.NewKey, f.Key); err != nil {
				return err
			}
		}
	}
	for _, b := range p.Blocks {
		for _, o := range b.Outputs {
			if err := put(o.Weight, shown(b.Path)+" ("+b.Family+")"); err != nil {
				return err
			}
			if o.Bias == "" {
				continue
			}
			if err := put(o.Bias, shown(b.Path)+" ("+b.Family+")"); err != nil {
				return err
			}
		}
	}
	return nil
}
