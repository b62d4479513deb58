package plan

import (
	"fmt"

	"repfuse/internal/hint"
)

// overruled is the blocks in which one question was answered yes and is a no by their
// shapes.
type overruled struct {
	name   string
	blocks []string
	first  Output
}

// sayOverruled tells of blocks of which a yes was said that their shapes speak
// against: a kernel [2C, C, …] is one of C input channels, which no identity can
// join, or one of 2C in two groups, of which no key speaks. Where no block at all took
// the yes it is an error, as any setting that decides nothing.
func (r *recogniser) sayOverruled() error {
	var all []*overruled
	byName := map[string]*overruled{}
	taken := map[string]bool{}
	for _, b := range r.plan.Blocks {
		for _, a := range b.Answers {
			taken[a.Name] = taken[a.Name] || (a.By == "said" && a.Yes())
			if !a.Overruled {
				continue
			}
			if byName[a.Name] == nil {
				byName[a.Name] = &overruled{name: a.Name, first: b.Outputs[0]}
				all = append(all, byName[a.Name])
			}
			byName[a.Name].blocks = append(byName[a.Name].blocks, shown(b.Path))
		}
	}
	for _, o := range all {
		text := fmt.Sprintf("%s=yes was said and is a no: %s is read as %d → %d channels, which cannot be added up",
			o.name, o.first.Weight, o.first.Form.In, o.first.Form.Out)
		aside := fmt.Sprintf("--set %s=groups=%d, if there are groups", o.blocks[0], o.first.Form.Out/o.first.Form.In)
		if !taken[o.name] {
			return &hint.Error{Err: fmt.Errorf("%s: %s", list(o.blocks), text), Hint: aside}
		}
		r.noteOnce(Note{Where: list(o.blocks), Text: text, Hint: aside})
	}
	return nil
}
