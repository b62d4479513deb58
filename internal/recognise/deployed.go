package recognise

import (
	"maps"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// findDeployed lists the modules that a record says are fused, and those that are the
// deploy form of a family: all their keys are, and no batch norm of the block is left.
func (r *recogniser) findDeployed(tensors []tensor.Named) {
	var all []string
	for _, t := range tensors {
		if _, free := r.keys.Lookup("", t.Key); !free {
			continue
		}
		for f, module := range r.offer.giveaways(t.Key) {
			if !r.holdsBlock(module) && !slices.Contains(all, module) && f.IsDeploy(r.keys, module) {
				all = append(all, module)
				break
			}
		}
	}
	var recorded, shown []string
	for _, m := range r.deployed {
		if !slices.Contains(all, m) {
			recorded, shown = append(recorded, m), append(shown, plan.Shown(m))
		}
	}
	if all = append(all, recorded...); len(recorded) > 0 {
		r.note(plan.Note{Where: list(shown), Text: "fused already by the record beside it, which no key shows",
			Condition: &plan.Condition{If: "that is fused already which its keys do not show", By: plan.TheRecord, Flag: "--family", Value: noFamily, Modules: recorded}})
	}
	r.found.Deployed = all
	if len(all) > 0 && len(r.taken) > 0 {
		r.note(plan.Note{Where: plan.Shown(all[0]) + plan.More(len(all)-1), Text: "fused already, and left as it is"})
	}
}

// stillTrains reports whether a module that a record says is fused is a training form by its keys, batch
// norms and all: then the record is of something else.
func (r *recogniser) stillTrains(module string) bool {
	n := r.keys.root.find(module)
	return n != nil && slices.ContainsFunc(r.offer.at(r.keys, n), func(f *family.Family) bool {
		c := r.match(f, module)
		return c.problem == nil && slices.ContainsFunc(slices.Collect(maps.Keys(c.Used)), func(key string) bool {
			return strings.HasSuffix(key, "running_mean")
		})
	})
}

// holdsBlock reports whether a module is a block that is fused, beside which a key of its
// deploy form is a placeholder.
func (r *recogniser) holdsBlock(module string) bool {
	return slices.ContainsFunc(r.taken, func(c candidate) bool { return c.Module == module })
}

// giveaways is the families one of whose deploy form's own keys a key is, each with the
// module that would be the block.
func (o *offer) giveaways(key string) func(yield func(f *family.Family, module string) bool) {
	return func(yield func(f *family.Family, module string) bool) {
		for _, f := range o.all {
			for _, name := range f.Deployed {
				module, ok := strings.CutSuffix(key, name)
				if !ok || module != "" && !strings.HasSuffix(module, ".") {
					continue
				}
				if !yield(f, strings.TrimSuffix(module, ".")) {
					return
				}
			}
		}
	}
}
