package recognise

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// leftovers notes what stays and looks as if it should not: a module of the same kernels and
// as many norms as a block beside it, and a convolution and a norm that are numbered as the
// branches of a block are.
func (r *recogniser) leftovers() []plan.Note {
	var notes []plan.Note
	if left := r.unlikeSiblings(); len(left) > 0 {
		notes = append(notes, plan.Note{Where: list(left), Text: "kept, where siblings of the same kernels are fused",
			Hint: "repfuse plan -v shows its keys; --plan names a block by hand, " + flagAt("family", left[0], noFamily) + " says that it stays"})
	}
	if left := r.looseBranches(); len(left) > 0 {
		notes = append(notes, plan.Note{Where: list(left), Text: "kept with a norm, where a block takes the branches of other numbers",
			Hint: "repfuse plan -v shows what the block takes; --plan names it by hand"})
	}
	if left := r.placeholders(); len(left) > 0 {
		notes = append(notes, plan.Note{Where: list(left), Text: "kept beside a block, though only its deploy form has the key",
			Hint: "a placeholder, of which the deploy model may want nothing; --plan drops it"})
	}
	return notes
}

// placeholders lists the keys of what is kept that only the deploy form of a block has,
// and that is there beside the block.
func (r *recogniser) placeholders() []string {
	var left []string
	for _, key := range r.keys.Below("") {
		for _, module := range r.offer.giveaways(key) {
			if r.holdsBlock(module) {
				left = append(left, key)
				break
			}
		}
	}
	return left
}

// below is what there is below a module.
type below struct {
	kernels []string // their extents, sorted
	norms   int
	settled bool // some are a block's, or somebody said why they stay
}

// like is what a module has in common with others of its kind, whatever their channels;
// "" where it is too little to tell.
func (b below) like() string {
	if len(b.kernels) == 0 || len(b.kernels)+b.norms < 2 {
		return ""
	}
	return fmt.Sprint(b.kernels, b.norms)
}

// survey describes all modules from n on.
func (r *recogniser) survey(n *node, all map[*node]below) below {
	var b below
	for _, c := range n.children {
		of := r.survey(c, all)
		b.kernels = append(b.kernels, of.kernels...)
		b.norms += of.norms
		b.settled = b.settled || of.settled
	}
	if n.tensor != nil {
		b.settled = b.settled || n.taken || r.found.Kept[n.tensor.Key] != ""
		if isMean(n.tensor) {
			b.norms++
		}
		if isKernel(n.tensor) {
			b.kernels = append(b.kernels, fmt.Sprint(n.tensor.Shape[2:]))
		}
	}
	if n.children != nil { // a tensor alone is too little to be like another
		slices.Sort(b.kernels)
		all[n] = b
	}
	return b
}

// unlikeSiblings lists the modules of the kind of a block whose path differs in one name,
// of which nothing is fused and nobody said that it stays.
func (r *recogniser) unlikeSiblings() []string {
	all := map[*node]below{}
	r.survey(r.keys.root, all)
	blocks := map[string]map[string]bool{} // what they are like, by the path with a gap
	for _, b := range r.found.Blocks {
		for before, after := range gaps(b.Path) {
			gap := before + "\x00" + after
			if blocks[gap] == nil {
				blocks[gap] = map[string]bool{}
			}
			blocks[gap][all[r.keys.root.find(b.Path)].like()] = true
		}
	}
	left := map[string]bool{}
	for gap, kinds := range blocks {
		before, after, _ := strings.Cut(gap, "\x00")
		for _, c := range r.keys.root.find(before).children {
			n := c.find(after)
			if n != nil && !all[n].settled && all[n].like() != "" && kinds[all[n].like()] && !r.isDeployed(n.path+".") {
				left[n.path] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(left))
}

// gaps is what stands before and behind each name of a path.
func gaps(path string) func(yield func(before, after string) bool) {
	names := strings.Split(path, ".")
	return func(yield func(before, after string) bool) {
		for k := range names {
			if !yield(strings.Join(names[:k], "."), strings.Join(names[k+1:], ".")) {
				return
			}
		}
	}
}

// looseBranches lists the convolutions beside the branches of a block, by the numbers
// in their names, that stay together with a norm of the number.
func (r *recogniser) looseBranches() []string {
	var left []string
	for _, b := range r.found.Blocks {
		beside := r.keys.Below(b.Path)
		if len(beside) == 0 || b.Family == foldName { // foldNorms says of each norm why it is left
			continue
		}
		used := map[string]bool{}
		for _, key := range b.Used {
			for _, p := range numbered(key) {
				used[p.pattern] = true
			}
		}
		kernels, norms := map[string]string{}, map[string]bool{}
		for _, key := range beside {
			t, _ := r.keys.Lookup(b.Path, key)
			for _, p := range numbered(t.Key) {
				switch {
				case !used[p.pattern]:
				case isMean(t):
					norms[p.number] = true
				case isKernel(t):
					kernels[t.Key] = p.number
				}
			}
		}
		for key, number := range kernels {
			if norms[number] {
				left = append(left, strings.TrimSuffix(key, ".weight"))
			}
		}
	}
	slices.Sort(left)
	return slices.Compact(left)
}

func isKernel(t *tensor.Named) bool { return len(t.Shape) > 1 }

// isMean reports whether a tensor is what every batch norm has one of.
func isMean(t *tensor.Named) bool {
	return strings.HasSuffix(t.Key, "running_mean") || strings.HasSuffix(t.Key, "._mean")
}

// place is a number in a key, and the key around it.
type place struct{ pattern, number string }

// numbered lists the numbers in a key.
func numbered(key string) []place {
	var list []place
	for k := 0; k < len(key); k++ {
		end := k
		for end < len(key) && key[end] >= '0' && key[end] <= '9' {
			end++
		}
		if end > k {
			list = append(list, place{key[:k] + "\x00" + key[end:], key[k:end]})
			k = end
		}
	}
	return list
}
