package family

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"repfuse/internal/facts"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// Keys is what a matcher sees of a checkpoint.
type Keys interface {
	// Lookup finds a tensor by its key relative to a module; the Named has the whole key.
	// Whole puts the two together: where it is not there, mostly, nobody needs that.
	Lookup(module, key string) (tensor.Named, bool)
	// Below lists the keys under a module, relative to it.
	Below(module string) []string
}

// Site is a place where families are tried: a module of a checkpoint, what is
// known of it besides its keys, and what the user said.
type Site struct {
	Keys   Keys
	Module string
	Facts  *facts.Model
	// Said gives the user's answer to a question (eps among them) at this module.
	Said func(name string) (string, bool)
}

// Match is what a family makes of a module's keys.
type Match struct {
	Family *Family
	Module string
	Made   []Made
	// Used is the whole keys that the expressions read or that go with what they read.
	Used map[string]bool
	// Missing is the whole keys that the expressions want and the checkpoint lacks: the
	// match is a near miss.
	Missing []string
	// Answers is how each question that made a difference was answered, Open those that
	// nobody answered and that both answers fit.
	Answers []Answer
	Open    []Question
	// EpsAssumed is the ε that no fact and no user gave, 0 where there is none.
	EpsAssumed float64
	// PaddingMode is how the block's convolutions pad, where a fact says that it is not
	// with zeros: the deploy convolution has to pad so too.
	PaddingMode string
	// Err says why tensors that are all there do not fit each other.
	Err error
}

// Made is a convolution that a block becomes: the whole keys of its weight and of its
// bias, where it has one, what it computes, and what that comes to.
type Made struct {
	Weight, Bias string
	Expr         op.Expr
	Form         op.Form
}

// Answer is a question's answer and who gave it: "said", "fact", "default" or
// "shapes".
type Answer struct {
	Question
	Value, By string
	// Overruled reports a yes that was said and is a no by shapes that a group count,
	// of which nothing speaks, would explain as well.
	Overruled bool
}

// Yes reports whether the answer is yes.
func (a Answer) Yes() bool { return isYes(a.Value) }

// Fits reports whether every key that the expressions want is there.
func (m *Match) Fits() bool { return len(m.Missing) == 0 && len(m.Used) > 0 }

// Match tries a family at a site. Questions that nobody answers are tried with yes, or
// with 1 where a number is wanted; where the shapes refuse yes, the answer is no.
func (f *Family) Match(s Site) *Match {
	b := &builder{site: s, family: f, answers: map[string]Answer{}, keyed: map[string]bool{}}
	m := b.match()
	doubtful := m.Err == nil && !b.plausible(m)
	if (m.Err != nil || doubtful) && b.sayNo(doubtful) {
		m = b.match()
	}
	m.EpsAssumed = b.epsAssumed
	for _, q := range f.Ask {
		a, asked := b.answers[q.Name]
		switch {
		case !asked:
		case a.By == "open":
			m.Open = append(m.Open, q)
		default:
			m.Answers = append(m.Answers, a)
		}
	}
	return m
}

type builder struct {
	site    Site
	family  *Family
	answers map[string]Answer
	// keyed is the questions about parts that have keys: shapes do not answer those.
	keyed map[string]bool
	env   []binding
	// epsAssumed is the ε that nobody gave, where a batch norm took one.
	epsAssumed float64
}

// binding is the value of a <name> in keys.
type binding struct{ name, value string }

// part is what a node comes to: nil where it is left out.
type part struct {
	expr    op.Expr
	used    []string
	missing []string
	err     error
}

func (p *part) add(q part) {
	p.used = append(p.used, q.used...)
	p.missing = append(p.missing, q.missing...)
	if p.err == nil {
		p.err = q.err
	}
}

func (b *builder) match() *Match {
	m := &Match{Family: b.family, Module: b.site.Module, Used: map[string]bool{}}
	b.wants(m)
	for _, out := range b.family.Make {
		to, err := out.target()
		if err != nil {
			m.Err = err
			break
		}
		b.each(varsOf(to.weight), out.Expr, func() { b.output(m, to, out.Expr) })
	}
	return m
}

// wants holds a block to what its declaration says beside the expressions: keys that
// must be there though no expression reads them, and kernels over equally many
// input channels a group.
func (b *builder) wants(m *Match) {
	for _, key := range b.family.Need {
		if _, ok := b.lookup(key); !ok {
			m.Missing = append(m.Missing, b.whole(key))
		}
	}
	first, width := "", 0
	for _, key := range b.family.Alike {
		t, ok := b.lookup(key)
		switch {
		case !ok || len(t.Shape) < 2 || m.Err != nil:
		case first == "":
			first, width = t.Key, t.Shape[1]
		case t.Shape[1] != width:
			m.Err = fmt.Errorf("%s has shape %v, want %d input channels a group as %s has: side by side, not one after the other", t.Key, t.Shape, width, first)
		}
	}
}

// output adds to a match what an expression comes to.
func (b *builder) output(m *Match, to target, n Node) {
	p := b.build(n)
	if to.optional && (len(p.used) == 0 || p.expr == nil) {
		return
	}
	for _, k := range p.used {
		m.Used[k] = true
	}
	m.Missing = append(m.Missing, p.missing...)
	if m.Err == nil {
		m.Err = p.err
	}
	if p.expr == nil || len(p.missing) > 0 || m.Err != nil {
		return
	}
	form, err := op.Check(p.expr)
	if err == nil {
		err = b.linear(p.expr)
	}
	made := Made{Weight: b.whole(b.fill(to.weight)), Expr: p.expr, Form: form}
	if to.bias != "" {
		made.Bias = b.whole(b.fill(to.bias))
	} else if err == nil && form.Bias {
		err = fmt.Errorf("%s has a bias, want a key for it: kernel(KEY, KEY)", made.Weight)
	}
	if err != nil {
		m.Err = err
		return
	}
	m.PaddingMode = cmp.Or(m.PaddingMode, form.PaddingMode)
	m.Made = append(m.Made, made)
}

// sayNo turns every yes about a part without keys to no, since the shapes refuse it: a
// bare identity is there only where as many channels go in as come out. In doubt it is kept in mind that
// somebody said yes.
func (b *builder) sayNo(doubtful bool) bool {
	changed := false
	for name, a := range b.answers {
		if isYes(a.Value) && !b.keyed[name] {
			a.Overruled = doubtful && a.By == "said"
			a.Value, a.By = "no", "shapes"
			b.answers[name] = a
			changed = true
		}
	}
	return changed
}

// plausible reports whether the block, were every yes a no, would have as many
// channels in as out. A kernel [O, I/g] beside an identity could be read as one of
// g = O/(I/g) groups, but without a word about groups it is one of fewer input
// channels, which no identity can join. Depthwise kernels are told by I/g = 1.
func (b *builder) plausible(yes *Match) bool {
	trial := &builder{site: b.site, family: b.family, answers: maps.Clone(b.answers), keyed: b.keyed}
	if !trial.sayNo(false) {
		return true
	}
	no := trial.match()
	if no.Err != nil || len(no.Made) != len(yes.Made) {
		return true
	}
	for k, m := range no.Made {
		if in := m.Form.In; in != 1 && in != yes.Made[k].Form.In {
			return false
		}
	}
	return true
}

func (b *builder) whole(key string) string { return Whole(b.site.Module, key) }

func (b *builder) lookup(key string) (tensor.Named, bool) {
	return b.site.Keys.Lookup(b.site.Module, key)
}

// fill is the key that a template stands for, with captured values and answers in the
// place of <name>.
func (b *builder) fill(template string) string { return plain(b.substitute(template)) }

func (b *builder) substitute(key string) string {
	if !strings.Contains(key, "<") {
		return key
	}
	for _, v := range b.env {
		key = strings.ReplaceAll(key, "<"+v.name+">", v.value)
	}
	for _, name := range varsOf(key) {
		if q, ok := b.family.Question(name); ok {
			key = strings.ReplaceAll(key, "<"+name+">", b.answer(q, "1").Value)
		}
	}
	return key
}

// varsOf lists the names that stand in <> in a key.
func varsOf(key string) []string {
	var names []string
	for at := strings.IndexByte(key, '<'); at >= 0; at = strings.IndexByte(key, '<') {
		key = key[at:]
		rest, ok := placeholder(key)
		if !ok {
			key = key[1:]
			continue
		}
		names = append(names, key[1:len(key)-len(rest)-1])
		key = rest
	}
	return names
}

// each calls do once for every set of values of vars that keys in n show; once
// where there are no vars.
func (b *builder) each(vars []string, n Node, do func()) {
	if len(vars) == 0 {
		do()
		return
	}
	outer := b.env
	for _, values := range b.captures(vars, n) {
		b.env = slices.Clone(outer)
		for k, name := range vars {
			b.env = append(b.env, binding{name, values[k]})
		}
		do()
	}
	b.env = outer
}

// captures finds the values that the vars take in the keys below the module.
func (b *builder) captures(vars []string, n Node) [][]string {
	seen := map[string][]string{}
	below := b.site.Keys.Below(b.site.Module)
	for _, template := range keysOf(n) {
		around, order, ok := b.template(template, vars)
		if !ok {
			continue
		}
		for _, key := range below {
			if found := numbers(around, key); found != nil {
				values := make([]string, len(vars))
				for k, at := range order {
					values[k] = found[at]
				}
				seen[strings.Join(values, ",")] = values
			}
		}
	}
	all := make([][]string, 0, len(seen))
	for _, v := range seen {
		all = append(all, v)
	}
	slices.SortFunc(all, compareNumbers)
	return all
}

func compareNumbers(a, c []string) int {
	for k := range a {
		x, _ := strconv.Atoi(a[k])
		y, _ := strconv.Atoi(c[k])
		if x != y {
			return x - y
		}
	}
	return 0
}

// template is a key with numbers in the place of <name>: what stands around them, and
// which of them is which of vars. ok reports whether it holds all of vars.
func (b *builder) template(key string, vars []string) (around []string, order []int, ok bool) {
	key = b.substitute(key)
	names := varsOf(key)
	order = make([]int, len(vars))
	for k, v := range vars {
		order[k] = slices.Index(names, v)
		if order[k] < 0 {
			return nil, nil, false
		}
	}
	for _, name := range names {
		before, after, _ := strings.Cut(key, "<"+name+">")
		around, key = append(around, unescape.Replace(before)), after
	}
	return append(around, unescape.Replace(key)), order, true
}

// numbers takes the numbers out of a key that is around with one in every gap; nil if
// it is no such key.
func numbers(around []string, key string) []string {
	rest, ok := strings.CutPrefix(key, around[0])
	if !ok {
		return nil
	}
	if len(around) == 1 {
		if rest != "" {
			return nil
		}
		return []string{}
	}
	for n := digits(rest); n > 0; n-- {
		if more := numbers(around[1:], rest[n:]); more != nil {
			return append([]string{rest[:n]}, more...)
		}
	}
	return nil
}

// keysOf lists the keys that a node reads by which its indices can be told.
func keysOf(n Node) []string {
	switch n := n.(type) {
	case *convNode:
		return n.weight.keys()
	case *bnNode:
		if n.keys != nil {
			return n.keys
		}
		return []string{Child(n.module, "running_mean"), Child(n.module, "_mean")}
	case *scaleNode:
		return n.by.keys()
	case *shiftNode:
		return n.by.keys()
	}
	var all []string
	for _, part := range parts(n) {
		all = append(all, keysOf(part)...)
	}
	return all
}

func (s source) keys() []string {
	if s.call != nil {
		return s.call.args
	}
	if s.key == "" {
		return nil
	}
	return []string{s.key}
}

// answer decides a question: what the user said, else a fact, else the default.
func (b *builder) answer(q Question, open string) Answer {
	if a, ok := b.answers[q.Name]; ok {
		return a
	}
	a := Answer{Question: q, Value: q.Default, By: "default"}
	if said, ok := b.site.Said(q.Name); ok {
		a.Value, a.By = said, "said"
	} else if fact, ok := b.fact(q); ok {
		a.Value, a.By = fact, "fact"
	} else if q.Default == "ask" {
		a.Value, a.By = open, "open"
	}
	b.answers[q.Name] = a
	return a
}

// fact answers a question from the module tree, by the first rule that applies.
func (b *builder) fact(q Question) (string, bool) {
	if b.site.Facts == nil {
		return "", false
	}
	for _, rule := range q.Facts {
		verb, arg, _ := strings.Cut(rule, " ")
		if v, ok := b.factRule(verb, b.fill(arg)); ok {
			return v, true
		}
	}
	return "", false
}

func (b *builder) factRule(verb, arg string) (string, bool) {
	modules := b.site.Facts.Modules
	own, ok := modules[b.site.Module]
	switch verb {
	case "keyless":
		if !ok || own.Class == "" {
			return "", false
		}
		parent, name := own, arg
		if at := strings.LastIndexByte(arg, '.'); at >= 0 {
			parent, name = modules[b.whole(arg[:at])], arg[at+1:]
		}
		if parent.Keyless == nil {
			return "", false
		}
		return yesNo(parent.Keyless[name] == "Identity"), true
	case "has": // a keyless child of whatever class
		_, there := own.Keyless[arg]
		return yesNo(there), ok && own.Class != ""
	case "flag":
		v, there := own.Flags[arg]
		return flagValue(v), there
	case "enclosing": // the flag of the innermost module around that has it
		return enclosing(modules, b.site.Module, arg)
	case "stride":
		m, there := modules[b.whole(arg)]
		return yesNo(!slices.ContainsFunc(m.Stride, func(s int) bool { return s != 1 })), there && len(m.Stride) > 0
	case "transposed":
		m, there := modules[b.whole(arg)]
		return yesNo(m.Transposed), there
	case "class": // NAME or NAME ANSWER
		name, answer, given := strings.Cut(arg, " ")
		if !given {
			answer = "yes"
		}
		return answer, ok && own.Class == name
	case "yes", "no":
		return verb, ok
	}
	return "", false
}

func enclosing(modules map[string]facts.Module, path, flag string) (string, bool) {
	for path != "" {
		path = path[:max(strings.LastIndexByte(path, '.'), 0)]
		if v, there := modules[path].Flags[flag]; there {
			return flagValue(v), true
		}
	}
	return "", false
}

func flagValue(v any) string {
	switch v := v.(type) {
	case bool:
		return yesNo(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []any:
		parts := make([]string, len(v))
		for k, e := range v {
			parts[k] = flagValue(e)
		}
		return strings.Join(parts, "x")
	}
	return fmt.Sprint(v)
}

// isYes reports whether an answer is yes, or the number 1 of a project that keeps
// its flags as numbers.
func isYes(answer string) bool { return answer == "yes" || answer == "1" }

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
