// Package pairs finds the batch norms that stand directly behind a layer in networks
// that nobody declared: it reads keys and shapes, and where a format has one, the order
// of the keys.
//
// Names cannot show that nothing stands between a layer and its norm (an activation has
// no keys), so a pair is a candidate, and whoever folds it has the user's word for the
// rest. What names, order and channels can contradict is no pair:
//
//	channels  the norm has as many as the layer gives
//	order     a module is registered before the one that follows it, so the norm is the
//	          next module of the same parent; a norm that comes first is before its layer
//	names     numbers agree: conv2 with bn2, 0 with 1 in an nn.Sequential, and not 0 with
//	          2, between which an activation has its place
//
// Measured on the traced models of torchvision and timm: pairs_test.go.
package pairs

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"repfuse/internal/tensor"
	"repfuse/internal/text"
)

// Pair is a layer and the batch norm behind it, by the paths of their modules.
type Pair struct {
	Layer, Norm string
	// Transposed marks a layer whose kernel [I, O, k…] fits the norm only as that of a
	// transposed convolution.
	Transposed bool
}

// Left is a norm that is in no pair, with the reason.
type Left struct{ Norm, Why string }

// module is a module that has tensors of its own.
type module struct {
	path, parent, name string
	tensors            map[string][]int // shapes by the tensor's name
}

func (m *module) channels() int {
	if s := m.tensors["running_mean"]; len(s) == 1 {
		return s[0]
	}
	return 0
}

func (m *module) isNorm() bool { return m.channels() > 0 && m.tensors["running_var"] != nil }

// weight is the shape of a layer's kernel [O, I/g, k…], nil where the module is no layer.
func (m *module) weight() []int {
	if w := m.tensors["weight"]; len(w) >= 2 {
		return w
	}
	return nil
}

// finder holds the modules in the order in which they were registered or, where the
// format has no order, in the order of their names, in which numbers count as numbers.
type finder struct {
	modules  []*module
	ordered  bool
	children map[string][]*module
	// lists is, for each module, the paths of its children that only hold others.
	lists map[string][]string
	votes map[kind]int
	left  []Left
}

// Find lists the pairs among the tensors of a checkpoint, and the norms that it leaves.
// ordered says that the tensors come in the order in which the modules were registered,
// as in a .pth; elsewhere names and channels have to decide alone.
func Find(tensors []tensor.Spec, ordered bool) ([]Pair, []Left) {
	f := newFinder(tensors, ordered)
	var found []Pair
	for k, m := range f.modules {
		if !m.isNorm() {
			continue
		}
		if p, why := f.pair(k); why != "" {
			f.left = append(f.left, Left{m.path, why})
		} else {
			found = append(found, p)
		}
	}
	return f.unshared(found), f.left
}

func newFinder(tensors []tensor.Spec, ordered bool) *finder {
	f := &finder{ordered: ordered, children: map[string][]*module{}, lists: map[string][]string{}, votes: map[kind]int{}}
	known := map[string]*module{}
	for _, t := range tensors {
		path, name := cut(t.Key)
		m := known[path]
		if m == nil {
			m = &module{path: path, tensors: map[string][]int{}}
			m.parent, m.name = cut(path)
			known[path] = m
			f.modules = append(f.modules, m)
		}
		m.tensors[name] = t.Shape
	}
	if !ordered {
		slices.SortStableFunc(f.modules, func(a, b *module) int { return text.Natural(a.path, b.path) })
	}
	listed := map[string]bool{}
	for _, m := range f.modules {
		f.children[m.parent] = append(f.children[m.parent], m)
		if !listed[m.parent] {
			listed[m.parent] = true
			above, _ := cut(m.parent)
			f.lists[above] = append(f.lists[above], m.parent)
		}
	}
	if !ordered {
		f.vote()
	}
	return f
}

// pair finds the layer before the norm at index k, or says why there is none.
func (f *finder) pair(k int) (p Pair, why string) {
	norm := f.modules[k]
	if layer := f.inLists(norm); layer != nil {
		return Pair{Layer: layer.path, Norm: norm.path}, ""
	}
	if !f.ordered && !isIndex(norm.name) && norm.path != "" {
		return f.byName(norm)
	}
	if k == 0 {
		return p, "nothing stands before it"
	}
	return f.behind(f.modules[k-1], norm, k)
}

// behind holds a norm to being directly behind the module that was registered before.
func (f *finder) behind(layer, norm *module, k int) (p Pair, why string) {
	name, within := layer.name, false
	if layer.parent != norm.parent {
		rest, ok := strings.CutPrefix(layer.path, strings.TrimPrefix(norm.parent+".", "."))
		if !ok || norm.path == "" {
			return p, "it is the first of its module"
		}
		name, _, within = strings.Cut(rest, ".")
	}
	w := layer.weight()
	switch {
	case w == nil:
		return p, layer.path + " stands before it, which is no layer"
	case !agree(name, norm.name, len(w) == 2, within):
		return p, "its name does not go with " + layer.path
	case f.twoNorms(k):
		return p, "another norm of the same channels stands behind it: one of the two may be for other data"
	}
	return fits(layer, norm)
}

// twoNorms reports whether the next module is a norm of the same channels too.
func (f *finder) twoNorms(k int) bool {
	if k+1 >= len(f.modules) {
		return false
	}
	m, n := f.modules[k], f.modules[k+1]
	return n.isNorm() && n.parent == m.parent && n.channels() == m.channels()
}

// fits holds the layer's kernel to the norm's channels.
func fits(layer, norm *module) (p Pair, why string) {
	w, c := layer.weight(), norm.channels()
	p = Pair{Layer: layer.path, Norm: norm.path}
	upwards := len(w) > 2 && upsampling.MatchString(layer.path)
	switch {
	case w[0] == c && w[1] == c && upwards:
		return p, layer.path + " may be a transposed convolution by its name, and its shape allows both"
	case w[0] == c:
	case len(w) > 2 && w[1] == c && (upwards || even(w[2:])):
		p.Transposed = true
	default:
		return p, "it has " + strconv.Itoa(c) + " channels and " + layer.path + " gives " + strconv.Itoa(w[0])
	}
	return p, ""
}

// even reports whether all extents are even, as those of transposed convolutions often are
// and others' hardly ever.
func even(extents []int) bool {
	return !slices.ContainsFunc(extents, func(k int) bool { return k%2 == 1 })
}

// upsampling is names that transposed convolutions go by.
var upsampling = regexp.MustCompile(`(?i)(^|[._])(up\w*|\w*deconv\w*|convt\w*|\w*trans)\d*([._]|$)`)

// inLists finds a norm's layer where a list of layers stands beside a list of norms:
// convs.2 of bns.2, as Res2Net has them.
func (f *finder) inLists(norm *module) *module {
	norms := f.children[norm.parent]
	if !isIndex(norm.name) || slices.ContainsFunc(norms, func(m *module) bool { return !m.isNorm() }) {
		return nil
	}
	above, _ := cut(norm.parent)
	var found *module
	for _, list := range f.lists[above] {
		layers := f.children[list]
		if list == norm.parent || len(layers) != len(norms) {
			continue
		}
		var layer *module
		same := true
		for k, m := range layers {
			w := m.weight()
			same = same && w != nil && m.name == norms[k].name && w[0] == norms[k].channels()
			if m.name == norm.name {
				layer = m
			}
		}
		switch {
		case !same || layer == nil:
		case found != nil:
			return nil
		default:
			found = layer
		}
	}
	return found
}

// unshared drops the pairs whose layer is in several.
func (f *finder) unshared(found []Pair) []Pair {
	times := map[string]int{}
	for _, p := range found {
		times[p.Layer]++
	}
	return slices.DeleteFunc(found, func(p Pair) bool {
		if times[p.Layer] > 1 {
			f.left = append(f.left, Left{p.Norm, "other norms go with " + p.Layer + " as well"})
		}
		return times[p.Layer] > 1
	})
}

// cut splits a path at its last dot.
func cut(path string) (parent, name string) {
	if at := strings.LastIndexByte(path, '.'); at >= 0 {
		return path[:at], path[at+1:]
	}
	return "", path
}
