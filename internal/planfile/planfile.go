// Package planfile is a plan written down: the file that repfuse plan --yaml prints and
// --plan follows, and the part of the record by which verify knows what was done.
package planfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"go.yaml.in/yaml/v3"

	"repfuse/internal/family"
	"repfuse/internal/plan"
)

// File is the blocks by their modules, with expressions in which everything is decided,
// and what becomes of other keys.
type File struct {
	plan.Selection
	Blocks []Block         `json:"blocks"`
	Drop   []family.Drop   `json:"drop,omitempty"`
	Rename []family.Rename `json:"rename,omitempty"`
}

// Block is a block of a plan file.
type Block struct {
	Module string          `json:"module"`
	Family string          `json:"family,omitempty"`
	Stale  []string        `json:"stale,omitempty"`
	Make   []family.Output `json:"make"`
}

// Read parses a plan file; name is its name in errors, which give the line.
func Read(name string, text []byte) (*File, error) {
	doc, err := family.Document(name, text)
	if err != nil {
		return nil, err
	}
	l := &family.Loader{File: name}
	f := &File{}
	l.Fields(doc, map[string]func(*yaml.Node){
		"prefix":    l.Into(&f.Prefix),
		"only":      l.Strings(&f.Only),
		"without":   l.Strings(&f.Without),
		"keep_rest": l.Into(&f.KeepRest),
		"drop":      l.Drops(&f.Drop),
		"rename":    l.Renames(&f.Rename),
		"blocks": func(n *yaml.Node) {
			l.Items(n, func(n *yaml.Node) {
				b := Block{}
				l.Fields(n, map[string]func(*yaml.Node){
					"module": l.Into(&b.Module),
					"family": l.Into(&b.Family),
					"stale":  l.Strings(&b.Stale),
					"make":   l.Outputs(&b.Make),
				})
				if len(b.Make) == 0 {
					l.Fail(n, "a block that makes nothing, want make: {KEY: EXPRESSION}")
				}
				f.Blocks = append(f.Blocks, b)
			})
		},
	})
	if l.Err != nil {
		return nil, l.Err
	}
	return f, nil
}

// Of writes a plan down.
func Of(p *plan.Plan) *File {
	f := &File{Selection: p.Selection}
	keys := make(map[string]bool, len(p.Fates))
	for _, t := range p.Fates {
		keys[t.Name] = true
	}
	modules := sync.OnceValue(func() map[string]bool { return modulesOf(keys) })
	for _, b := range p.Blocks {
		f.Blocks = append(f.Blocks, blockOf(b, keys))
	}
	for _, t := range p.Fates {
		key := t.Name
		switch {
		case t.Apart:
		case t.Fate == plan.Dropped:
			f.Drop = append(f.Drop, family.Drop{Glob: family.QuoteGlob(key), Why: t.Why})
		case t.Fate == plan.Kept && t.NewKey != key:
			from := family.Text(key)
			if modules()[key] {
				from = strconv.Quote(key) // and nothing below it
			}
			f.Rename = append(f.Rename, family.Rename{From: from, To: family.Text(t.NewKey)})
		}
	}
	return f
}

// modulesOf is the modules that have some of the keys.
func modulesOf(keys map[string]bool) map[string]bool {
	all := map[string]bool{}
	for key := range keys {
		for at, c := range key {
			if c == '.' {
				all[key[:at]] = true
			}
		}
	}
	return all
}

// blockOf writes a block down that is found among the keys of a checkpoint.
func blockOf(b plan.Block, keys map[string]bool) Block {
	module := moduleOf(b)
	relative := func(key string) string {
		rest, _ := family.Relative(module, key)
		return rest
	}
	fb := Block{Module: family.Text(module), Family: b.Family}
	switch len(b.Stale) {
	case 0:
	case len(b.Used):
		fb.Stale = []string{"**"}
	default:
		for _, key := range b.Stale {
			fb.Stale = append(fb.Stale, family.QuoteGlob(relative(key)))
		}
	}
	for _, o := range b.Outputs {
		bias := ""
		if o.Bias != "" {
			bias = relative(o.Bias)
		}
		fb.Make = append(fb.Make, family.NewOutput(relative(o.Weight), bias, family.FormatAmong(keys, o.Expr, module)))
	}
	return fb
}

// moduleOf is the block's path where all its keys are below it, else the root.
func moduleOf(b plan.Block) string {
	keys := slices.Clone(b.Used)
	for _, o := range b.Outputs {
		keys = append(keys, o.Weight)
		if o.Bias != "" {
			keys = append(keys, o.Bias)
		}
	}
	for _, key := range keys {
		if _, below := family.Relative(b.Path, key); !below {
			return ""
		}
	}
	return b.Path
}

// YAML is the file's text.
func (f *File) YAML() []byte {
	type block struct {
		Module string
		Family string   `yaml:",omitempty"`
		Stale  []string `yaml:",omitempty,flow"`
		Make   *yaml.Node
	}
	blocks := []block{}
	for _, b := range f.Blocks {
		made := inOrder(b.Make, func(o family.Output) (string, string) { return o.Key, o.Text })
		blocks = append(blocks, block{b.Module, b.Family, b.Stale, made})
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(struct {
		Prefix   string   `yaml:",omitempty"`
		Only     []string `yaml:",omitempty,flow"`
		Without  []string `yaml:",omitempty,flow"`
		KeepRest bool     `yaml:"keep_rest,omitempty"`
		Blocks   []block
		Drop     *yaml.Node `yaml:",omitempty"`
		Rename   *yaml.Node `yaml:",omitempty"`
	}{f.Prefix, f.Only, f.Without, f.KeepRest, blocks,
		inOrder(f.Drop, func(d family.Drop) (string, string) { return d.Glob, d.Why }),
		inOrder(f.Rename, func(r family.Rename) (string, string) { return r.From, r.To })}); err != nil {
		panic(fmt.Sprintf("planfile: a plan that YAML cannot hold: %v", err))
	}
	return out.Bytes()
}

// inOrder is a mapping whose pairs stay in the order of a list, nil of none.
func inOrder[T any](list []T, pair func(T) (key, value string)) *yaml.Node {
	if len(list) == 0 {
		return nil
	}
	m := &yaml.Node{Kind: yaml.MappingNode}
	for _, item := range list {
		key, value := pair(item)
		for _, text := range []string{key, value} {
			n := &yaml.Node{}
			n.SetString(text)
			m.Content = append(m.Content, n)
		}
	}
	return m
}

// UnmarshalJSON reads a plan as the record holds it, parsing the expressions.
func (f *File) UnmarshalJSON(text []byte) error {
	type plain File
	if err := json.Unmarshal(text, (*plain)(f)); err != nil {
		return err
	}
	for k := range f.Blocks {
		for j := range f.Blocks[k].Make {
			o := &f.Blocks[k].Make[j]
			n, err := family.Parse(o.Text)
			if err != nil {
				return fmt.Errorf("block %s: %s: %w", f.Blocks[k].Module, o.Key, err)
			}
			o.Expr = n
		}
	}
	return nil
}
