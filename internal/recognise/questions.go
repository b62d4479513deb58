package recognise

import (
	"errors"
	"fmt"
	"slices"
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
	if c.unseen {
		by := plan.Assumed
		if c.named {
			by = plan.YourWord
		}
		notes = append(notes, plan.Note{Where: f.String(), Text: "the graph does not follow how its weights are computed: taken by its names",
			Condition: &plan.Condition{If: "what computes its weights is a block of " + f.Name, By: by, Flag: "--family", Value: f.Name, Modules: []string{c.Module}}})
	}
	if c.EpsAssumed != 0 {
		notes = append(notes, plan.Note{Where: f.String(), Text: fmt.Sprintf("ε %g is assumed, no key holds it", c.EpsAssumed),
			Hint: "--eps decides it" + otherDialects(f), Condition: c.taken("ε", number(c.EpsAssumed), "--eps")})
	}
	if c.first || c.EpsAssumed == 0 && f.Dialect == "" && len(f.Dialects) > 0 && !facts {
		n := plan.Note{Where: f.String(), Text: "read as the first of its dialects", Hint: strings.TrimPrefix(otherDialects(f), "; ")}
		if c.first {
			n.Condition = &plan.Condition{If: "it is " + f.Name + " in its first dialect", By: plan.Assumed, Flag: "--family", Value: f.Name, Modules: []string{c.Module}}
		}
		notes = append(notes, n)
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

// noteYourWord notes of a family that the user asks for by name, as its keys show it in many networks,
// that nothing without keys stands between its layers. A class in the facts asks for it as well.
func (r *recogniser) noteYourWord(c candidate) {
	if _, named := r.offer.ofClass(c.Family, c.Module); !c.Family.OnRequest || named || r.graph != nil || len(c.Made) == 0 {
		return
	}
	r.note(plan.Note{Where: c.Family.String(), Text: between + ": your word",
		Condition: &plan.Condition{If: between, By: plan.YourWord, Flag: "--family", Modules: []string{c.Module}}})
}

// between is what no key shows of a layer and its norm.
const between = "nothing stands between a layer and the norm behind it"

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
	return placeholder
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

// openQuestions is the one error of every question left open, with the blocks that ask it, and the
// one command line that answers all.
func openQuestions(taken []candidate, said []*rule) error {
	var open []family.Answer
	blocks := map[string][]string{}
	for _, c := range taken {
		for _, a := range c.Open {
			if blocks[a.Name] == nil {
				open = append(open, a)
			}
			blocks[a.Name] = append(blocks[a.Name], plan.Shown(c.Module))
		}
	}
	if len(open) == 0 {
		return nil
	}
	errs := make([]error, len(open))
	flags := make([]string, len(open))
	for k, a := range open {
		errs[k] = fmt.Errorf("%s: no key says: %s", list(blocks[a.Name]), about(a.Question))
		flags[k] = answerFlag("", a)
		if slices.ContainsFunc(said, func(r *rule) bool { return r.name == a.Name }) { // of some, which all would overrule
			for n, module := range blocks[a.Name] {
				blocks[a.Name][n] = answerFlag(module, a)
			}
			return &hint.Error{Err: errors.Join(errs[:k+1]...), Hint: strings.Join(blocks[a.Name], " ")}
		}
	}
	first := open[0]
	how, module := strings.Join(flags, " "), blocks[first.Name][0]
	switch several := len(blocks[first.Name]) > 1; {
	case first.Value != "yes":
		how += " for all, " + answerFlag(module, first) + " for one"
	case len(open) == 1 && several:
		how += " or " + answerFlag("", no(first)) + " for all, " + answerFlag(module, no(first)) + " for one"
	case len(open) == 1:
		how += " or " + answerFlag("", no(first))
	case several:
		how += ", each yes or no, for one block " + answerFlag(module, no(first))
	default:
		how += ", each yes or no"
	}
	return &hint.Error{Err: errors.Join(errs...), Hint: how + "; or export with repfuse exporter, which records it"}
}

func no(a family.Answer) family.Answer {
	a.Value = "no"
	return a
}

// answerFlag is the option that gives an answer, of one module, as it is shown, where that is not "".
func answerFlag(module string, a family.Answer) string {
	value := a.Value
	if value == "1" {
		value = placeholder
	}
	flag := "identity"
	if a.Name != flag {
		flag, value = "set", a.Name+"="+value
	}
	if module == "" {
		return hint.Words("--"+flag, value)
	}
	return flagAt(flag, strings.TrimPrefix(module, "."), value)
}

// list is what a note or an error names of blocks.
func list(blocks []string) string { return plan.List(blocks, 12) }
