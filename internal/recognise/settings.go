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
	overruled   *rule          // by which a later setting of the name decided where this one fits too
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
	var last *rule
	for _, r := range slices.Backward(rules) {
		switch {
		case r.name != name || !r.glob.Match(path):
		case last == nil:
			last = r
			r.used = true
		default:
			r.overruled = last
		}
	}
	if last == nil {
		return "", false
	}
	return last.value, true
}

// unused is an error for the first setting that decided nothing.
func unused(flag string, rules []*rule) error {
	for _, r := range rules {
		switch {
		case r.used:
		case r.overruled != nil:
			return hint.Add(fmt.Errorf("%s: is overruled by %s behind it, wherever it fits", r.typed(flag), r.overruled.typed(flag)), "type %s last", hint.Words(strings.SplitN(r.typed(flag), " ", 2)...))
		default:
			return fmt.Errorf("%s: fits no block", r.typed(flag))
		}
	}
	return nil
}

// typed is a setting as it was typed; flag is set or family.
func (r *rule) typed(flag string) string {
	text := r.text
	if at := strings.LastIndex(text, r.name+"="); flag == "set" && (r.name == "eps" || r.name == "identity") {
		flag, text = r.name, text[:at]+r.value
	}
	return "--" + flag + " " + text
}

// Names that --family takes besides those of declarations.
const (
	noFamily  = "none"  // leaves a module as it is
	plainName = "plain" // every kernel is a branch, whatever it is called
)

// flagAt is a flag of one module alone, as a shell takes it.
func flagAt(flag, module, setting string) string {
	return hint.Words("--"+flag, family.ModuleGlob(module)+"="+setting)
}

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
						"%s leaves the block as it is", flagAt("family", c.Module, noFamily))
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
