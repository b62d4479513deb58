package plan

import (
	"fmt"
	"strings"

	"repfuse/internal/facts"
	"repfuse/internal/family"
)

// Options is what a user said about a checkpoint.
type Options struct {
	Families *family.Set
	Facts    *facts.Model
	// Sets are answers in the order given: [GLOB=]NAME=VALUE. The last that fits wins.
	Sets []string
	// Choices are families in the order given: [GLOB=]NAME.
	Choices []string
	// Prefix is taken off the keys; "" takes a leading "module." off where all have it.
	Prefix string
	// Leave is the modules that are fused already though their keys do not show it, as
	// a record says.
	Leave []string
	// File is a plan file that names the blocks by hand; nil recognises them.
	File *File
}

// rule is a setting for the blocks whose path fits a glob.
type rule struct {
	text        string
	glob        family.Glob
	name, value string
	used        bool
}

// parseRules reads settings; parts is how many names follow the optional glob.
func parseRules(list []string, parts int, form string) ([]*rule, error) {
	rules := make([]*rule, 0, len(list))
	for _, text := range list {
		fields := strings.Split(text, "=")
		r := &rule{text: text, glob: family.CompileGlob("**")}
		switch len(fields) {
		case parts:
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
		rules = append(rules, r)
	}
	return rules, nil
}

// said finds the last setting of a name at a path.
func said(rules []*rule, path, name string) (string, bool) {
	for k := len(rules) - 1; k >= 0; k-- {
		if r := rules[k]; r.name == name && r.glob.Match(path) {
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
			return fmt.Errorf("--%s %s: fits no block", flag, r.text)
		}
	}
	return nil
}
