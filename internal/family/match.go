package family

import (
	"cmp"
	"fmt"

	"repfuse/internal/facts"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// Keys is what a matcher sees of a checkpoint.
type Keys interface {
	// Lookup finds a tensor, not to be written to, by its key relative to a module; the Named has the whole key.
	// Whole puts the two together: where it is not there, mostly, nobody needs that.
	Lookup(module, key string) (*tensor.Named, bool)
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
	// nobody answered and that both answers fit, with the value that was tried.
	Answers []Answer
	Open    []Answer
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
			m.Open = append(m.Open, a)
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
	// keyed is the questions about parts that have keys, and about numbers: shapes do not answer those.
	keyed map[string]bool
	env   []binding
	// epsAssumed is the ε that nobody gave, where a batch norm took one.
	epsAssumed float64
}

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
	m := &Match{Family: b.family, Module: b.site.Module}
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
	p := n.build(b)
	if to.optional && (len(p.used) == 0 || p.expr == nil) {
		return
	}
	if m.Used == nil { // of most, one output uses all
		m.Used = make(map[string]bool, len(p.used))
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
	form, err := op.CheckLayers(p.expr)
	if err == nil {
		err = b.linear(p.expr, false)
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

func (b *builder) whole(key string) string { return Whole(b.site.Module, key) }

func (b *builder) lookup(key string) (*tensor.Named, bool) {
	return b.site.Keys.Lookup(b.site.Module, key)
}
