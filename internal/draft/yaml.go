package draft

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"repfuse/internal/family"
)

// YAML is the declarations as a file that --families reads, with what is sure of each and what is not as comments.
func YAML(source string, list []*Family) string {
	var s strings.Builder
	wrap(&s, "# ", "Drafted by repfuse from the keys and shapes of "+family.Text(source)+". Nothing in it is a claim: what no key says is asked. Rename it, and strike what your network shows to be otherwise (docs/notation.md).")
	s.WriteString("families:\n")
	for _, f := range list {
		f.write(&s)
	}
	return s.String()
}

func (f *Family) write(s *strings.Builder) {
	expression, asks := f.Expression()
	wrap(s, "  # ", "Sure, by keys and shapes: such layers, of equal channels, are in "+some(f.Modules)+".")
	for _, name := range slices.Sorted(maps.Keys(f.Answers)) {
		fmt.Fprintf(s, "  # Sure, %s: %s is %s.\n", f.Answers[name].By, name, f.Answers[name].Value)
	}
	fmt.Fprintf(s, "  - name: %s\n    title: %s\n", f.Name, quoted("Blocks of "+listed(f.names())))
	var classes []string // a name of any characters
	for _, class := range f.Class {
		classes = append(classes, strconv.Quote(class))
	}
	if len(classes) > 0 {
		fmt.Fprintf(s, "    class: [%s] # sure, by the facts\n", strings.Join(classes, ", "))
	}
	if f.Eps != 0 {
		fmt.Fprintf(s, "    eps: %g # sure, by the facts\n", f.Eps)
	}
	fmt.Fprintf(s, "    anchor:\n      - %s\n", quoted(strings.Join(f.anchor(), " ")))
	s.WriteString("    make:\n      # Unsure: what your deploy model calls the layer.\n      fused: |\n")
	for line := range strings.Lines(expression) {
		s.WriteString("        " + line)
	}
	s.WriteString("\n")
	if len(f.others) > 0 {
		s.WriteString("    keep: # Unsure: that these stay as they are.\n")
		for _, glob := range f.others {
			fmt.Fprintf(s, "      - %s\n", quoted(glob))
		}
	}
	if len(asks) > 0 {
		s.WriteString("    ask: # Unsure, and asked.\n")
	}
	for _, q := range asks {
		fmt.Fprintf(s, "      %s:\n        about: >-\n", q.Name)
		wrap(s, "          ", q.About)
		s.WriteString("        default: ask\n")
		if q.facts != "" {
			fmt.Fprintf(s, "        facts: [%q]\n", q.facts)
		}
	}
}

// wrap writes text in lines behind a lead, broken at spaces.
func wrap(s *strings.Builder, lead, text string) {
	used := 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case used == 0:
			s.WriteString(lead)
			used = len(lead)
		case used+1+n > 80:
			s.WriteString("\n" + lead)
			used = len(lead)
		default:
			s.WriteString(" ")
			used++
		}
		s.WriteString(word)
		used += n
	}
	s.WriteString("\n")
}

// names is what the branches are called.
func (f *Family) names() []string {
	var names []string
	for _, u := range f.units {
		names = append(names, family.Text(u.name))
	}
	return names
}

// anchor is the keys of the branches that all blocks have.
func (f *Family) anchor() []string {
	var keys []string
	add := func(module, name string) {
		if quote(module)[0] == '"' { // a glob would be read as a key
			name = strings.Replace(name, "*", "running_", 1)
			keys = append(keys, family.QuoteKey(family.Child(module, name)))
			return
		}
		keys = append(keys, family.Child(module, name))
	}
	for _, u := range f.units {
		if f.optional[u.sig()] {
			continue
		}
		for _, p := range u.parts {
			if p.layer != "" {
				add(p.layer, "weight")
			}
			for _, norm := range p.norms {
				add(norm, "*mean")
			}
		}
	}
	return keys
}

// some is the first of many modules.
func some(modules []string) string {
	const most = 6
	var names []string
	for _, m := range modules[:min(len(modules), most)] {
		if m = family.Text(m); m == "." {
			m = "the root"
		}
		names = append(names, m)
	}
	if len(modules) > most {
		return strings.Join(names, ", ") + fmt.Sprintf(" and %d more", len(modules)-most)
	}
	return listed(names)
}

var plainText = regexp.MustCompile(`^[A-Za-z_][\w. ,/()×-]*$`)

// quoted is text as YAML takes it.
func quoted(text string) string {
	if plainText.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
