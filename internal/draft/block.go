package draft

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"repfuse/internal/family"
)

// block is a module that may be several branches of one shape.
type block struct {
	path  string
	units []*unit
	// others is globs of what is below and in no branch.
	others []string
	in     int // channels that go in, a group
	out    int
}

// blocks finds the outermost blocks from n on.
func (d *drafter) blocks(n *node) []block {
	if b := d.block(n); b != nil {
		return []block{*b}
	}
	var all []block
	for _, c := range n.children {
		all = append(all, d.blocks(c)...)
	}
	return all
}

// block reads a module as a block; nil where it is none.
func (d *drafter) block(n *node) *block {
	if n.isLeaf() || n.indexed() || d.Facts.Of(n.path).Transposed {
		return nil
	}
	b := &block{path: n.path}
	for name := range n.tensors {
		b.others = append(b.others, family.QuoteGlob(name))
	}
	slices.Sort(b.others)
	var own []*node // layers and norms that are the block's own, or all that a module holds
	for _, c := range n.children {
		leaves, whole := c.leaves()
		if whole && len(leaves) == 1 && !c.indexed() && !d.acts(c) {
			own = append(own, leaves[0])
		} else if u := d.unit(c, n.path); u != nil {
			b.units = append(b.units, u)
		} else if isBeside(c) && family.QuoteGlob(c.name) == c.name {
			b.others = append(b.others, c.name+".**")
		} else {
			return nil
		}
	}
	parts, loose := d.parts(own, n.path, n.path)
	for _, p := range parts {
		b.units = append(b.units, &unit{name: p.layer, parts: []part{p}})
	}
	for _, l := range loose {
		path := relative(n.path, l.path)
		b.units = append(b.units, &unit{name: path, parts: []part{{norms: []string{path}, shape: []int{l.channels()}}}})
	}
	if !b.fits() {
		return nil
	}
	slices.SortFunc(b.units, before)
	return b
}

// before orders branches as people write them: the largest kernel first, a norm alone last.
func before(a, b *unit) int {
	rank := func(u *unit) int {
		switch {
		case u.lone():
			return 1
		case len(u.parts) > 1:
			return 0
		}
		return -taps(u.parts[0].shape)
	}
	if rank(a) != rank(b) {
		return rank(a) - rank(b)
	}
	return strings.Compare(a.name, b.name)
}

// isBeside reports whether a module may stand beside the branches of a block: it holds no kernel of several
// taps, and at most the two layers of what weighs channels.
func isBeside(n *node) bool {
	layers, wide := 0, false
	var walk func(n *node)
	walk = func(n *node) {
		if w := n.kernel(); w != nil {
			layers++
			wide = wide || taps(w) > 1
		}
		for _, c := range n.children {
			walk(c)
		}
	}
	walk(n)
	return !wide && layers <= 2
}

// fits reports whether the branches can be added up, and there are several.
func (b *block) fits() bool {
	var first *unit
	lone, addends := 0, 0
	for _, u := range b.units {
		switch {
		case u.lone():
			lone++
		case u.single() && first == nil:
			first = u
		}
		if u.lone() || u.single() {
			addends++
		}
		if u.list {
			addends++
		}
	}
	if first == nil || lone > 1 || addends < 2 {
		return false
	}
	b.in, b.out = first.in(), first.out()
	dims, odd, same := len(first.parts[0].shape), true, true
	for _, u := range b.units {
		if u.out() != b.out || !u.lone() && (u.in() != b.in || len(u.parts[0].shape) != dims) {
			return false
		}
		for _, p := range u.parts {
			if u.lone() || len(p.shape) < 3 {
				continue
			}
			odd = odd && !slices.ContainsFunc(p.shape[2:], func(k int) bool { return k%2 == 0 })
			same = same && slices.Equal(p.shape[2:], first.parts[0].shape[2:])
		}
	}
	return odd || same
}

// names is the branches' names.
func (b *block) names() map[string]*unit {
	all := map[string]*unit{}
	for _, u := range b.units {
		all[u.sig()] = u
	}
	return all
}

// lone reports whether a norm stands alone in the block.
func (b *block) lone() bool { return slices.ContainsFunc(b.units, (*unit).lone) }

// evident reports whether something beside equal channels speaks for branches: kernels of several extents,
// an identity's norm, a norm alone beside layers in a row, numbered branches that do not fit in a row.
func (b *block) evident() bool {
	sizes := map[string]bool{}
	lone, list, row := false, false, false
	for _, u := range b.units {
		row = row || len(u.parts) > 1
		if u.single() {
			sizes[fmt.Sprint(u.parts[0].shape[2:])] = true
		}
		lone = lone || u.lone() && identityName.MatchString(u.name)
		list = list || u.list
	}
	return len(sizes) > 1 || lone || row && b.lone() || list && (b.in != b.out && b.in > 1 || b.lone())
}

// kinds puts blocks together whose branches have the same names, or the names of more.
func kinds(all []block) [][]block {
	var kinds [][]block
	var known []map[string]*unit // the names of each kind
	having := map[string][]int{} // the kinds that have a name
	size := func(b block) int { return -len(b.units) }
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b block) int { return size(a) - size(b) })
	for _, b := range all {
		names := b.names()
		sigs := slices.Collect(maps.Keys(names))
		rare := having[slices.MinFunc(sigs, func(a, b string) int { return len(having[a]) - len(having[b]) })]
		at := slices.IndexFunc(rare, func(kind int) bool {
			return !slices.ContainsFunc(sigs, func(sig string) bool { return known[kind][sig] == nil })
		})
		if at >= 0 {
			kinds[rare[at]] = append(kinds[rare[at]], b)
			continue
		}
		for _, sig := range sigs {
			having[sig] = append(having[sig], len(kinds))
		}
		kinds, known = append(kinds, []block{b}), append(known, names)
	}
	return kinds
}
