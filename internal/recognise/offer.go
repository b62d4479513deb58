package recognise

import (
	"slices"
	"strings"

	"repfuse/internal/facts"
	"repfuse/internal/family"
)

// offer is the families that may be tried at a module.
type offer struct {
	set   *family.Set
	all   []*family.Family // that have a name of their anchor somewhere
	facts *facts.Model
	// byFirst is the families to try where a module has a child of a name; anywhere is
	// those whose anchor begins with a wildcard.
	byFirst  map[string][]*family.Family
	anywhere []*family.Family
	enabled  []scope // by networks that were found
	eps      []epsBelow
}

// newOffer sorts the families by the first name of their anchors, so that a module is
// only asked about what its children's names suggest.
func newOffer(set *family.Set, model *facts.Model, names map[string]bool) (*offer, error) {
	all, err := set.Among(func(name string) bool { return names[name] })
	if err != nil {
		return nil, err
	}
	o := &offer{set: set, all: all, facts: model, byFirst: map[string][]*family.Family{}}
	for _, f := range o.all {
		for _, first := range f.FirstNames() {
			if first == "" {
				o.anywhere = append(o.anywhere, f)
			} else {
				o.byFirst[first] = append(o.byFirst[first], f)
			}
		}
	}
	return o, nil
}

// hasOwn reports whether the user declared families.
func (o *offer) hasOwn() bool {
	return slices.ContainsFunc(o.all, func(f *family.Family) bool { return f.Own })
}

// at lists the families whose anchor a module has and that may be used there.
func (o *offer) at(keys *tree, n *node) []*family.Family {
	var list []*family.Family
	seen := map[string]bool{}
	consider := func(f *family.Family) {
		if seen[f.Name] {
			return
		}
		seen[f.Name] = true
		if f, asked := o.speaking(f, n.path); (asked || !f.OnRequest) && f.Anchored(keys, n.path) {
			list = append(list, f)
		}
	}
	for _, c := range n.children {
		for _, f := range o.byFirst[c.name] {
			consider(f)
		}
	}
	for _, f := range o.anywhere {
		consider(f)
	}
	return list
}

// speaking is the family in the dialect that a fact or the network around names;
// asked reports whether one of them asks for it by name.
func (o *offer) speaking(f *family.Family, path string) (g *family.Family, asked bool) {
	if g, ok := o.ofClass(f, path); ok {
		return g, true
	}
	for _, s := range slices.Backward(o.enabled) {
		if s.allows(f.Name, path) {
			if g, err := f.In(s.dialect); err == nil {
				return g, true
			}
		}
	}
	return f, false
}

// ofClass is the family in the dialect that the facts' class of a module speaks; ok
// reports whether there is one.
func (o *offer) ofClass(f *family.Family, path string) (g *family.Family, ok bool) {
	if o.facts == nil {
		return f, false
	}
	return f.OfClass(o.facts.Modules[path].Class)
}

// enables reports whether a network around a module allows a family there.
func (o *offer) enables(name, path string) bool {
	return slices.ContainsFunc(o.enabled, func(s scope) bool { return s.allows(name, path) })
}

// epsBelow is the ε of the batch norms below a network.
type epsBelow struct {
	path string
	eps  float64
}

// epsAt is the ε of the innermost network around a module, 0 where none says one.
func (o *offer) epsAt(path string) float64 {
	for _, e := range slices.Backward(o.eps) {
		if e.path == "" || path == e.path || strings.HasPrefix(path, e.path+".") {
			return e.eps
		}
	}
	return 0
}

// scope is a network's leave to use a family, in a dialect, below a module, or on
// the modules below it that fit one of the globs.
type scope struct {
	path, name, dialect string
	globs               []family.Glob
}

// newScope reads NAME[/DIALECT] [GLOB…], what a network enables below a module.
func newScope(path, text string) scope {
	words := strings.Fields(text)
	s := scope{path: path}
	s.name, s.dialect, _ = strings.Cut(words[0], "/")
	s.globs = family.CompileGlobs(words[1:])
	return s
}

func (s scope) allows(name, path string) bool {
	if s.name != name || (s.path != "" && path != s.path && !strings.HasPrefix(path, s.path+".")) {
		return false
	}
	below, _ := family.Relative(s.path, path)
	return len(s.globs) == 0 || family.MatchAny(s.globs, below)
}
