package recognise

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/plan"
)

// nearest notes which modules come nearest to blocks of which families, and what they lack: three at most,
// those with the fewest keys missing first.
func (r *recogniser) nearest() ([]plan.Note, error) {
	all, err := r.offer.set.All()
	if err != nil {
		return nil, err
	}
	modules := r.modulesByKey()
	var near []candidate
	for _, f := range all {
		var best []candidate // one at most
		for _, module := range modules.of(f) {
			if c := r.match(f, module); c.comesNear() && !r.stays(c) && (len(best) == 0 || c.further(best[0]) < 0) {
				best = []candidate{c}
			}
		}
		near = append(near, best...)
	}
	slices.SortStableFunc(near, candidate.further)
	var notes []plan.Note
	for _, c := range near[:min(len(near), 3)] {
		why := strings.TrimPrefix(c.problem.Error(), fmt.Sprintf("%s (%s): ", plan.Shown(c.Module), c.Family))
		notes = append(notes, plan.Note{Where: plan.Shown(c.Module), Text: fmt.Sprintf("comes near to %s: %s", c.Family, why)})
	}
	return notes, nil
}

// comesNear reports whether two thirds of the keys of a block are there, with a kernel that looks around.
func (c candidate) comesNear() bool {
	return c.problem != nil && !c.Family.Network && !c.Family.OnRequest && c.looksAround && len(c.Used) >= 2*len(c.Missing)
}

// further orders near misses by the keys that are missing, then by those that are there.
func (c candidate) further(d candidate) int {
	return cmp.Or(cmp.Compare(len(c.Missing), len(d.Missing)), cmp.Compare(len(d.Used), len(c.Used)))
}

// byKey is the modules below which there is a key, by the key as they see it, with numbers as #.
type byKey map[string][]string

var (
	numberOf     = regexp.MustCompile(`\d+`)
	placeholders = regexp.MustCompile(`<\w+>`)
)

func (r *recogniser) modulesByKey() byKey {
	all := byKey{}
	for _, key := range r.keys.Below("") {
		for at, rest := 0, key; ; {
			name := numberOf.ReplaceAllString(rest, "#")
			all[name] = append(all[name], key[:max(at-1, 0)])
			dot := strings.IndexByte(rest, '.')
			if dot < 0 {
				break
			}
			at += dot + 1
			rest = key[at:]
		}
	}
	return all
}

// of lists the modules that have two or more of the keys that a family reads.
func (k byKey) of(f *family.Family) []string {
	hits := map[string]int{}
	var modules []string
	for _, key := range f.Reads() {
		seen := map[string]bool{}
		for _, module := range k[numberOf.ReplaceAllString(placeholders.ReplaceAllString(key, "#"), "#")] {
			if !seen[module] {
				seen[module] = true
				if hits[module]++; hits[module] == 2 {
					modules = append(modules, module)
				}
			}
		}
	}
	return modules
}
