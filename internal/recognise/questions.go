package recognise

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/hint"
	"repfuse/internal/plan"
)

// assumptions is what was decided of a block though nobody said it: ε, the dialect,
// answers by default.
func assumptions(c candidate, facts bool) []plan.Note {
	var notes []plan.Note
	f := c.Family
	if c.EpsAssumed != 0 {
		notes = append(notes, plan.Note{Where: f.String(), Text: fmt.Sprintf("ε %g is assumed, no key holds it", c.EpsAssumed),
			Hint: "--eps decides it" + otherDialects(f), Condition: c.taken("ε", number(c.EpsAssumed), "--eps")})
	} else if f.Dialect == "" && len(f.Dialects) > 0 && !facts {
		notes = append(notes, plan.Note{Where: f.String(), Text: "read as the first of its dialects", Hint: strings.TrimPrefix(otherDialects(f), "; ")})
	}
	if c.PaddingMode != "" {
		notes = append(notes, plan.Note{Where: plan.Shown(c.Module), Text: fmt.Sprintf("pads by %s: the deploy convolution has to as well", c.PaddingMode)})
	}
	for _, a := range c.Answers {
		if a.By == "default" {
			flag := "--set"
			if a.Name == "identity" {
				flag = "--identity"
			}
			notes = append(notes, plan.Note{Where: f.String(), Text: fmt.Sprintf("%s: %s is assumed, no key says it", about(a.Question), a.Value),
				Hint: fmt.Sprintf("--set %s=%s decides it", a.Name, otherAnswer(a)), Condition: c.taken(a.Name, a.Value, flag)})
		}
	}
	return notes
}

// taken is the condition that what nothing shows of a block has a value.
func (c *candidate) taken(what, value, flag string) *plan.Condition {
	n := plan.Condition{If: what + " is " + value, By: plan.Assumed, Flag: flag, Value: value, Modules: []string{c.Module}}
	if flag == "--set" {
		n.Value = what + "=" + value
	}
	return &n
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func otherAnswer(a family.Answer) string {
	switch a.Value {
	case "yes":
		return "no"
	case "no":
		return "yes"
	}
	return "VALUE"
}

func otherDialects(f *family.Family) string {
	if f.Dialect != "" || len(f.Dialects) == 0 {
		return ""
	}
	var s []string
	for _, d := range f.Dialects {
		t := fmt.Sprintf("--family %s/%s", f.Name, d.Name)
		if d.Eps != 0 {
			t += fmt.Sprintf(" takes ε %g", d.Eps)
		} else if d.Title != "" {
			t += " is " + d.Title
		}
		s = append(s, t)
	}
	return "; " + strings.Join(s, ", ")
}

func about(q family.Question) string {
	if q.About != "" {
		return q.About
	}
	return q.Name
}

// openQuestions is the one error that lists every question left open and ends in a
// command ready to run.
func openQuestions(taken []candidate) error {
	var names []string
	blocks, text := map[string][]string{}, map[string]string{}
	for _, c := range taken {
		for _, q := range c.Open {
			if blocks[q.Name] == nil {
				names = append(names, q.Name)
				text[q.Name] = about(q)
			}
			blocks[q.Name] = append(blocks[q.Name], plan.Shown(c.Module))
		}
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, &hint.Error{
			Err:  fmt.Errorf("%s: no key says: %s", list(blocks[name]), text[name]),
			Hint: howToAnswer(name, blocks[name])})
	}
	return errors.Join(errs...)
}

func list(blocks []string) string {
	const most = 12
	if len(blocks) <= most {
		return strings.Join(blocks, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(blocks[:most], ", "), len(blocks)-most)
}

func howToAnswer(name string, blocks []string) string {
	if name == "identity" {
		if len(blocks) == 1 {
			return "--identity yes or --identity no; or export with repfuse exporter, which records it"
		}
		return fmt.Sprintf("--identity yes or --identity no for all, --identity %s=no for one; or export with repfuse exporter, which records it", blocks[0])
	}
	return fmt.Sprintf("--set %s=VALUE for all, --set %s=%s=VALUE for one; or export with repfuse exporter, which records it", name, blocks[0], name)
}
