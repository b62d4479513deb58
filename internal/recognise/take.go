package recognise

import (
	"maps"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/op"
	"repfuse/internal/plan"
)

// take enters a match in what was found: what it uses and drops is gone for others, what
// it keeps may hold further blocks.
func (r *recogniser) take(c candidate) {
	f := c.Family
	for key, why := range c.dropped {
		r.drop(key, why)
	}
	for _, ren := range f.Rename {
		r.rename(c.Module, ren)
	}
	if f.Network {
		if f.Eps != 0 {
			r.offer.eps = append(r.offer.eps, epsBelow{c.Module, f.Eps})
		}
		for _, text := range f.Enable {
			r.offer.enabled = append(r.offer.enabled, newScope(c.Module, text))
		}
	} else if len(f.Keep) > 0 {
		r.keep("", c.kept, "kept by the "+f.Name+" declaration")
	}
	if len(c.Made) > 0 {
		c.first = r.isFirst(c)
		r.found.Blocks = append(r.found.Blocks, r.block(c))
		r.taken = append(r.taken, c)
	}
}

// isFirst reports whether a match is the first of several dialects for no better reason.
func (r *recogniser) isFirst(c candidate) bool {
	f := c.Family
	if f.Dialect != "" || r.facts != nil || r.graph != nil || r.offer.enables(f.Name, c.Module) {
		return false
	}
	if slices.ContainsFunc(choicesAt(r.choices, c.Module), func(named *rule) bool { return named.name == f.Name }) {
		return false
	}
	return slices.ContainsFunc(f.Dialects, func(d family.Dialect) bool {
		if d.Make == nil {
			return false
		}
		g, err := f.In(d.Name)
		if err != nil {
			return false
		}
		other := r.match(g, c.Module)
		return other.problem == nil && !slices.EqualFunc(c.Made, other.Made, func(a, b family.Made) bool {
			return op.Canonical(a.Expr) == op.Canonical(b.Expr)
		})
	})
}

// block is what a match makes, whose keys are taken with it.
func (r *recogniser) block(c candidate) plan.Block {
	b := plan.Block{Path: c.Module, Family: c.Family.String(), Title: c.Family.Title, Used: slices.Sorted(maps.Keys(c.Used))}
	for _, m := range c.Made {
		o := plan.Output{Weight: m.Weight, Expr: m.Expr, Form: m.Form}
		if m.Form.Bias {
			o.Bias = m.Bias
		}
		b.Outputs = append(b.Outputs, o)
	}
	for _, a := range c.Answers {
		b.Answers = append(b.Answers, plan.Answer{Name: a.Name, Value: a.Value, By: a.By})
	}
	stale := family.CompileGlobs(c.Family.Stale)
	for _, key := range b.Used {
		r.keys.take(key)
		if rest, _ := family.Relative(b.Path, key); family.MatchAny(stale, rest) {
			b.Stale = append(b.Stale, key)
		}
	}
	return b
}

func (r *recogniser) drop(key, why string) {
	r.keys.take(key)
	r.found.Dropped[key] = why
}

// keep notes why keys below a module stay, unless a block reads them yet.
func (r *recogniser) keep(module string, keys []string, why string) {
	for _, key := range keys {
		r.found.Kept[family.Whole(module, key)] = why
	}
}

// rename moves the keys below a prefix, or one key, where that is in quotes. It reports whether
// there are any.
func (r *recogniser) rename(module string, ren family.Rename) (any bool) {
	from, to := family.Whole(module, family.Untext(ren.From)), family.Whole(module, family.Untext(ren.To))
	n := r.keys.root.find(from)
	if n == nil || from == "" {
		return false
	}
	move := func(n *node) {
		rest := n.path[len(from):]
		if to == "" {
			rest = strings.TrimPrefix(rest, ".")
		}
		r.found.Renamed[n.path], any = to+rest, true
	}
	if n.tensor != nil {
		move(n)
	}
	if !strings.HasPrefix(ren.From, `"`) {
		n.walk(move)
	}
	return any
}
