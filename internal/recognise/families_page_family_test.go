package recognise_test

import (
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/family"
)

// contents is the table at the top.
func (p *page) contents() {
	tasks, of := family.ByTask(p.families)
	for _, task := range tasks {
		p.printf("**%s**\n\n| family | what it is | paper | cases | largest difference |\n|---|---|---|---|---|\n", family.TaskTitle(task))
		for _, f := range of[task] {
			p.printf("| [%s](#%s) | %s | %s | %s | %s |\n", f.Name, f.Name, cell(f.Title), cell(cited(f.Paper)), count(len(p.of(f))), p.worst(f))
		}
		p.printf("\n")
	}
}

// of is the cases that a family holds for.
func (p *page) of(f *family.Family) []measuredCase {
	var list []measuredCase
	for _, c := range p.cases {
		if c.holds(f) {
			list = append(list, c)
		}
	}
	return list
}

func (p *page) worst(f *family.Family) string {
	largest, any := 0.0, false
	cases := p.of(f)
	for _, c := range cases {
		if d, ok := c.apart(f); ok {
			largest, any = max(largest, d), true
		}
	}
	switch {
	case any:
		return figure(largest)
	case len(cases) > 0:
		return "output only"
	}
	return "no reference value"
}

func (p *page) family(f *family.Family) {
	p.printf("## %s\n\n%s.", f.Name, strings.TrimSuffix(f.Title, "."))
	if f.Paper != "" {
		p.printf(" %s.", f.Paper)
	}
	p.printf(" Source: %s.\n\n", f.Source)
	p.expressions(f.Make)
	p.keys(f)
	p.rules(f)
	for _, d := range f.Dialects {
		p.dialect(f, d)
	}
	for _, n := range f.Notes {
		p.item("", n)
	}
	p.printf("\n")
	p.table(f)
}

func (p *page) expressions(list []family.Output) {
	if len(list) == 0 {
		return
	}
	p.printf("```\n")
	for _, out := range list {
		if strings.Contains(out.Text, "\n") {
			p.printf("%s =\n  %s\n", out.Key, strings.ReplaceAll(out.Text, "\n", "\n  "))
		} else {
			p.printf("%s = %s\n", out.Key, out.Text)
		}
	}
	p.printf("```\n\n")
}

// item is a line of a list, with a word in front of it.
func (p *page) item(word, text string) {
	if text == "" {
		return
	}
	if word != "" {
		word = "*" + word + "* "
	}
	p.printf("- %s%s\n", word, strings.TrimSuffix(text, "."))
}

// rules is what a declaration says beside its expressions.
func (p *page) rules(f *family.Family) {
	switch {
	case f.OnRequest && len(f.Class) > 0:
		p.item("on request:", fmt.Sprintf("`--family %s`, or facts that name %s; many modules have such keys by chance", f.Name, code(f.Class)))
	case f.OnRequest:
		p.item("on request:", fmt.Sprintf("`--family %s`, or a network that has such blocks; many modules have such keys by chance", f.Name))
	case len(f.Class) > 0:
		p.item("class", code(f.Class))
	}
	if f.Network {
		p.item("network:", "it says how its blocks sit in a model, and leaves every key that is not spoken of")
	}
	if len(p.samples(f)) == 0 || f.Network {
		p.knownBy(f)
	}
	p.item("brings", code(f.Enable))
	if f.Eps != 0 {
		p.item("ε", fmt.Sprintf("%g, where no fact says it", f.Eps))
	}
	for _, q := range f.Ask {
		p.question(q)
	}
	p.item("keeps", code(f.Keep))
	p.fates("drops", f.Drop)
	p.fates("refuses", f.Refuse)
	p.item("leaves in the file, as the reference does,", code(f.Stale))
	p.renames(f.Rename)
	p.item("needs", code(f.Need))
	p.item("alike in input channels:", code(f.Alike))
}

// knownBy is the keys that give a block away.
func (p *page) knownBy(f *family.Family) {
	var sets []string
	for _, set := range f.Anchor {
		keys := make([]string, len(set))
		for k, pattern := range set {
			keys[k] = pattern.Key
			if pattern.Absent {
				keys[k] = "!" + pattern.Key
			}
		}
		sets = append(sets, strings.Join(keys, " "))
	}
	p.item("known by", code(sets))
}

func (p *page) question(q family.Question) {
	text := fmt.Sprintf("`%s`: %s; ", q.Name, q.About)
	if q.Default == "ask" {
		text += "nothing is assumed"
	} else {
		text += fmt.Sprintf("assumed to be %s", q.Default)
	}
	if len(q.Facts) > 0 {
		text += ", facts: " + code(q.Facts)
	}
	p.item("asks", text)
}

func (p *page) fates(word string, list []family.Drop) {
	for _, d := range list {
		p.item(word, fmt.Sprintf("`%s`: %s", d.Glob, d.Why))
	}
}

func (p *page) renames(list []family.Rename) {
	for _, r := range list {
		to := "`" + r.To + "`"
		if r.To == "" {
			to = "the block's own name"
		}
		p.item("renames", fmt.Sprintf("`%s` to %s", r.From, to))
	}
}

// dialect is what is otherwise in a dialect.
func (p *page) dialect(f *family.Family, d family.Dialect) {
	text := fmt.Sprintf("`%s/%s`", f.Name, d.Name)
	if d.Title != "" {
		text += ": " + d.Title
	}
	add := func(format string, args ...any) { text += "; " + fmt.Sprintf(format, args...) }
	if d.Eps != 0 {
		add("ε %g", d.Eps)
	}
	if d.Keep != nil {
		add("keeps %s", code(d.Keep))
	}
	for _, drop := range d.Drop {
		add("drops `%s` (%s)", drop.Glob, drop.Why)
	}
	if d.Stale != nil && len(d.Stale) == 0 {
		add("leaves no branch in the file")
	} else if d.Stale != nil {
		add("leaves %s in the file", code(d.Stale))
	}
	for _, r := range d.Rename {
		add("renames `%s` to `%s`", r.From, r.To)
	}
	if len(d.Class) > 0 {
		add("class %s", code(d.Class))
	}
	for _, q := range f.Ask {
		if a, ok := d.Answers[q.Name]; ok {
			add("%s is %s", q.Name, a)
		}
	}
	p.item("dialect", text)
	if d.Make != nil {
		p.printf("\n")
		p.expressions(d.Make)
	}
}

// table is a family's reference cases.
func (p *page) table(f *family.Family) {
	list := p.of(f)
	switch {
	case len(list) == 0 && len(p.samples(f)) > 0:
		p.printf("No reference case: keys and shapes are tested, values are not.\n\n")
		return
	case len(list) == 0 && f.Network:
		p.printf("No reference case of a whole network.\n\n")
		return
	case len(list) == 0:
		p.printf("No reference case.\n\n")
		return
	}
	p.printf("| reference case | needs, without facts | with facts | difference |\n|---|---|---|---|\n")
	for _, c := range list {
		d, compared := c.apart(f)
		shown := "the output only"
		if compared {
			shown = figure(d)
		}
		name := c.Meta.Name
		if strings.HasPrefix(c.Meta.Notes, "written from the description") {
			name += " (described)"
		}
		p.printf("| %s | %s | %s | %s |\n", name, orNothing(c.flags()), orNothing(typed(c.request, c.told)), shown)
	}
	p.printf("\n")
}

func figure(d float64) string {
	if d == 0 {
		return "none"
	}
	return fmt.Sprintf("%.0e", d)
}

func count(n int) string {
	if n == 0 {
		return "**none**"
	}
	return fmt.Sprint(n)
}

func orNothing(flags string) string {
	if flags == "" {
		return "nothing"
	}
	return "`" + flags + "`"
}

// code is words as code, one behind the other.
func code(words []string) string {
	quoted := make([]string, len(words))
	for k, w := range words {
		quoted[k] = "`" + w + "`"
	}
	return strings.Join(quoted, ", ")
}

// cell is text in a table, where a bar would end it.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// cited is who wrote a paper and where it came out.
func cited(paper string) string {
	parts := strings.Split(paper, ", ")
	return strings.Join(slices.Compact([]string{parts[0], parts[len(parts)-1]}), ", ")
}
