package recognise

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/facts"
	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// matcher tries one family at one module.
type matcher struct {
	keys     *tree
	facts    *facts.Model
	sets     []*rule
	deployed []string // modules that are fused already
	ordered  bool     // the keys come in the order in which modules were registered
	seen     registered
	byHand   bool // a plan file names the blocks
}

// candidate is a family tried at a module: what it makes and, where it does not fit,
// why.
type candidate struct {
	*family.Match
	// kept and dropped are the whole keys that the expressions do not use.
	kept    []string
	dropped map[string]string
	problem error
	misses  int
	// against marks a problem that is the graph's: it shows another expression.
	against bool
	// misplaced marks a problem that is the order of the keys.
	misplaced bool
	// unseen says that there is a graph, which does not follow how the block's weights are computed.
	unseen bool
	// byHand says that a plan file names the block.
	byHand bool
	// named says that the user asks for the family by its name.
	named bool
	// looksAround says that a stored kernel among the keys is larger than one tap.
	looksAround bool
	// first says that another dialect of the family makes something else of the same keys, and
	// that nobody named one.
	first bool
	// refused is keys beside which the block is not one convolution, with why.
	refused []string
}

// match tries a family at a module and holds it to accounting for every key.
func (m *matcher) match(f *family.Family, path string) candidate {
	return m.matchWith(f, path, func(name string) (string, bool) { return answer(m.sets, path, name) })
}

// matchWith is match with what is said of questions.
func (m *matcher) matchWith(f *family.Family, path string, said func(name string) (string, bool)) candidate {
	c := candidate{byHand: m.byHand, dropped: map[string]string{}, Match: f.Match(family.Site{Keys: m.keys, Module: path, Facts: m.facts, Said: said})}
	keep := family.CompileGlobs(f.Keep)
	placeholder, _ := answer(m.sets, path, "placeholder")
	var left []string
	for _, key := range m.keys.Below(path) {
		whole := family.Whole(path, key)
		if c.Used[whole] {
			continue
		}
		if why, ok := reason(f.Refuse, key); ok && !m.isDeployed(whole) {
			c.refused = append(c.refused, fmt.Sprintf("%s: %s", whole, why))
			continue
		}
		why, drop := reason(f.Drop, key)
		switch {
		case drop:
			c.dropped[whole] = why
		case c.makes(whole) && placeholder == "drop":
			c.dropped[whole] = "a placeholder for what is made"
		case f.Network, family.MatchAny(keep, key):
			c.kept = append(c.kept, whole)
		default:
			left = append(left, whole)
		}
	}
	for key := range c.Used {
		t, _ := m.keys.Lookup("", key)
		if c.looksAround = len(t.Shape) > 2 && tensor.Elems(t.Shape[2:]) > 1; c.looksAround {
			break
		}
	}
	c.misses = len(c.Missing) + len(left)
	c.problem = c.judge(left)
	if c.problem != nil {
		return c
	}
	if why := m.againstOrder(&c); why != nil {
		c.misplaced = true
		c.problem = hint.Add(fmt.Errorf("%s (%s): %w", plan.Shown(path), f, why), "%s", c.leave())
	}
	return c
}

// isDeployed reports whether a key belongs to a module that a record says is fused.
func (m *matcher) isDeployed(key string) bool {
	return slices.ContainsFunc(m.deployed, func(m string) bool { return m == "" || strings.HasPrefix(key, m+".") })
}

// reason is what the first glob that fits a key says of it.
func reason(rules []family.Drop, key string) (why string, ok bool) {
	for _, d := range rules {
		if family.CompileGlob(d.Glob).Match(key) {
			return d.Why, true
		}
	}
	return "", false
}

// makes reports whether the match writes a key.
func (c *candidate) makes(key string) bool {
	return slices.ContainsFunc(c.Made, func(m family.Made) bool {
		return key == m.Weight || key == m.Bias
	})
}

// judge says why the match is none, or nil.
func (c *candidate) judge(left []string) error {
	where := fmt.Sprintf("%s (%s)", plan.Shown(c.Module), c.Family)
	problem := &hint.Error{Hint: c.leave()}
	var setting *family.SettingError
	switch {
	case c.declines():
		return nil
	case errors.As(c.Err, &setting):
		return fmt.Errorf("%s: %w", where, setting)
	case len(c.refused) > 0:
		problem.Err = fmt.Errorf("%s: %s", where, c.refused[0])
	case len(c.Missing) > 0:
		problem.Err = fmt.Errorf("%s: %s is missing%s", where, c.Missing[0], plan.More(len(c.Missing)-1))
	case c.Err != nil:
		problem.Err = fmt.Errorf("%s: %w", where, c.Err)
		if errors.As(c.Err, new(*op.BorderError)) && (c.Family.Own || c.Family.Anchor == nil) {
			problem.Hint = "if the network pads with what the layers before make of zeros, mode plane behind the padding layer's key says so (docs/notation.md)"
		}
	case len(left) > 0 && c.makes(left[0]):
		problem.Err = fmt.Errorf("%s: %s stands beside the branches that it would be made of", where, left[0])
		problem.Hint = flagAt("set", c.Module, "placeholder=drop") + " makes it anew from the branches"
	case len(left) > 0:
		problem.Err = fmt.Errorf("%s: %s is left over%s", where, left[0], plan.More(len(left)-1))
	case len(c.Made) > 0 && len(c.Used) == 0:
		problem.Err = fmt.Errorf("%s: %s reads no tensor", where, c.Made[0].Weight)
	case len(c.Made) == 0 && !c.Family.Network:
		problem.Err = fmt.Errorf("%s: makes nothing", where)
	default:
		return nil
	}
	return problem
}

// leave is how to have the module as it is.
func (c *candidate) leave() string {
	if c.byHand {
		return "without that block in the plan file the module stays as it is"
	}
	return flagAt("family", c.Module, noFamily) + " leaves it as it is"
}

// declines reports whether an answer says that there is nothing to fuse: the family
// is the right one, and the block stays as it is.
func (c *candidate) declines() bool {
	return len(c.Made) == 0 && !c.Family.Network && len(c.Missing) == 0 && c.Err == nil &&
		slices.ContainsFunc(c.Answers, func(a family.Answer) bool { return a.Value == "no" })
}

// forbidden reports whether the block is one of the family in all but what the family
// refuses.
func (c *candidate) forbidden() bool {
	return len(c.refused) > 0 && c.misses == 0 && c.Err == nil
}
