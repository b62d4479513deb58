package recognise

import (
	"fmt"

	"repfuse/internal/hint"
	"repfuse/internal/plan"
)

// overruled tells of blocks of which a yes was said that their shapes speak
// against: a kernel [2C, C, …] is one of C input channels, which no identity can
// join, or one of 2C in two groups, of which no key speaks. Where no block at all took
// the yes it is an error, as any setting that decides nothing.
func overruled(taken []candidate) ([]plan.Note, error) {
	var names []string
	against := map[string][]candidate{} // by question
	followed := map[string]bool{}
	for _, c := range taken {
		for _, a := range c.Answers {
			followed[a.Name] = followed[a.Name] || (a.By == "said" && a.Yes())
			if a.Overruled {
				if against[a.Name] == nil {
					names = append(names, a.Name)
				}
				against[a.Name] = append(against[a.Name], c)
			}
		}
	}
	var notes []plan.Note
	for _, name := range names {
		blocks := make([]string, len(against[name]))
		for k, c := range against[name] {
			blocks[k] = plan.Shown(c.Module)
		}
		made := against[name][0].Made[0]
		n := plan.Note{Where: list(blocks),
			Text: fmt.Sprintf("%s=yes was said and is a no: %s is read as %d → %d channels, which cannot be added up",
				name, made.Weight, made.Form.In, made.Form.Out),
			Hint: flagAt("set", against[name][0].Module, fmt.Sprintf("groups=%d", made.Form.Out/made.Form.In)) + ", if there are groups"}
		if !followed[name] {
			return nil, &hint.Error{Err: fmt.Errorf("%s", n), Hint: n.Hint}
		}
		notes = append(notes, n)
	}
	return notes, nil
}
