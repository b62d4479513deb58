// Package planfile is a plan written down: the file that repfuse plan --yaml prints and
// --plan follows, and the part of the record by which verify knows what was done.
package planfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"repfuse/internal/family"
	"repfuse/internal/plan"
)

// File is the blocks by their modules, with expressions in which everything is decided,
// and what becomes of other keys.
type File struct {
	Prefix string          `json:"prefix,omitempty"`
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
		"prefix": l.Into(&f.Prefix),
		"drop":   l.Drops(&f.Drop),
		"rename": l.Renames(&f.Rename),
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
	f := &File{Prefix: p.Prefix}
	for _, b := range p.Blocks {
		fb := Block{Module: plan.Shown(b.Path), Family: b.Family}
		for _, key := range b.Stale {
			fb.Stale = append(fb.Stale, family.Relative(b.Path, key))
		}
		for _, o := range b.Outputs {
			key := strings.TrimSuffix(strings.TrimSuffix(o.Weight, "weight"), ".")
			fb.Make = append(fb.Make, family.Output{Key: family.Relative(b.Path, key), Text: family.Format(o.Expr, b.Path)})
		}
		f.Blocks = append(f.Blocks, fb)
	}
	for _, t := range p.Fates {
		key := strings.TrimPrefix(t.Key, p.Prefix)
		switch {
		case t.Fate == plan.Dropped:
			f.Drop = append(f.Drop, family.Drop{Glob: key, Why: t.Why})
		case t.Fate == plan.Kept && t.NewKey != key:
			f.Rename = append(f.Rename, family.Rename{From: key, To: t.NewKey})
		}
	}
	return f
}

// YAML is the file's text.
func (f *File) YAML() []byte {
	root := mapping()
	if f.Prefix != "" {
		root.put("prefix", scalar(f.Prefix))
	}
	blocks := &yaml.Node{Kind: yaml.SequenceNode}
	for _, b := range f.Blocks {
		m := mapping()
		m.put("module", scalar(b.Module))
		if b.Family != "" {
			m.put("family", scalar(b.Family))
		}
		if len(b.Stale) > 0 {
			m.put("stale", scalars(b.Stale))
		}
		made := mapping()
		for _, o := range b.Make {
			made.put(o.Key, scalar(o.Text))
		}
		m.put("make", made.Node)
		blocks.Content = append(blocks.Content, m.Node)
	}
	root.put("blocks", blocks)
	if len(f.Drop) > 0 {
		m := mapping()
		for _, d := range f.Drop {
			m.put(d.Glob, scalar(d.Why))
		}
		root.put("drop", m.Node)
	}
	if len(f.Rename) > 0 {
		m := mapping()
		for _, r := range f.Rename {
			m.put(r.From, scalar(r.To))
		}
		root.put("rename", m.Node)
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(root.Node); err != nil {
		panic(fmt.Sprintf("planfile: a plan that YAML cannot hold: %v", err))
	}
	return out.Bytes()
}

type yamlMapping struct{ *yaml.Node }

func mapping() yamlMapping { return yamlMapping{&yaml.Node{Kind: yaml.MappingNode}} }

func (m yamlMapping) put(key string, value *yaml.Node) {
	m.Content = append(m.Content, scalar(key), value)
}

func scalar(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if strings.Contains(text, "\n") {
		n.Style = yaml.LiteralStyle
	}
	return n
}

func scalars(list []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, text := range list {
		n.Content = append(n.Content, scalar(text))
	}
	return n
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
