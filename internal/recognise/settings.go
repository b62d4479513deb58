package recognise

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// rule is a setting for the blocks whose path fits a glob.
type rule struct {
	text        string
	glob        family.Glob
	name, value string
	anywhere    bool // no glob was given
	used        bool
	family      *family.Family // that name is, where it is one's
}

// placeholder is what hints have in place of a number that only the user knows.
const placeholder = "VALUE"

// parseRules reads settings; parts is how many names follow the optional glob.
func parseRules(list []string, parts int, form string) ([]*rule, error) {
	rules := make([]*rule, 0, len(list))
	for _, text := range list {
		fields := strings.Split(text, "=")
		r := &rule{text: text, glob: family.CompileGlob("**")}
		switch len(fields) {
		case parts:
			r.anywhere = true
		case parts + 1:
			r.glob = family.CompileGlob(fields[0])
			fields = fields[1:]
		default:
			return nil, fmt.Errorf("%s: want %s", text, form)
		}
		r.name = fields[0]
		if parts == 2 {
			r.value = fields[1]
		}
		if r.value == placeholder {
			return nil, fmt.Errorf("--set %s: %s stands for what you know, want it in its place", text, placeholder)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// answer finds the last setting of a name at a path.
func answer(rules []*rule, path, name string) (string, bool) {
	for _, r := range slices.Backward(rules) {
		if r.name == name && r.glob.Match(path) {
			r.used = true
			return r.value, true
		}
	}
	return "", false
}

// unused is an error for the first setting that decided nothing.
func unused(flag string, rules []*rule) error {
	for _, r := range rules {
		if !r.used {
			if at := strings.LastIndex(r.text, r.name+"="); flag == "set" && (r.name == "eps" || r.name == "identity") {
				return fmt.Errorf("--%s %s%s: fits no block", r.name, r.text[:at], r.value)
			}
			return fmt.Errorf("--%s %s: fits no block", flag, r.text)
		}
	}
	return nil
}

// Names that --family takes besides those of declarations.
const (
	noFamily  = "none"  // leaves a module as it is
	plainName = "plain" // every kernel is a branch, whatever it is called
)

// parseChoices reads the families that the user names.
func parseChoices(list []string, families *family.Set) ([]*rule, error) {
	rules, err := parseRules(list, 1, "[GLOB=]FAMILY")
	for _, r := range rules {
		if r.name == noFamily || r.name == plainName {
			continue
		}
		if r.family, err = families.Find(r.name); err != nil {
			return nil, &hint.Error{Err: fmt.Errorf("--family %s: %w", r.text, err), Hint: "repfuse families lists them"}
		}
	}
	return rules, err
}

// choicesAt is the last choice that fits a path or, where that has no glob, it and those without
// one before it.
func choicesAt(choices []*rule, path string) []*rule {
	var all []*rule
	for _, c := range slices.Backward(choices) {
		switch {
		case !c.glob.Match(path):
		case c.anywhere:
			all = append(all, c)
		case len(all) == 0:
			return []*rule{c}
		default:
			return all
		}
	}
	return all
}

// leaves is the choice by which a module stays as it is, nil where there is none: the last that names it by a
// glob, else the last that names a module around it, else the last of all. One of all modules does not
// overrule one of some.
func (r *recogniser) leaves(path string) *rule {
	for at := path; ; at = tensor.Parent(at) {
		for _, c := range slices.Backward(r.choices) {
			switch {
			case c.anywhere || !c.glob.Match(at):
			case c.name == noFamily:
				return c
			default:
				return nil
			}
		}
		if at == "" {
			break
		}
	}
	if of := choicesAt(r.choices, path); len(of) > 0 && of[0].name == noFamily {
		return of[0]
	}
	return nil
}

// splitBlocks is the error where a part of a block that is taken is to be left as it is: a block is one layer, whole or not at all.
func (r *recogniser) splitBlocks() error {
	if len(r.choices) == 0 { // as almost always
		return nil
	}
	for _, c := range r.taken {
		for _, key := range slices.Sorted(maps.Keys(c.Used)) {
			for part := tensor.Parent(key); len(part) > len(c.Module); part = tensor.Parent(part) {
				if left := r.leaves(part); left != nil && !left.anywhere {
					module := plan.Shown(c.Module)
					return hint.Add(fmt.Errorf("--family %s: %s is a part of %s, a %s block, want all of it left or none", left.text, part, module, c.Family),
						"--family %s=%s leaves the block as it is", family.QuoteGlob(module), noFamily)
				}
			}
		}
	}
	return nil
}

// overrule marks the choices that would be followed at a path that is left as decided.
func (r *recogniser) overrule(path string) {
	for _, c := range r.choices {
		c.used = c.used || c.glob.Match(path) && (!c.anywhere || c.family != nil && c.family.Anchored(r.keys, path))
	}
}
