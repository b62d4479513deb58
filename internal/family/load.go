package family

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Load parses a file of declarations; file is its name in errors, which give the
// line.
func Load(file string, text []byte) ([]*Family, error) {
	return load(&Loader{File: file}, text)
}

func load(l *Loader, text []byte) ([]*Family, error) {
	doc, err := Document(l.File, text)
	if err != nil {
		return nil, err
	}
	var list []*Family
	l.Fields(doc, map[string]func(*yaml.Node){
		"families": func(n *yaml.Node) {
			l.Items(n, func(n *yaml.Node) { list = append(list, l.family(n)) })
		},
	})
	if l.Err != nil {
		return nil, l.Err
	}
	return list, nil
}

// Document parses the text of a YAML file of one document to its root.
func Document(file string, text []byte) (*yaml.Node, error) {
	var doc, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&doc); err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	switch err := d.Decode(&more); {
	case len(doc.Content) == 0:
		return nil, fmt.Errorf("%s: is empty", file)
	case err == nil:
		return nil, fmt.Errorf("%s:%d: a second document, want one", file, more.Line)
	case err != io.EOF:
		return nil, fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return doc.Content[0], nil
}

// Loader walks a YAML file and keeps the first mistake, with its line.
type Loader struct {
	File  string
	Err   error
	above int // lines of the file above the text
}

// Fail notes a mistake at a node.
func (l *Loader) Fail(n *yaml.Node, format string, args ...any) {
	if l.Err == nil {
		l.Err = fmt.Errorf("%s:%d: %s", l.File, l.above+n.Line, fmt.Sprintf(format, args...))
	}
}

// Fields hands the value of every field of a mapping to its reader; a field that
// has none, or that comes twice, is a mistake.
func (l *Loader) Fields(n *yaml.Node, readers map[string]func(*yaml.Node)) {
	seen := map[string]bool{}
	l.Pairs(n, func(key, value *yaml.Node) {
		read := readers[key.Value]
		switch {
		case read == nil:
			known := make([]string, 0, len(readers))
			for k := range readers {
				known = append(known, k)
			}
			slices.Sort(known)
			l.Fail(key, "unknown field %q, want one of %s", key.Value, strings.Join(known, ", "))
		case seen[key.Value]:
			l.Fail(key, "field %q comes twice", key.Value)
		default:
			read(value)
		}
		seen[key.Value] = true
	})
}

// Pairs visits a mapping in the order written.
func (l *Loader) Pairs(n *yaml.Node, visit func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		l.Fail(n, "want a mapping (name: value)")
		return
	}
	for k := 0; k+1 < len(n.Content); k += 2 {
		visit(n.Content[k], n.Content[k+1])
	}
}

// Items visits a list; a single value is a list of one.
func (l *Loader) Items(n *yaml.Node, visit func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		visit(n)
		return
	}
	for _, item := range n.Content {
		visit(item)
	}
}

// Into decodes a node into a Go value.
func (l *Loader) Into(to any) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if err := n.Decode(to); err != nil {
			l.Fail(n, "%q does not fit, want %T", n.Value, to)
		}
	}
}

// epsilon decodes an ε that is declared; one of 0 is an expression's to say.
func (l *Loader) epsilon(to *float64) func(*yaml.Node) {
	return func(n *yaml.Node) {
		l.Into(to)(n)
		if !(*to > 0) || math.IsInf(*to, 0) {
			l.Fail(n, "eps: %s, want a number above 0", n.Value)
		}
	}
}

// Strings decodes a list of strings, or one.
func (l *Loader) Strings(to *[]string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		*to = []string{}
		l.Items(n, func(n *yaml.Node) {
			if n.Kind != yaml.ScalarNode {
				l.Fail(n, "want text")
			}
			*to = append(*to, n.Value)
		})
	}
}

// task decodes what networks are for.
func (l *Loader) task(to *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if l.Into(to)(n); !slices.Contains(Tasks, *to) {
			l.Fail(n, "task: %q, want one of %s", *to, strings.Join(Tasks[:len(Tasks)-1], ", "))
		}
	}
}

var nameRule = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

func (l *Loader) family(n *yaml.Node) *Family {
	f := &Family{file: l.File, line: l.above + n.Line, node: n}
	l.Fields(n, map[string]func(*yaml.Node){
		"name":       l.Into(&f.Name),
		"title":      l.Into(&f.Title),
		"task":       l.task(&f.Task),
		"paper":      l.Into(&f.Paper),
		"source":     l.Into(&f.Source),
		"network":    l.Into(&f.Network),
		"enable":     l.Strings(&f.Enable),
		"class":      l.Strings(&f.Class),
		"on request": l.Into(&f.OnRequest),
		"eps":        l.epsilon(&f.Eps),
		"anchor":     l.anchors(&f.Anchor),
		"deployed":   l.Strings(&f.Deployed),
		"make":       l.Outputs(&f.Make),
		"need":       l.Strings(&f.Need),
		"alike":      l.Strings(&f.Alike),
		"keep":       l.Strings(&f.Keep),
		"drop":       l.Drops(&f.Drop),
		"refuse":     l.Drops(&f.Refuse),
		"stale":      l.Strings(&f.Stale),
		"rename":     l.Renames(&f.Rename),
		"ask":        l.questions(&f.Ask),
		"dialects":   l.dialects(&f.Dialects),
		"notes":      l.Strings(&f.Notes),
	})
	switch {
	case !nameRule.MatchString(f.Name):
		l.Fail(n, "name %q, want small letters, digits and hyphens", f.Name)
	case len(f.Make) == 0 && !f.Network:
		l.Fail(n, "%s makes nothing, want make: {KEY: EXPRESSION}", f.Name)
	case len(f.Anchor) == 0:
		l.Fail(n, "%s has no anchor, want the keys that give it away", f.Name)
	}
	if err := f.checkAsks(); err != nil {
		l.Fail(n, "%v", err)
	}
	return f
}

// checkAsks holds every question that an expression asks, or a dialect answers, to
// being declared.
func (f *Family) checkAsks() error {
	names := askedBy(f.Make)
	for _, d := range f.Dialects {
		names = append(names, askedBy(d.Make)...)
		names = slices.AppendSeq(names, maps.Keys(d.Answers))
	}
	slices.Sort(names)
	for _, name := range names {
		if _, ok := f.Question(name); !ok {
			return fmt.Errorf("%s asks %q, which is not under ask", f.Name, name)
		}
	}
	return nil
}

func askedBy(outputs []Output) []string {
	var names []string
	for _, out := range outputs {
		names = append(names, asked(out.Expr)...)
	}
	return names
}

func asked(n Node) []string {
	var names []string
	for _, part := range parts(n) {
		names = append(names, asked(part)...)
	}
	if ask, ok := n.(*askNode); ok {
		names = append(names, ask.name)
	}
	return names
}

// anchors reads sets of patterns: each a line of keys, all of which must be there.
func (l *Loader) anchors(to *[][]Pattern) func(*yaml.Node) {
	return func(n *yaml.Node) {
		l.Items(n, func(n *yaml.Node) {
			var set []Pattern
			for rest := strings.TrimSpace(n.Value); rest != "" && l.Err == nil; rest = strings.TrimSpace(rest) {
				var p Pattern
				var err error
				if p, rest, err = parsePattern(rest); err != nil {
					l.Fail(n, "anchor %v", err)
				}
				set = append(set, p)
			}
			if len(set) == 0 {
				l.Fail(n, "an empty anchor")
			} else if set[0].Absent {
				l.Fail(n, "anchor %s: want a key that is there first", n.Value)
			}
			*to = append(*to, set)
		})
	}
}

// parsePattern reads one pattern off a line: KEY, KEY[3x3], KEY[*,1,*,*] for a whole
// shape, KEY[!1x1] for any extents but these, or !KEY for a key that must not be there.
// KEY may be a glob, or a key in quotes.
func parsePattern(line string) (p Pattern, rest string, err error) {
	line, p.Absent = strings.CutPrefix(line, "!")
	end := len(line)
	if quoted, err := strconv.QuotedPrefix(line); err == nil {
		end = len(quoted)
	} else if k := strings.IndexAny(line, "[ \t\r\n"); k >= 0 {
		end = k
	}
	p.Key, rest = line[:end], line[end:]
	if !strings.HasPrefix(rest, "[") {
		return p, rest, nil
	}
	of, rest, ok := strings.Cut(rest[1:], "]")
	if !ok {
		return p, "", fmt.Errorf("%s[%s: want ] behind [", p.Key, of)
	}
	if strings.Contains(of, ",") {
		p.Shape, err = parseShape(of)
	} else {
		of, p.Other = strings.CutPrefix(of, "!")
		p.Kernel, err = parseExtents(of)
	}
	if err != nil {
		err = fmt.Errorf("%s[%s]: %w", p.Key, of, err)
	}
	return p, rest, err
}

// parseShape reads *,1,*,*.
func parseShape(text string) (shape []int, err error) {
	for _, word := range strings.Split(text, ",") {
		n, err := strconv.Atoi(word)
		if word == "*" {
			n, err = anyExtent, nil
		}
		if err != nil {
			return nil, fmt.Errorf("want numbers and *, one an axis")
		}
		shape = append(shape, n)
	}
	return shape, nil
}

// Outputs reads KEY: EXPRESSION pairs.
func (l *Loader) Outputs(to *[]Output) func(*yaml.Node) {
	return func(n *yaml.Node) {
		l.Pairs(n, func(key, value *yaml.Node) {
			expr, err := Parse(value.Value)
			if s, ok := err.(*SyntaxError); ok {
				at := *value
				if value.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
					at.Line++ // the text begins below its | or >
				}
				at.Line += s.Line - 1
				l.Fail(&at, "%s: %s (column %d of the expression's line)", key.Value, s.Msg, s.Column)
			}
			out := Output{key.Value, expr, strings.TrimSpace(value.Value)}
			if _, err := out.target(); err != nil {
				l.Fail(key, "%v", err)
			}
			*to = append(*to, out)
		})
	}
}

// Drops reads GLOB: REASON pairs.
func (l *Loader) Drops(to *[]Drop) func(*yaml.Node) {
	return func(n *yaml.Node) {
		*to = []Drop{}
		l.Pairs(n, func(key, value *yaml.Node) {
			if value.Value == "" {
				l.Fail(value, "%s is dropped without a reason", key.Value)
			}
			*to = append(*to, Drop{key.Value, value.Value})
		})
	}
}

// Renames reads FROM: TO pairs.
func (l *Loader) Renames(to *[]Rename) func(*yaml.Node) {
	return func(n *yaml.Node) {
		l.Pairs(n, func(key, value *yaml.Node) { *to = append(*to, Rename{key.Value, value.Value}) })
	}
}

func (l *Loader) questions(to *[]Question) func(*yaml.Node) {
	return func(n *yaml.Node) {
		l.Pairs(n, func(key, value *yaml.Node) {
			q := Question{Name: key.Value, Default: "ask"}
			l.Fields(value, map[string]func(*yaml.Node){
				"about":   l.Into(&q.About),
				"default": l.Into(&q.Default),
				"facts":   l.Strings(&q.Facts),
			})
			*to = append(*to, q)
		})
	}
}

func (l *Loader) dialects(to *[]Dialect) func(*yaml.Node) {
	return func(n *yaml.Node) {
		l.Pairs(n, func(key, value *yaml.Node) {
			d := Dialect{Name: key.Value}
			l.Fields(value, map[string]func(*yaml.Node){
				"title":   l.Into(&d.Title),
				"eps":     l.epsilon(&d.Eps),
				"make":    l.Outputs(&d.Make),
				"keep":    l.Strings(&d.Keep),
				"drop":    l.Drops(&d.Drop),
				"stale":   l.Strings(&d.Stale),
				"class":   l.Strings(&d.Class),
				"rename":  l.Renames(&d.Rename),
				"answers": l.Into(&d.Answers),
			})
			if !nameRule.MatchString(d.Name) {
				l.Fail(key, "dialect %q, want small letters, digits and hyphens", d.Name)
			}
			*to = append(*to, d)
		})
	}
}
