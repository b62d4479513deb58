// Package recognise finds the blocks of a checkpoint by names: its keys, their shapes, the
// facts of its module tree, and what the user says. It is one maker of blocks; what
// becomes of every key then is package plan's.
//
// Nothing is guessed in silence. A block is taken when its expression accounts for
// every key below its module; what no key says is a fact, an answer of the user, or
// an assumption that stands on the plan as a note.
//
// From the keys to the plan, and the type that each step hands on:
//
//  1. choose says which tensors are looked at and takes prefixes off their keys → []tensor.Named
//  2. the keys become a tree of modules → *tree (tree.go)
//  3. offer says which families may be tried at a module: those that have a key of their
//     anchor there, and those that the user, a fact or a network asks for → []*family.Family
//  4. matcher tries one of them and says what is wrong with it → candidate (candidate.go)
//  5. of several that fit one is preferred, or the user is asked (choose.go); of several
//     that do not, the nearest is the error
//  6. the match is taken: its keys are gone for others → plan.Block in a plan.Found (take.go)
//  7. what looks left behind, or is fused already, is noted (leftover.go, deployed.go)
//  8. plan.New settles what becomes of every key → *plan.Plan
//
// A plan file takes the place of 3 and 5 (byhand.go); where the network's graph is known,
// it has to agree with 4 and adds blocks of its own (evidence.go).
package recognise

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"repfuse/internal/adapter"
	"repfuse/internal/facts"
	"repfuse/internal/family"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/planfile"
	"repfuse/internal/tensor"
)

// Options is what is known of a checkpoint besides its tensors.
type Options struct {
	Families *family.Set
	Facts    *facts.Model
	// Sets are answers in the order given: [GLOB=]NAME=VALUE. The last that fits wins.
	Sets []string
	// Choices are families in the order given: [GLOB=]NAME.
	Choices []string
	// Selection is which tensors are looked at; without a Prefix, what all keys begin with and
	// what only wraps a model is taken off. What is "" or nil is the plan file's.
	plan.Selection
	// Wrapper is such a beginning that the checkpoint's own kind has, or "".
	Wrapper string
	// Deployed is the modules that are fused already though their keys do not show it, as
	// a record says.
	Deployed []string
	// FoldNorms also takes every batch norm that stands behind a layer by names, order and
	// channels; see package pairs. Ordered says that the tensors come in the order in
	// which the modules were registered, unless that is the order of their names, which
	// somebody sorted them by.
	FoldNorms, Ordered bool
	// Shown finds the blocks that the network's graph shows, which names have to agree
	// with; nil where there is no graph.
	Shown func([]tensor.Named) (*plan.Found, error)
	// Adapters are merged into what is found; a plan file names their keys itself.
	Adapters []*adapter.Adapter
	// File is a plan file that names the blocks by hand; nil recognises them.
	File *planfile.File
}

// Plan finds the blocks of a checkpoint and settles what becomes of every tensor.
// Errors name the block and end in a hint.
func Plan(tensors []tensor.Named, o Options) (*plan.Plan, error) {
	s, err := choose(tensors, o)
	if err != nil {
		return nil, err
	}
	among := s.chosen
	if o.File != nil && len(s.added) > 0 {
		among = slices.Concat(append([][]tensor.Named{among}, s.added...)...)
	}
	found, err := Blocks(among, o)
	if err != nil {
		return nil, err
	}
	switch {
	case len(s.added) == 0:
	case o.File == nil:
		err = adapter.Merge(found, s.chosen, o.Adapters, s.added)
	default:
		err = allRead(found, s.added)
	}
	if err != nil {
		return nil, err
	}
	found.Notes = append(s.notes, found.Notes...)
	return plan.New(s.sources, s.Selection, *found)
}

// allRead is an error where no block of a plan file reads a tensor of an adapter.
func allRead(found *plan.Found, added [][]tensor.Named) error {
	read := map[string]bool{}
	for _, b := range found.Blocks {
		for _, key := range b.Used {
			read[key] = true
		}
	}
	for _, t := range slices.Concat(added...) {
		if !read[t.Key] {
			return fmt.Errorf("plan: no block reads %s, want each tensor of --with read or dropped", t.Key)
		}
	}
	return nil
}

// asked is the selection that is asked for, what is left open by the plan file's.
func (o *Options) asked() plan.Selection {
	s := o.Selection
	if o.File == nil {
		return s
	}
	if s.Prefix == "" {
		s.Prefix = o.File.Prefix
	}
	if len(s.Only)+len(s.Without) == 0 {
		s.Only, s.Without, s.KeepRest = o.File.Only, o.File.Without, o.File.KeepRest
	}
	return s
}

// Blocks finds the blocks among tensors whose keys have no prefix any more.
func Blocks(tensors []tensor.Named, o Options) (*plan.Found, error) {
	r, err := newRecogniser(tensors, &o)
	if err != nil {
		return nil, err
	}
	r.deployed = slices.DeleteFunc(slices.Clone(o.Deployed), r.stillTrains)
	if o.Shown != nil {
		shown, err := o.Shown(tensors)
		if err != nil {
			return nil, err
		}
		r.graph = newEvidence(shown)
		r.note(shown.Notes...)
		maps.Copy(r.found.Kept, shown.Kept)
	}
	if o.File != nil {
		err = r.follow(o.File)
	} else {
		err = r.recognise(!o.FoldNorms)
	}
	if err == nil && o.FoldNorms {
		err = r.foldNorms(tensors, o.Ordered)
	} else if err == nil && o.File == nil && o.Shown == nil {
		r.offerFold(tensors, o.Ordered)
	}
	if err == nil && len(r.found.Blocks) > 0 { // else that nothing is recognised is the error
		err = unused("set", r.sets)
	}
	if err == nil {
		err = unused("family", r.choices)
	}
	if err != nil {
		return nil, err
	}
	r.findDeployed(tensors)
	if o.File == nil {
		r.note(r.leftovers()...)
	}
	return r.found, nil
}

// newRecogniser reads what the user says; it clears o.Ordered where the order is one that somebody sorted by.
func newRecogniser(tensors []tensor.Named, o *Options) (*recogniser, error) {
	sets, err := parseRules(o.Sets, 2, "[GLOB=]NAME=VALUE")
	if err != nil {
		return nil, err
	}
	choices, err := parseChoices(o.Choices, o.Families)
	if err != nil {
		return nil, err
	}
	byName := func(a, b tensor.Named) int { return compareKeys(a.Key, b.Key) }
	byBytes := func(a, b tensor.Named) int { return strings.Compare(a.Key, b.Key) }
	o.Ordered = o.Ordered && !slices.IsSortedFunc(tensors, byName) && !slices.IsSortedFunc(tensors, byBytes)
	keys := newTree(tensors)
	offer, err := newOffer(o.Families, o.Facts, keys.names())
	if err != nil {
		return nil, err
	}
	return &recogniser{
		matcher: matcher{keys: keys, facts: o.Facts, sets: sets, seen: newRegistered(o.Facts), ordered: o.Ordered && o.File == nil},
		offer:   offer,
		choices: choices,
		padded:  map[string]error{},
		found:   &plan.Found{Dropped: map[string]string{}, Renamed: map[string]string{}, Kept: map[string]string{}},
	}, nil
}

// recogniser walks the modules from the root down and takes the outermost match.
type recogniser struct {
	matcher
	offer   *offer
	choices []*rule
	graph   *evidence        // nil without a graph
	taken   []candidate      // in the order of found.Blocks
	near    []error          // of modules that are a block except for some keys
	padded  map[string]error // why one of these is no block, by its path, where all that it lacks is that a layer pads
	// resembles is the modules that have some names of a family and are none of its blocks.
	resembles []candidate
	found     *plan.Found
}

// recognise finds blocks by families, by the graph and, where plain is set, the plain folder.
func (r *recogniser) recognise(plain bool) error {
	if r.offer.hasOwn() {
		if err := r.ownFirst(); err != nil {
			return err
		}
	}
	for n := range r.keys.root.modules {
		if err := r.visit(n); err != nil {
			return err
		}
	}
	if r.graph != nil {
		unseen := slices.DeleteFunc(slices.Clone(r.taken), func(c candidate) bool { return !c.unseen })
		for _, c := range unseen {
			r.note(assumptions(c, r.facts != nil)...)
		}
		r.takeShown()
		return errors.Join(errors.Join(r.near...), r.splitBlocks(), openQuestions(unseen, r.sets))
	}
	if err := errors.Join(r.near...); err != nil {
		return err
	}
	if plain && len(r.taken) == 0 && !r.isDeployed("") {
		if err := r.plainFolder(); err != nil {
			return err
		}
	}
	r.note(resemblances(r.resembles)...)
	for _, c := range r.taken {
		r.note(assumptions(c, r.facts != nil)...)
	}
	if len(r.taken) == 0 {
		if err := r.suggest(); err != nil {
			return err
		}
	}
	notes, err := overruled(r.taken)
	r.note(notes...)
	return errors.Join(r.splitBlocks(), openQuestions(r.taken, r.sets), err)
}

// note adds notes; the same about many blocks is made once.
func (r *recogniser) note(notes ...plan.Note) {
	r.found.Notes = plan.AddNotes(r.found.Notes, notes...)
}

// visit tries the families at a module. What is left as it is, is left
// with all below it, except for modules that another choice names.
func (r *recogniser) visit(n *node) error {
	left := r.leaves(n.path)
	if left == nil {
		return r.try(n)
	}
	left.used = true
	r.overrule(n.path)
	r.keep(n.path, r.keys.Below(n.path), "left by --family "+left.text)
	return nil
}

// try takes the family that fits at a module, if one does.
func (r *recogniser) try(n *node) error {
	if slices.Contains(r.deployed, n.path) {
		return nil
	}
	taken := len(r.taken)
	var missed []*family.Family
	for _, chosen := range choicesAt(r.choices, n.path) {
		switch {
		case chosen.name == noFamily: // of all modules, except for those of other choices
			chosen.used = true
			return nil
		case chosen.name == plainName:
			return r.requestedPlain(n, chosen)
		case !chosen.family.Anchored(r.keys, n.path):
			continue
		}
		c := r.proven(r.match(chosen.family, n.path))
		c.named = true
		chosen.used = chosen.used || c.problem == nil || c.misplaced
		switch {
		case c.problem == nil:
			r.take(c)
			r.noteYourWord(c)
		case c.forbidden():
			return c.problem
		case c.misplaced:
			r.near = append(r.near, c.problem)
			return nil
		default:
			missed = append(missed, chosen.family)
		}
	}
	if len(r.taken) > taken {
		return nil
	}
	return r.tryAll(append(r.offer.at(r.keys, n), missed...), n.path)
}

// ownFirst tries the families of the user's own files at every module before any other, so that a
// built-in one of a module around does not take their keys.
func (r *recogniser) ownFirst() error {
	for n := range r.keys.root.modules {
		fits := func(f *family.Family) bool { return f.Own && r.proven(r.match(f, n.path)).problem == nil }
		if slices.ContainsFunc(r.offer.at(r.keys, n), fits) {
			if err := r.try(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// tryAll takes the one family that fits; where some have their anchor there and none fits,
// the module is a near miss.
func (r *recogniser) tryAll(families []*family.Family, path string) error {
	var fits, misses []candidate
	tried := map[string]bool{}
	for _, f := range families {
		if tried[f.String()] {
			continue
		}
		tried[f.String()] = true
		if c := r.proven(r.match(f, path)); c.problem == nil || c.forbidden() {
			fits = append(fits, c)
		} else {
			misses = append(misses, c)
		}
	}
	switch {
	case len(fits) > 0:
		c, err := only(r.offer.prefer(fits))
		if err == nil {
			err = c.problem
		}
		if err != nil {
			return err
		}
		r.noteOverruled(c, fits)
		r.take(c)
	case len(misses) > 0:
		if r.graph != nil { // which shows what a near miss is
			misses = slices.DeleteFunc(misses, func(c candidate) bool { return !c.against })
		}
		return r.miss(misses, path)
	}
	return nil
}

// miss is what comes of a module that some families nearly fit: an error where it is a block of one
// with a fault, else it is left, with what it resembles.
func (r *recogniser) miss(misses []candidate, path string) error {
	real := slices.DeleteFunc(slices.Clone(misses), func(c candidate) bool { return !r.offer.stops(c) || r.lost(c) })
	switch {
	case len(real) > 0:
		near := nearest(real).problem
		if errors.As(near, new(*op.BorderError)) {
			r.padded[path] = near
		}
		if setting := (*family.SettingError)(nil); errors.As(near, &setting) {
			return near // once, and not of every block
		}
		r.near = append(r.near, near)
	case len(misses) > 0:
		if c := nearest(misses); c.looksAround || c.misses == 1 {
			r.resembles = append(r.resembles, c)
			r.keep(path, r.keys.Below(path), "resembles "+c.Family.String()+", and is none: "+c.problem.Error())
		}
	}
	return nil
}
