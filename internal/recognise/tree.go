package recognise

import (
	"cmp"
	"slices"
	"strings"

	"repfuse/internal/family"
	"repfuse/internal/tensor"
)

// tree is a checkpoint's keys as a tree of modules, less what blocks have taken.
type tree struct {
	root *node
	// below is the keys under one module, by which many families are held against it.
	below  []string
	module string // of below
	listed bool   // whether below is true yet
	looked *node  // below which Lookup found the last, or did not
}

// node is a module, a tensor, or both.
type node struct {
	path, name string
	children   []*node       // by name
	tensor     *tensor.Named // nil where the module is none
	taken      bool          // by a block, or dropped
	size       int           // how many tensors lie below
	place      int           // among the tensors as they came
}

func newTree(tensors []tensor.Named) *tree {
	t := &tree{root: &node{}}
	order := make([]int, len(tensors))
	for k := range tensors {
		order[k] = k
	}
	slices.SortFunc(order, func(a, b int) int { return compareKeys(tensors[a].Key, tensors[b].Key) })
	for _, k := range order {
		t.root.insert(&tensors[k]).place = k
	}
	return t
}

// compareKeys orders keys as a walk through the modules meets them: by their names one
// after the other, which is not by their bytes.
func compareKeys(a, b string) int {
	for k := 0; k < min(len(a), len(b)); k++ {
		switch {
		case a[k] == b[k]:
		case a[k] == '.':
			return -1
		case b[k] == '.':
			return 1
		default:
			return cmp.Compare(a[k], b[k])
		}
	}
	return cmp.Compare(len(a), len(b))
}

// insert adds a tensor whose key is behind all that are there.
func (n *node) insert(of *tensor.Named) *node {
	at, key := n, of.Key
	if key == "" {
		n.tensor = of
		return n
	}
	for from := 0; from <= len(key); {
		to := len(key)
		if dot := strings.IndexByte(key[from:], '.'); dot >= 0 {
			to = from + dot
		}
		at.size++
		at = at.last(key[:to], key[from:to])
		from = to + 1
	}
	at.tensor = of
	return at
}

// last is the last child, which is made where it has another name.
func (n *node) last(path, name string) *node {
	if k := len(n.children) - 1; k >= 0 && n.children[k].name == name {
		return n.children[k]
	}
	c := &node{path: path, name: name}
	n.children = append(n.children, c)
	return c
}

// names is what modules and tensors are called below their parents.
func (t *tree) names() map[string]bool {
	names := map[string]bool{}
	for n := range t.root.modules {
		for _, c := range n.children {
			names[c.name] = true
		}
	}
	return names
}

// modules visits n and the modules below it, each before those that it holds.
func (n *node) modules(visit func(*node) bool) {
	n.untilNo(visit)
}

func (n *node) untilNo(visit func(*node) bool) bool {
	return visit(n) && !slices.ContainsFunc(n.children, func(c *node) bool { return c.children != nil && !c.untilNo(visit) })
}

// Lookup finds a tensor that no block has taken yet, by its key relative to a module.
func (t *tree) Lookup(module, key string) (*tensor.Named, bool) {
	if t.looked == nil || t.looked.path != module {
		t.looked = t.root.find(module)
	}
	n := t.looked
	if n != nil {
		n = n.find(key)
	}
	if n == nil || n.tensor == nil || n.taken {
		return nil, false
	}
	return n.tensor, true
}

// take marks a key that is a block's from now on, or dropped.
func (t *tree) take(key string) { t.mark([]string{key}, true) }

// mark says of keys whether they are taken.
func (t *tree) mark(keys []string, taken bool) {
	t.listed = false
	for _, key := range keys {
		t.root.find(key).taken = taken
	}
}

// fitting lists the keys that fit a glob and that nobody has taken yet.
func (t *tree) fitting(g family.Glob) []string {
	return slices.DeleteFunc(slices.Clone(t.Below("")), func(key string) bool { return !g.Match(key) })
}

// Below lists the keys under a module that no block has taken, relative to it. The list
// is not to be written to.
func (t *tree) Below(module string) []string {
	if t.listed && t.module == module {
		return t.below
	}
	n := t.root.find(module)
	if n == nil {
		return nil
	}
	cut := len(module)
	if cut > 0 {
		cut++ // the dot
	}
	keys := make([]string, 0, n.size)
	n.walk(func(c *node) {
		if !c.taken {
			keys = append(keys, c.path[cut:])
		}
	})
	t.below, t.module, t.listed = keys, module, true
	return keys
}

// find is the node of a relative path, nil where there is none; "" is n.
func (n *node) find(path string) *node {
	for rest, more := path, path != ""; more; {
		var name string
		name, rest, more = strings.Cut(rest, ".")
		k, end := 0, len(n.children) // every key of every family comes by here: no function is called for a comparison
		for k < end {
			if middle := (k + end) / 2; n.children[middle].name < name {
				k = middle + 1
			} else {
				end = middle
			}
		}
		if k == len(n.children) || n.children[k].name != name {
			return nil
		}
		n = n.children[k]
	}
	return n
}

// walk visits the tensors below n in order.
func (n *node) walk(visit func(*node)) {
	for _, c := range n.children {
		if c.tensor != nil {
			visit(c)
		}
		c.walk(visit)
	}
}
