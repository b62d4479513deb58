package plan

import (
	"slices"
	"strings"

	"repfuse/internal/tensor"
)

// tree is a checkpoint's keys as a tree of modules, less what blocks have taken.
type tree struct {
	root    *node
	tensors map[string]*Fate
}

// node is a module: its path and what lies below it, sorted.
type node struct {
	path     string
	name     string
	children map[string]*node
	order    []string
	leaf     bool // a tensor, not a module (it may be both)
}

func newTree(fates []Fate, keys []string) *tree {
	t := &tree{&node{}, make(map[string]*Fate, len(fates))}
	for k := range fates {
		t.tensors[keys[k]] = &fates[k]
		t.root.insert(keys[k])
	}
	t.root.sort()
	return t
}

func (n *node) insert(key string) {
	for at := n; ; {
		name, rest, more := strings.Cut(key, ".")
		next := at.children[name]
		if next == nil {
			next = &node{path: join(at.path, name), name: name}
			if at.children == nil {
				at.children = map[string]*node{}
			}
			at.children[name] = next
			at.order = append(at.order, name)
		}
		if !more {
			next.leaf = true
			return
		}
		at, key = next, rest
	}
}

func (n *node) sort() {
	slices.Sort(n.order)
	for _, c := range n.children {
		c.sort()
	}
}

// Lookup finds a tensor that no block has taken yet.
func (t *tree) Lookup(key string) (tensor.Named, bool) {
	f, ok := t.tensors[key]
	if !ok || f.Fate != "" {
		return tensor.Named{}, false
	}
	return tensor.Named{Key: key, Tensor: f.Tensor}, true
}

// Below lists the keys under a module that no block has taken, relative to it.
func (t *tree) Below(module string) []string {
	n := t.find(module)
	if n == nil {
		return nil
	}
	var keys []string
	n.walk(func(path string) {
		if _, ok := t.Lookup(path); ok {
			keys = append(keys, strings.TrimPrefix(strings.TrimPrefix(path, module), "."))
		}
	})
	return keys
}

func (t *tree) find(module string) *node {
	n := t.root
	if module == "" {
		return n
	}
	for _, name := range strings.Split(module, ".") {
		if n = n.children[name]; n == nil {
			return nil
		}
	}
	return n
}

// walk visits the tensors below n in order.
func (n *node) walk(visit func(path string)) {
	for _, name := range n.order {
		c := n.children[name]
		if c.leaf {
			visit(c.path)
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
