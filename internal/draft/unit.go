package draft

import (
	"regexp"
	"slices"
	"strings"

	"repfuse/internal/facts"
	"repfuse/internal/family"
	"repfuse/internal/pairs"
	"repfuse/internal/tensor"
)

// unit is a branch of a block, or several that are numbered.
type unit struct {
	name  string // of its module, as the block sees it
	parts []part // a layer, layers in a row, or a norm alone
	list  bool   // numbered: paths have <n> in the place of the number
	row   bool   // of several layers: they fit in a row
	side  bool   // and side by side
}

// part is a layer and the norms behind it.
type part struct {
	layer  string // as the block sees it, "" for a norm alone
	shape  []int  // of its kernel, or of the norm
	norms  []string
	behind bool // order, names or channels show the norm behind the layer
}

// sig is a unit's names: units of one name in blocks of one kind have the same.
func (u *unit) sig() string {
	s := ""
	for _, p := range u.parts {
		s += p.layer + ">" + strings.Join(p.norms, ">") + ";"
	}
	return s
}

func (u *unit) lone() bool   { return u.parts[0].layer == "" }
func (u *unit) single() bool { return len(u.parts) == 1 && !u.lone() }
func (u *unit) in() int      { return u.parts[0].shape[min(1, len(u.parts[0].shape)-1)] }
func (u *unit) out() int     { return u.parts[len(u.parts)-1].shape[0] }

// Names that say what keys do not: an identity's norm, a pool without keys, a kernel whose taps lie apart.
var (
	identityName = regexp.MustCompile(`(?i)(^|[._])(id|idt|ident\w*|skip\w*|short\w*|res|residual|bypass)\d*([._]|$)|_identity`)
	poolName     = regexp.MustCompile(`(?i)avg|pool`)
	idLayerName  = regexp.MustCompile(`(?i)(^|[._])id\w*`)
	dilatedName  = regexp.MustCompile(`(?i)dil|atrous`)
)

// unit reads a module below a block as a branch, or several; nil where it is none.
func (d *drafter) unit(c *node, block string) *unit {
	leaves, whole := c.leaves()
	if !whole || d.acts(c) {
		return nil
	}
	if c.indexed() {
		if u := d.list(c, block); u != nil || !c.gapless() {
			return u
		}
	}
	parts, loose := d.parts(leaves, c.path, block)
	u := &unit{name: relative(block, c.path), parts: parts}
	switch {
	case parts == nil && len(loose) == 1:
		u.parts = []part{{norms: []string{relative(block, loose[0].path)}, shape: []int{loose[0].channels()}}}
	case len(parts) == 1 && len(loose) == 1 && poolName.MatchString(loose[0].path):
		parts[0].norms = append(parts[0].norms, relative(block, loose[0].path))
	case len(loose) > 0 || len(parts) == 0 || len(parts) > 3:
		return nil
	case len(parts) > 1:
		u.side = !slices.ContainsFunc(parts, func(p part) bool { return !slices.Equal(p.shape[:2], parts[0].shape[:2]) })
		u.row = u.inARow()
		looks := slices.ContainsFunc(parts, func(p part) bool { return taps(p.shape) > 1 || len(p.norms) > 0 })
		if !looks || !u.side && !u.row {
			return nil // two 1×1 without norms are what weighs channels
		}
	}
	return u
}

// inARow puts the parts in an order in which each takes what the one before gives, if there is one.
func (u *unit) inARow() bool {
	fits := func() bool {
		for k, p := range u.parts[1:] {
			if groups := u.parts[k].shape[0] / p.shape[1]; groups*p.shape[1] != u.parts[k].shape[0] || groups == 0 || p.shape[0]%groups > 0 {
				return false
			}
		}
		return true
	}
	if fits() {
		return true
	}
	slices.Reverse(u.parts)
	if fits() {
		return true
	}
	slices.Reverse(u.parts)
	return false
}

// list reads numbered modules as branches of one shape; nil where they are of several.
func (d *drafter) list(c *node, block string) *unit {
	var all *unit
	for _, n := range c.children {
		leaves, _ := n.leaves()
		parts, loose := d.parts(leaves, n.path, block)
		if len(parts) != 1 || len(loose) > 0 {
			return nil
		}
		u := &unit{name: relative(block, c.path), parts: parts, list: true}
		number := func(path string) string {
			return relative(block, c.path) + ".<n>" + strings.TrimPrefix(path, relative(block, n.path))
		}
		u.parts[0].layer = number(parts[0].layer)
		for k, norm := range u.parts[0].norms {
			u.parts[0].norms[k] = number(norm)
		}
		if all != nil && (all.sig() != u.sig() || !slices.Equal(all.parts[0].shape[:2], parts[0].shape[:2])) {
			return nil
		}
		if all == nil || taps(parts[0].shape) > taps(all.parts[0].shape) {
			all = u
		}
	}
	return all
}

// parts pairs the norms among the leaves of a module with its layers: by their words, by order, or where one
// of each is left that share a word. What goes with no layer is loose. A norm that was registered before
// its layer makes it none of a branch: no parts, all loose.
func (d *drafter) parts(leaves []*node, scope, block string) (parts []part, loose []*node) {
	var layers, norms []*node
	for _, n := range leaves {
		if n.kernel() != nil {
			layers = append(layers, n)
		} else {
			norms = append(norms, n)
		}
	}
	of := d.pair(layers, norms, scope, block)
	for _, l := range layers {
		p := part{layer: relative(block, l.path), shape: l.kernel()}
		if n := of[l]; n != nil {
			w := l.kernel()
			p.norms = []string{relative(block, n.path)}
			p.behind = d.Ordered || d.layer[n.path] == l.path || w[0] != w[1] && w[1] > 1
			if w[0] != n.channels() || d.Ordered && n.place < l.place {
				return nil, leaves
			}
		}
		parts = append(parts, p)
	}
	for _, n := range norms {
		if !slices.ContainsFunc(layers, func(l *node) bool { return of[l] == n }) {
			loose = append(loose, n)
		}
	}
	return parts, loose
}

func (d *drafter) pair(layers, norms []*node, scope, block string) map[*node]*node {
	of := map[*node]*node{}
	taken := map[*node]bool{}
	match := func(fits func(l, n *node) bool) {
		for _, l := range layers {
			at := slices.IndexFunc(norms, func(n *node) bool { return !taken[n] && of[l] == nil && fits(l, n) })
			if at >= 0 {
				of[l], taken[norms[at]] = norms[at], true
			}
		}
	}
	words := func(n *node) []string { return strings.Fields(pairs.Words(relative(scope, n.path))) }
	share := func(l, n *node) bool {
		return slices.ContainsFunc(words(l), func(w string) bool { return slices.Contains(words(n), w) })
	}
	match(func(l, n *node) bool { return slices.Equal(words(l), words(n)) })
	// A norm of other words among the branches may be behind their sum.
	match(func(l, n *node) bool { return d.layer[n.path] == l.path && (scope != block || share(l, n)) })
	if len(layers)-len(of) == 1 && len(norms)-len(of) == 1 {
		match(func(l, n *node) bool { return scope != block && len(layers) == 1 || share(l, n) })
	}
	return of
}

// acts reports whether the facts know of something in a branch that has no keys and computes what no
// convolution does.
func (d *drafter) acts(c *node) bool {
	m := d.Facts.Of(c.path)
	for _, class := range m.Keyless {
		if !facts.Harmless(class) && !poolName.MatchString(class) {
			return true
		}
	}
	return m.Transposed || slices.ContainsFunc(c.children, d.acts)
}

func taps(shape []int) int { return tensor.Elems(shape[min(2, len(shape)):]) }

// relative is a path as the block sees it.
func relative(block, path string) string {
	rest, _ := family.Relative(block, path)
	return rest
}
