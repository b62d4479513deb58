// Package draft proposes families for blocks that nobody declared, from keys and shapes, and from
// what the module tree knows where it is known. A proposal claims nothing: what keys cannot say is a question of
// the family, which plan asks.
//
// From the keys to a family, and the type that each step hands on:
//
//  1. keys and shapes become a tree of modules → *node (tree.go)
//  2. from the root down, a module is held to being several branches of one shape, each a layer with
//     its norm, layers in a row, a norm alone, or branches that are numbered → unit, block (unit.go, block.go)
//  3. blocks whose branches have the same names are of one kind; what some of them lack is optional → Family
//  4. a family is written down with what is sure and what is not (yaml.go)
package draft

import (
	"slices"
	"strconv"
	"strings"

	"repfuse/internal/facts"
	"repfuse/internal/pairs"
	"repfuse/internal/tensor"
	"repfuse/internal/text"
)

// Input is what is known of a network.
type Input struct {
	// Tensors are those that no block has yet. Ordered says that they come in the order in
	// which the modules were registered.
	Tensors []tensor.Spec
	Ordered bool
	Facts   *facts.Model // nil where there are none
}

// node is a module.
type node struct {
	path, name string
	children   []*node // as they were registered, else by name
	byName     map[string]*node
	tensors    map[string][]int // its own, by their names
	place      int
}

// drafter looks at one network.
type drafter struct {
	Input
	root  *node
	layer map[string]string // the layer that a norm stands behind, by their paths, where names and order show it
	// kernels is the layers by the last names of their paths.
	kernels map[string][]*node
}

func newDrafter(in Input) *drafter {
	d := &drafter{Input: in, root: newNode("", "", 0), layer: map[string]string{}, kernels: map[string][]*node{}}
	specs := in.Tensors
	if !in.Ordered {
		specs = slices.Clone(specs)
		slices.SortStableFunc(specs, func(a, b tensor.Spec) int { return text.Natural(a.Key, b.Key) })
	}
	for k, t := range specs {
		module, name := split(t.Key)
		n := d.root
		for _, word := range strings.Split(module, ".") {
			if module != "" {
				n = n.child(word, k)
			}
		}
		n.tensors[name] = t.Shape
	}
	found, _ := pairs.Find(specs, in.Ordered)
	for _, p := range found {
		d.layer[p.Norm] = p.Layer
	}
	d.enter(d.root)
	return d
}

// enter lists the layers from n on.
func (d *drafter) enter(n *node) {
	if n.kernel() != nil {
		d.kernels[n.name] = append(d.kernels[n.name], n)
	}
	for _, c := range n.children {
		d.enter(c)
	}
}

// vectors is what the tensors of a layer or a norm may be called behind an underscore in place of a dot.
var vectors = []string{"num_batches_tracked", "running_mean", "running_var", "weight", "bias"}

// split cuts a key into a module, as a family names it, and the tensor's name: conv3x3_weight is of conv3x3_.
func split(key string) (module, name string) {
	dot := strings.LastIndexByte(key, '.') + 1
	for _, v := range vectors {
		if stem, ok := strings.CutSuffix(key[dot:], "_"+v); ok && stem != "" {
			return key[:dot] + stem + "_", v
		}
	}
	return strings.TrimSuffix(key[:dot], "."), key[dot:]
}

func newNode(path, name string, place int) *node {
	return &node{path: path, name: name, byName: map[string]*node{}, tensors: map[string][]int{}, place: place}
}

func (n *node) child(name string, place int) *node {
	if c := n.byName[name]; c != nil {
		return c
	}
	path := name
	if n.path != "" {
		path = n.path + "." + name
	}
	c := newNode(path, name, place)
	n.children, n.byName[name] = append(n.children, c), c
	return c
}

// kernel is the shape of a layer's weight [O, I/g, k…], nil where the module is no layer: one without channels or taps is none.
func (n *node) kernel() []int {
	if w := n.tensors["weight"]; len(w) > 1 && !slices.Contains(w, 0) {
		return w
	}
	return nil
}

// channels is how many a batch norm has, 0 where the module is none.
func (n *node) channels() int {
	for _, name := range []string{"running_mean", "_mean"} {
		if s := n.tensors[name]; len(s) == 1 {
			return s[0]
		}
	}
	return 0
}

// isLeaf reports whether a module is a layer or a norm, and holds no others.
func (n *node) isLeaf() bool {
	return len(n.children) == 0 && (n.kernel() != nil || n.channels() > 0)
}

// leaves lists the layers and norms from n on; ok reports whether there is nothing else.
func (n *node) leaves() (all []*node, ok bool) {
	if n.isLeaf() {
		return []*node{n}, true
	}
	ok = len(n.tensors) == 0 && len(n.children) > 0
	for _, c := range n.children {
		of, whole := c.leaves()
		all, ok = append(all, of...), ok && whole
	}
	return all, ok
}

// indexed reports whether the names of all children are numbers.
func (n *node) indexed() bool {
	return len(n.children) > 0 && !slices.ContainsFunc(n.children, func(c *node) bool {
		_, err := strconv.Atoi(c.name)
		return err != nil
	})
}

// gapless reports whether the children are numbered 0, 1, 2 …
func (n *node) gapless() bool {
	for k, c := range n.children {
		if c.name != strconv.Itoa(k) {
			return false
		}
	}
	return true
}

// nowhere is the module of a path that there is not.
var nowhere = &node{}

// find is the module of a path below n, one without anything where there is none.
func (n *node) find(path string) *node {
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, ".")
		if n = n.byName[name]; n == nil {
			return nowhere
		}
	}
	return n
}
