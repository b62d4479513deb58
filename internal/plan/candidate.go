package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/op"
)

// candidate is a family tried at a module: what it makes and, where it does not fit,
// why.
type candidate struct {
	*family.Match
	// kept and dropped are the whole keys that the expressions do not use.
	kept    []string
	dropped map[string]string
	problem error
	misses  int
	// refused is keys beside which the block is not one convolution, with why.
	refused []string
}

// declines reports whether an answer says that there is nothing to fuse: the family
// is the right one, and the block stays as it is.
func (c *candidate) declines() bool {
	return len(c.Made) == 0 && !c.Family.Network && len(c.Missing) == 0 && c.Err == nil &&
		slices.ContainsFunc(c.Answers, func(a family.Answer) bool { return a.Value == "no" })
}

func refused(f *family.Family, key string) (why string, ok bool) {
	for _, d := range f.Refuse {
		if family.CompileGlob(d.Glob).Match(key) {
			return d.Why, true
		}
	}
	return "", false
}

// match tries a family at a module and holds it to accounting for every key.
func (r *recogniser) match(f *family.Family, n *node) candidate {
	m := f.Match(r.site(n.path))
	c := candidate{Match: m, dropped: map[string]string{}}
	keep, drop := globs(f.Keep), make([]family.Glob, len(f.Drop))
	for k, d := range f.Drop {
		drop[k] = family.CompileGlob(d.Glob)
	}
	placeholder, _ := said(r.sets, n.path, "placeholder")
	var left []string
	for _, key := range r.keys.Below(n.path) {
		whole := join(n.path, key)
		if m.Used[whole] {
			continue
		}
		if why, ok := refused(f, key); ok && !r.left(whole) {
			c.refused = append(c.refused, fmt.Sprintf("%s: %s", whole, why))
			continue
		}
		if k := slices.IndexFunc(drop, func(g family.Glob) bool { return g.Match(key) }); k >= 0 {
			c.dropped[whole] = f.Drop[k].Why
			continue
		}
		switch {
		case c.makes(whole) && placeholder == "drop":
			c.dropped[whole] = "a placeholder for what is made"
		case f.Network, slices.ContainsFunc(keep, func(g family.Glob) bool { return g.Match(key) }):
			c.kept = append(c.kept, whole)
		default:
			left = append(left, whole)
		}
	}
	c.misses = len(m.Missing) + len(left)
	c.problem = c.judge(left)
	return c
}

// left reports whether a key belongs to a module that is fused already.
func (r *recogniser) left(whole string) bool {
	return slices.ContainsFunc(r.opts.Leave, func(m string) bool { return m == "" || strings.HasPrefix(whole, m+".") })
}

func (r *recogniser) site(path string) family.Site {
	return family.Site{Keys: r.keys, Module: path, Facts: r.opts.Facts,
		Said: func(name string) (string, bool) { return said(r.sets, path, name) }}
}

func globs(patterns []string) []family.Glob {
	list := make([]family.Glob, len(patterns))
	for k, p := range patterns {
		list[k] = family.CompileGlob(p)
	}
	return list
}

// makes reports whether the match writes a key.
func (c *candidate) makes(key string) bool {
	return slices.ContainsFunc(c.Made, func(m family.Made) bool {
		return key == named(m.Key, "weight") || key == named(m.Key, "bias")
	})
}

// judge says why the match is none, or nil.
func (c *candidate) judge(left []string) error {
	where := fmt.Sprintf("%s (%s)", shown(c.Module), c.Family)
	aside := &hint.Error{Hint: fmt.Sprintf("--family %s=%s leaves it as it is", shown(c.Module), leave)}
	var setting *family.SettingError
	switch {
	case c.declines():
		return nil
	case errors.As(c.Err, &setting):
		return fmt.Errorf("%s: %w", where, setting)
	case len(c.refused) > 0:
		aside.Err = fmt.Errorf("%s: %s", where, c.refused[0])
	case len(c.Missing) > 0:
		aside.Err = fmt.Errorf("%s: %s is missing%s", where, c.Missing[0], more(len(c.Missing)-1))
	case c.Err != nil:
		aside.Err = fmt.Errorf("%s: %w", where, c.Err)
	case len(left) > 0 && c.makes(left[0]):
		return &hint.Error{
			Err:  fmt.Errorf("%s: %s stands beside the branches that it would be made of", where, left[0]),
			Hint: fmt.Sprintf("--set %s=placeholder=drop makes it anew from the branches", shown(c.Module))}
	case len(left) > 0:
		aside.Err = fmt.Errorf("%s: %s is left over%s", where, left[0], more(len(left)-1))
	case len(c.Made) == 0 && !c.Family.Network:
		aside.Err = fmt.Errorf("%s: makes nothing", where)
	default:
		return nil
	}
	return aside
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}

// shown is a module's path for people: the root is a dot.
func shown(path string) string {
	if path == "" {
		return "."
	}
	return path
}

// sift leaves, of candidates that fit, those that fuse something, those that the
// network around asks for, those that a fact names by their class, and those whose
// own ε is the one that the facts say, where there are such.
func (r *recogniser) sift(fits []candidate) []candidate {
	prefer := func(good func(candidate) bool) {
		if slices.ContainsFunc(fits, good) {
			fits = slices.DeleteFunc(fits, func(c candidate) bool { return !good(c) })
		}
	}
	prefer(func(c candidate) bool { return !c.declines() })
	prefer(func(c candidate) bool {
		return slices.ContainsFunc(r.enabled, func(s scope) bool { return s.allows(c.Family.Name, c.Module) })
	})
	if r.opts.Facts != nil {
		prefer(func(c candidate) bool {
			_, named := c.Family.OfClass(r.opts.Facts.Modules[c.Module].Class)
			return named
		})
		prefer(candidate.ownEps)
	}
	return fits
}

// ownEps reports whether all batch norms have the ε that the family gives them.
func (c candidate) ownEps() bool {
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

// forbidden reports whether the block is one of the family in all but what the family
// refuses.
func (c candidate) forbidden() bool {
	return len(c.refused) > 0 && c.misses == 0 && c.Err == nil
}

// only is the one candidate that fits; several that come to the same are one.
func only(fits []candidate) (candidate, error) {
	first := fits[0]
	for _, c := range fits[1:] {
		if c.signature() != first.signature() {
			return first, &hint.Error{
				Err:  fmt.Errorf("%s is a %s and a %s block", shown(first.Module), first.Family, c.Family),
				Hint: fmt.Sprintf("say which with --family %s=%s", shown(first.Module), first.Family)}
		}
	}
	return first, nil
}

// signature is what a candidate does, as text.
func (c *candidate) signature() string {
	var s strings.Builder
	for _, m := range c.Made {
		fmt.Fprintf(&s, "%s = %s\n", m.Key, m.Expr)
	}
	dropped := make([]string, 0, len(c.dropped))
	for k := range c.dropped {
		dropped = append(dropped, k)
	}
	slices.Sort(dropped)
	return s.String() + strings.Join(dropped, " ")
}

// nearest is the near miss with the fewest keys amiss.
func nearest(misses []candidate) error {
	best := misses[0]
	for _, c := range misses[1:] {
		if c.misses < best.misses {
			best = c
		}
	}
	return best.problem
}
