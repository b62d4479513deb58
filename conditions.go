package repfuse

import (
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/plan"
)

// Condition is what blocks are taken to be though nothing in the checkpoint shows it:
//
//	type Condition struct {
//		If      string   // the clause, as it stands behind "if": ε is 1e-05
//		By      string   // on whose word: "assumed", "your word", "the record"
//		Flag    string   // what says it on the command line, such as --eps; may be ""
//		Value   string   // and its value, such as 1e-05; may be ""
//		Modules []string // that it is taken of
//	}
type Condition = plan.Condition

// OpenError is why nothing was done with Recognition.Strict: something is assumed.
type OpenError struct {
	Conditions []Condition
	// Flags is what says all of them on the command line.
	Flags []string
}

// Error names all conditions.
func (e *OpenError) Error() string { return "--strict: right only " + under(e.Conditions) }

// under is conditions as they stand behind a claim.
func under(all []Condition) string {
	if len(all) == 0 {
		return ""
	}
	var s []string
	for k := range all {
		s = append(s, all[k].String())
	}
	return "if " + strings.Join(s, " and ")
}

// claim is a claim with what it depends on.
func claim(text string, all []Condition) string {
	if len(all) == 0 {
		return text
	}
	return text + ", " + under(all)
}

// Under is what the result depends on as it stands behind a claim, "" where that is nothing.
func (p *Planned) Under() string { return under(p.Conditions) }

// Under is what the result depends on as it stands behind a claim, "" where that is nothing.
func (u *Unfused) Under() string { return under(u.Conditions) }

// strict is an error where conditions are open. everywhere says that a flag may be of all
// modules, as no fact speaks against it elsewhere.
func strict(all []Condition, everywhere bool) error {
	e := &OpenError{}
	said := map[string]bool{}
	for _, c := range all {
		if !c.Open() {
			continue
		}
		e.Conditions = append(e.Conditions, c)
		question := c.Flag
		if name, _, ok := strings.Cut(c.Value, "="); ok {
			question += name
		}
		switch {
		case c.Flag == "":
		case c.Value == "":
			e.Flags = append(e.Flags, c.Flag)
		case len(c.Modules) == 0, c.Flag != "--set" && strings.Contains(c.Value, "="), everywhere && !said[question] && c.Value != "none":
			e.Flags = append(e.Flags, c.Flag, c.Value)
		default:
			for _, m := range c.Modules {
				e.Flags = append(e.Flags, c.Flag, family.ModuleGlob(m)+"="+c.Value)
			}
		}
		said[question] = true
	}
	if len(e.Conditions) == 0 {
		return nil
	}
	return e
}
