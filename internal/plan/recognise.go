package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/tensor"
)

// New plans a checkpoint's tensors. Errors name the block and end in a hint.
func New(tensors []tensor.Named, o Options) (*Plan, error) {
	sets, err := parseRules(o.Sets, 2, "[GLOB=]NAME=VALUE")
	if err != nil {
		return nil, err
	}
	choices, err := parseRules(o.Choices, 1, "[GLOB=]FAMILY")
	if err != nil {
		return nil, err
	}
	p := &Plan{}
	keys, err := p.strip(tensors, o)
	if err != nil {
		return nil, err
	}
	r := &recogniser{plan: p, opts: o, sets: sets, choices: choices, keys: newTree(p.Fates, keys)}
	if err := r.chosenFamilies(); err != nil {
		return nil, err
	}
	r.index()
	if o.File != nil {
		err = r.byHand(o.File)
	} else {
		err = r.recognise()
	}
	if err != nil {
		return nil, err
	}
	return p, r.finish(keys)
}

// strip fills the fates and takes the prefix off the keys: the one said, the plan
// file's own, or else wrappers that all keys have.
func (p *Plan) strip(tensors []tensor.Named, o Options) ([]string, error) {
	prefix := o.Prefix
	switch {
	case prefix != "":
	case o.File != nil:
		prefix = o.File.Prefix
	default:
		prefix = commonPrefix(tensors)
		if prefix != "" {
			p.Notes = append(p.Notes, Note{Text: fmt.Sprintf("every key begins with %s, which is taken off", prefix)})
		}
	}
	p.Prefix = prefix
	keys := make([]string, len(tensors))
	p.Fates = make([]Fate, len(tensors))
	for k, t := range tensors {
		if !strings.HasPrefix(t.Key, prefix) {
			return nil, fmt.Errorf("%s does not begin with the prefix %q", t.Key, prefix)
		}
		keys[k] = strings.TrimPrefix(t.Key, prefix)
		p.Fates[k] = Fate{Named: t, Block: -1, NewKey: keys[k]}
	}
	return keys, nil
}

// wrappers are modules that only wrap another: DistributedDataParallel, compile.
var wrappers = []string{"module.", "_orig_mod."}

func commonPrefix(tensors []tensor.Named) string {
	prefix := ""
	for again := true; again && len(tensors) > 0; {
		again = false
		for _, w := range wrappers {
			if !slices.ContainsFunc(tensors, func(t tensor.Named) bool { return !strings.HasPrefix(t.Key, prefix+w) }) {
				prefix += w
				again = true
			}
		}
	}
	return prefix
}

// recogniser walks the modules from the root down and takes the outermost match.
type recogniser struct {
	plan    *Plan
	opts    Options
	sets    []*rule
	choices []*rule
	keys    *tree
	chosen  map[*rule]*family.Family
	// byFirst is the families to try where a module has a child of a name; anywhere is
	// those whose anchor begins with a wildcard.
	byFirst  map[string][]*family.Family
	anywhere []*family.Family
	enabled  []scope
	near     []error
	open     []openBlock
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
	s.globs = globs(words[1:])
	return s
}

func (s scope) allows(name, path string) bool {
	if s.name != name || (s.path != "" && path != s.path && !strings.HasPrefix(path, s.path+".")) {
		return false
	}
	below := relative(s.path, path)
	return len(s.globs) == 0 || slices.ContainsFunc(s.globs, func(g family.Glob) bool { return g.Match(below) })
}

// openBlock is a block with a question that nobody answered.
type openBlock struct {
	path string
	family.Question
}

// leave is the --family name that leaves a module as it is.
const leave = "none"

func (r *recogniser) chosenFamilies() error {
	r.chosen = map[*rule]*family.Family{}
	for _, c := range r.choices {
		if c.name == leave || c.name == plainName {
			continue
		}
		f, err := r.opts.Families.Find(c.name)
		if err != nil {
			return &hint.Error{Err: fmt.Errorf("--family %s: %w", c.text, err), Hint: "repfuse families lists them"}
		}
		r.chosen[c] = f
	}
	return nil
}

// index sorts the families by the first name of their anchors, so that a module is
// only asked about what its children's names suggest.
func (r *recogniser) index() {
	r.byFirst = map[string][]*family.Family{}
	for _, f := range r.opts.Families.All() {
		for _, first := range f.FirstNames() {
			if first == "" {
				r.anywhere = append(r.anywhere, f)
			} else {
				r.byFirst[first] = append(r.byFirst[first], f)
			}
		}
	}
}

func (r *recogniser) recognise() error {
	if err := r.visit(r.keys.root); err != nil {
		return err
	}
	if err := errors.Join(r.near...); err != nil {
		return err
	}
	if len(r.plan.Blocks) == 0 && !slices.Contains(r.opts.Leave, "") {
		if err := r.plainFolder(); err != nil {
			return err
		}
	}
	r.suggest()
	return errors.Join(r.askOpen(), r.sayOverruled())
}

// visit tries the families at a module, then goes on to what lies below.
func (r *recogniser) visit(n *node) error {
	if err := r.try(n); err != nil {
		return err
	}
	for _, c := range n.children {
		if c.children != nil {
			if err := r.visit(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// try takes the family that fits at a module, if one does.
func (r *recogniser) try(n *node) error {
	if slices.Contains(r.opts.Leave, n.path) {
		return nil
	}
	choice := r.choiceAt(n.path)
	if choice != nil && choice.name == leave {
		choice.used = true
		return nil
	}
	if choice != nil && choice.name == plainName {
		return r.requestedPlain(n, choice)
	}
	candidates := r.candidates(n)
	if choice != nil {
		if f := r.chosen[choice]; f.Anchored(r.keys, n.path) {
			c := r.match(f, n)
			if c.problem == nil {
				choice.used = true
				return r.take(c)
			}
			if c.forbidden() {
				return c.problem
			}
			candidates = append(candidates, f)
		}
	}
	var fits, misses []candidate
	seen := map[string]bool{}
	for _, f := range candidates {
		if seen[f.String()] {
			continue
		}
		seen[f.String()] = true
		if c := r.match(f, n); c.problem == nil || c.forbidden() {
			fits = append(fits, c)
		} else {
			misses = append(misses, c)
		}
	}
	switch {
	case len(fits) > 0:
		c, err := only(r.sift(fits))
		if err != nil {
			return err
		}
		if c.problem != nil {
			return c.problem
		}
		return r.take(c)
	case len(misses) > 0:
		near := nearest(misses)
		if setting := (*family.SettingError)(nil); errors.As(near, &setting) {
			return near // once, and not of every block
		}
		r.near = append(r.near, near)
	}
	return nil
}

// choiceAt is the last --family that speaks of a path.
func (r *recogniser) choiceAt(path string) *rule {
	for k := len(r.choices) - 1; k >= 0; k-- {
		if r.choices[k].glob.Match(path) {
			return r.choices[k]
		}
	}
	return nil
}

// candidates lists the families whose anchor a module has and that may be used
// there.
func (r *recogniser) candidates(n *node) []*family.Family {
	var list []*family.Family
	seen := map[string]bool{}
	consider := func(f *family.Family) {
		if seen[f.Name] {
			return
		}
		seen[f.Name] = true
		if f, asked := r.speaking(f, n.path); (asked || !f.OnRequest) && f.Anchored(r.keys, n.path) {
			list = append(list, f)
		}
	}
	for _, c := range n.children {
		for _, f := range r.byFirst[c.name] {
			consider(f)
		}
	}
	for _, f := range r.anywhere {
		consider(f)
	}
	return list
}

// speaking is the family in the dialect that a fact or the network around names;
// asked reports whether one of them asks for it by name.
func (r *recogniser) speaking(f *family.Family, path string) (g *family.Family, asked bool) {
	if r.opts.Facts != nil {
		if g, ok := f.OfClass(r.opts.Facts.Modules[path].Class); ok {
			return g, true
		}
	}
	for k := len(r.enabled) - 1; k >= 0; k-- {
		if s := r.enabled[k]; s.allows(f.Name, path) {
			if g, err := f.In(s.dialect); err == nil {
				return g, true
			}
		}
	}
	return f, false
}
