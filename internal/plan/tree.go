package plan

import (
	"cmp"
	"slices"
	"strings"

	"repfuse/internal/tensor"
)

// tree is a checkpoint's keys as a tree of modules, less what blocks have taken.
type tree struct {
	root    *node
	tensors map[string]*Fate
	// below is the keys under one module, by which many families are held against it.
	below  []string
	module string // of below
	listed bool   // whether below is as things are
	looked *node  // below which Lookup found the last, or did not
}

// node is a module, a tensor, or both.
type node struct {
	path, name string
	children   []*node // by name
	fate       *Fate   // of the tensor, nil where there is none
	size       int     // how many tensors lie below
}

func newTree(fates []Fate, keys []string) *tree {
	t := &tree{root: &node{}, tensors: make(map[string]*Fate, len(fates))}
	order := make([]int, len(keys))
	for k := range keys {
		t.tensors[keys[k]] = &fates[k]
		order[k] = k
	}
	slices.SortFunc(order, func(a, b int) int { return compareKeys(keys[a], keys[b]) })
	for _, k := range order {
		t.root.insert(keys[k], &fates[k])
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
func (n *node) insert(key string, fate *Fate) {
	at := n
	for from := 0; from <= len(key); {
		to := len(key)
		if dot := strings.IndexByte(key[from:], '.'); dot >= 0 {
			to = from + dot
		}
		at.size++
		at = at.last(key[:to], key[from:to])
		from = to + 1
	}
	at.fate = fate
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

// Lookup finds a tensor that no block has taken yet, by its key relative to a module.
func (t *tree) Lookup(module, key string) (tensor.Named, bool) {
	if t.looked == nil || t.looked.path != module {
		t.looked = t.root.find(module)
	}
	n := t.looked
	if n != nil && key != "." {
		n = n.find(key)
	}
	if n == nil || n.fate == nil || n.fate.Fate != "" {
		return tensor.Named{}, false
	}
	return tensor.Named{Key: n.path, Tensor: n.fate.Tensor}, true
}

// settle gives the fate of a key, which is about to be decided.
func (t *tree) settle(key string) *Fate {
	t.listed = false
	return t.tensors[key]
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
		if c.fate.Fate == "" {
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
		k, ok := slices.BinarySearchFunc(n.children, name, func(c *node, name string) int { return strings.Compare(c.name, name) })
		if !ok {
			return nil
		}
		n = n.children[k]
	}
	return n
}

// walk visits the tensors below n in order.
func (n *node) walk(visit func(*node)) {
	for _, c := range n.children {
		if c.fate != nil {
			visit(c)
		}
		c.walk(visit)
	}
}

// join is the key of what lies below a module.
func join(module, key string) string {
	if module == "" {
		return key
	}
	return module + "." + key
}

// named is the key of a module's own tensor. A module that ends in an underscore is
// a prefix, as in a folder of files like conv3x3_weight.
func named(module, name string) string {
	if strings.HasSuffix(module, "_") {
		return module + name
	}
	return join(module, name)
}

// isStatistic reports whether a key is a batch norm's running statistic, which
// keeps its element type when others change theirs.
func isStatistic(key string) bool {
	name := key[strings.LastIndexByte(key, '.')+1:]
	switch name {
	case "running_mean", "running_var", "_mean", "_variance", "num_batches_tracked":
		return true
	}
	return false
}
