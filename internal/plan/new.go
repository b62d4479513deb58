package plan

import (
	"fmt"
	"strings"

	"repfuse/internal/tensor"
)

// Found is what a maker of blocks hands over: the blocks, and what it has to say of
// modules and keys that no block reads. All keys are Names of sources.
type Found struct {
	Blocks []Block
	Notes  []Note
	// Deployed lists the modules that are fused already.
	Deployed []string
	// Dropped is the keys that the deploy model does not have, each with the reason.
	Dropped map[string]string
	// Renamed is the new keys of what is kept under another.
	Renamed map[string]string
	// Kept is why keys stay that no block reads, where the maker knows; of others New says
	// what it sees.
	Kept map[string]string
	// Computed is the keys of which weights are computed before use, in steps that the maker does
	// not follow: of a block that reads them it says nothing, neither yes nor no.
	Computed map[string]bool
}

// Why a tensor is kept, where whoever found the blocks gives no reason.
const (
	stays       = "stays beside what it was fused into, as the block's own project leaves it"
	fusedBefore = "fused already"
	looseNorm   = "a norm that no block takes"
	inNoBlock   = "in no block"
)

// Sources is tensors of which none is set apart, under their keys without a prefix.
func Sources(tensors []tensor.Named, prefix string) []Source {
	all := make([]Source, len(tensors))
	for k, t := range tensors {
		all[k] = Source{Named: t, Name: strings.TrimPrefix(t.Key, prefix)}
	}
	return all
}

// New settles what becomes of every tensor. Two tensors of the result under one key are
// an error.
func New(tensors []Source, s Selection, found Found) (*Plan, error) {
	p := &Plan{Selection: s, Blocks: found.Blocks, Notes: found.Notes, Deployed: found.Deployed, Fates: make([]Fate, len(tensors))}
	user, stale := make(map[string]int, len(tensors)), map[string]bool{}
	for k, b := range found.Blocks {
		for _, key := range b.Used {
			if _, taken := user[key]; !taken {
				user[key] = k
			}
		}
		for _, key := range b.Stale {
			stale[key] = true
		}
	}
	why := p.reasons(tensors)
	for k, t := range tensors {
		key := t.Name
		f := Fate{Named: t.Named, Name: key, Fate: Kept, Block: -1, NewKey: key}
		if to, ok := found.Renamed[key]; ok {
			f.NewKey = to
		}
		block, used := user[key]
		reason, dropped := found.Dropped[key]
		switch {
		case t.Apart != "":
			f.Fate, f.Why, f.Apart = t.Apart, t.Why, true
		case used && stale[key]:
			f.Block, f.Why = block, stays
		case used:
			f.Fate, f.Block = Fused, block
		case dropped:
			f.Fate, f.Why = Dropped, reason
		default:
			if f.Why = found.Kept[key]; f.Why == "" {
				f.Why = why(key)
			}
		}
		p.Fates[k] = f
	}
	return p, p.unique()
}

// reasons tells of a key why it is kept, by what the plan and the other keys show.
func (p *Plan) reasons(tensors []Source) func(key string) string {
	norms, deployed := map[string]bool{}, map[string]bool{}
	for _, m := range p.Deployed {
		deployed[m] = true
	}
	for _, t := range tensors {
		if isStatistic(t.Key) {
			norms[tensor.Parent(t.Name)] = true
		}
	}
	return func(key string) string {
		for m := tensor.Parent(key); len(deployed) > 0; m = tensor.Parent(m) {
			if deployed[m] {
				return fusedBefore
			}
			if m == "" {
				break
			}
		}
		if norms[tensor.Parent(key)] {
			return looseNorm
		}
		return inNoBlock
	}
}

// unique refuses two tensors under one key of the result.
func (p *Plan) unique() error {
	from := map[string]string{}
	put := func(key, who string) error {
		if other, ok := from[key]; ok {
			return fmt.Errorf("%s would be written twice: by %s and by %s", key, other, who)
		}
		from[key] = who
		return nil
	}
	for _, f := range p.Fates {
		if f.Fate == Kept {
			if err := put(f.NewKey, f.Key); err != nil {
				return err
			}
		}
	}
	for _, b := range p.Blocks {
		for _, o := range b.Outputs {
			for _, key := range []string{o.Weight, o.Bias} {
				if key == "" {
					continue
				}
				if err := put(key, Shown(b.Path)+" ("+b.Family+")"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
