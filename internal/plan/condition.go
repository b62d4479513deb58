package plan

import (
	"fmt"
	"slices"
)

// Condition is what blocks are taken to be though nothing in the checkpoint shows it. Every
// verdict on them is under it.
type Condition struct {
	// The clause, as it stands behind "if": ε is 1e-05.
	If string `json:"if"`
	// On whose word: "assumed", "your word", or "the record".
	By string `json:"by"`
	// What says it on the command line, such as --eps and 1e-05; a flag without a value says
	// it by being there. No flag is one that none says.
	Flag  string `json:"flag,omitempty"`
	Value string `json:"value,omitempty"`
	// The modules that it is taken of, "" being the root.
	Modules []string `json:"modules"`
}

// On whose word a condition stands.
const (
	Assumed   = "assumed"
	YourWord  = "your word"  // of the user's flag, which names what no key shows
	TheRecord = "the record" // beside the result or the source
)

// Open reports whether the user has not been asked.
func (c *Condition) Open() bool { return c.By != YourWord }

// String is the condition behind "if", with on whose word it stands and what says it.
func (c *Condition) String() string {
	by := c.By
	if by == TheRecord {
		by = "by the record"
	}
	switch n := len(c.Modules); n {
	case 0:
	case 1:
		by += " for 1 block"
	default:
		by += fmt.Sprintf(" for %d blocks", n)
	}
	if c.Open() && c.Flag != "" {
		by += "; " + c.Flag + " says it"
	}
	return fmt.Sprintf("%s (%s)", c.If, by)
}

// same reports whether both are one condition on other modules.
func (c *Condition) same(d *Condition) bool {
	return c.If == d.If && c.By == d.By && c.Flag == d.Flag && c.Value == d.Value
}

// AddNotes adds notes to a list. Of equal notes there is one, whose condition is then on the
// modules of all.
func AddNotes(list []Note, more ...Note) []Note {
	for _, n := range more {
		k := slices.IndexFunc(list, func(m Note) bool {
			return m.Where == n.Where && m.Text == n.Text && m.Hint == n.Hint &&
				(m.Condition == nil) == (n.Condition == nil) && (n.Condition == nil || m.Condition.same(n.Condition))
		})
		switch {
		case k < 0:
			list = append(list, n)
		case n.Condition != nil:
			list[k].Condition = joined(list[k].Condition, n.Condition)
		}
	}
	return list
}

// joined is one condition on the modules of two.
func joined(c, d *Condition) *Condition {
	all := *c
	all.Modules = slices.Clone(c.Modules)
	for _, m := range d.Modules {
		if !slices.Contains(all.Modules, m) {
			all.Modules = append(all.Modules, m)
		}
	}
	return &all
}

// Conditions is the conditions of notes, each once.
func Conditions(notes []Note) []Condition {
	all := []Condition{}
	for _, n := range notes {
		if n.Condition == nil {
			continue
		}
		k := slices.IndexFunc(all, func(c Condition) bool { return c.same(n.Condition) })
		if k < 0 {
			all = append(all, *n.Condition)
			continue
		}
		all[k] = *joined(&all[k], n.Condition)
	}
	return all
}
