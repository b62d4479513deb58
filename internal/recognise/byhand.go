package recognise

import (
	"fmt"
	"slices"

	"repfuse/internal/family"
	"repfuse/internal/planfile"
)

// follow takes the blocks that a plan file names.
func (r *recogniser) follow(f *planfile.File) error {
	m := r.matcher
	m.byHand = true
	for _, b := range f.Blocks {
		path := family.Untext(b.Module)
		if r.keys.root.find(path) == nil {
			return fmt.Errorf("plan: %s: there is no such module", b.Module)
		}
		name := b.Family
		if name == "" {
			name = "by hand"
		}
		c := m.match(&family.Family{Name: name, Make: b.Make, Keep: []string{"**"}, Stale: b.Stale}, path)
		if c.problem != nil {
			return c.problem
		}
		c.kept = nil // no declaration's word
		r.take(c)
		r.note(assumptions(c, r.facts != nil)...)
	}
	for _, d := range f.Drop {
		fits := r.keys.fitting(family.CompileGlob(d.Glob))
		if len(fits) == 0 {
			return fmt.Errorf("plan: drop: %s fits no key that is left", d.Glob)
		}
		for _, key := range fits {
			r.drop(key, d.Why)
		}
	}
	for _, ren := range slices.Backward(f.Rename) {
		if !r.rename("", ren) {
			return fmt.Errorf("plan: rename: %s fits no key that is left", ren.From)
		}
	}
	return nil
}
