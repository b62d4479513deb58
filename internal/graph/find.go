package graph

import (
	"fmt"
	"slices"
)

// Find finds the regions of g, in the order of their last nodes, and says why each sum
// and norm that is in none is left. Its time is that of the nodes times the length of a
// region, which maxNodes limits.
func Find(g *Graph, o Options) ([]Region, []Left, error) {
	f := &finder{Graph: g, Options: o}
	if err := f.read(); err != nil {
		return nil, nil, err
	}
	for k := range g.Nodes {
		f.describe(k)
	}
	// The last node of a region is found first: a sum before its branches. A norm joins
	// the layer before it where there is one, and only then the layer behind it.
	for k := len(g.Nodes) - 1; k >= 0; k-- {
		if kind := g.Nodes[k].Kind; !f.covered[k] && kind != Opaque && kind != Move {
			f.sink(k)
		}
	}
	f.forward = true
	for _, k := range f.again {
		if !f.covered[k] {
			f.sink(k)
		}
	}
	slices.SortFunc(f.regions, func(a, b Region) int { return last(a) - last(b) })
	return f.regions, f.left(), nil
}

type finder struct {
	*Graph
	Options
	// maker is the node that makes a value, -1 if the graph is given it; readers are the
	// nodes that read it, once for each time.
	maker   []int
	readers [][]int
	// of describes each value that a node makes that is not opaque.
	of []described
	// costs is the products that each node computes.
	costs   []float64
	work    int
	covered []bool
	// again is the nodes that could take a norm from the layer before it, if that does
	// not; forward says that they now may.
	again   []int
	forward bool
	regions []Region
	// why is, for each node, why it is in no region.
	why []*failure
}

// described is a value over the nearest value that all paths to it pass, its dominator.
// Where there is none, or the value is no layer of it, dominator is -1 and depth 0.
type described struct {
	form
	dominator, depth int
	// root is the dominators' last.
	root int
	fail *failure
	// layered says that a convolution, or a sum of some, gives the value, and maybe what acts
	// on channels behind that.
	layered bool
}

// read notes who makes and who reads each value.
func (f *finder) read() error {
	n := len(f.Values)
	f.maker, f.readers = slices.Repeat([]int{-1}, n), make([][]int, n)
	f.of, f.covered = make([]described, n), make([]bool, len(f.Nodes))
	f.costs, f.why = make([]float64, len(f.Nodes)), make([]*failure, len(f.Nodes))
	for v := range f.of {
		f.of[v].dominator, f.of[v].root = -1, v
	}
	for k := range f.Nodes {
		node := &f.Nodes[k]
		one := node.Kind == Linear || node.Kind == Move
		if node.Kind != Opaque && (len(node.Outputs) != 1 || len(node.Inputs) == 0 || one && len(node.Inputs) != 1) {
			return fmt.Errorf("node %s has %d inputs and %d outputs", f.node(k), len(node.Inputs), len(node.Outputs))
		}
		for _, v := range node.Outputs {
			if v < 0 || v >= n || f.maker[v] >= 0 || len(f.readers[v]) > 0 {
				return fmt.Errorf("node %s makes a value that is made or read before it", f.node(k))
			}
			f.maker[v] = k
		}
		for _, v := range node.Inputs {
			if v < 0 || v >= n || f.maker[v] == k {
				return fmt.Errorf("node %s reads a value that it makes, or none", f.node(k))
			}
			f.readers[v] = append(f.readers[v], k)
		}
	}
	return nil
}

// describe finds the form of what node k makes.
func (f *finder) describe(k int) {
	n := &f.Nodes[k]
	if n.Kind == Opaque {
		return
	}
	d := &f.of[n.Outputs[0]]
	d.dominator = f.meeting(n.Inputs)
	switch {
	case d.dominator < 0:
		d.fail = final(TwoInputs, f.different(n.Inputs))
	case n.Kind == Linear:
		f.costs[k] = f.products(n)
		d.form, d.fail = ofNode(n, k)
		if n.Border && d.fail == nil {
			d.border, d.fail = f.zeros(d.dominator)
		}
	case n.Kind == Move:
		d.form = identity()
		d.from, d.to, d.moved = n.Axis, n.To, true
	default:
		d.form, d.fail = f.combined(n, d.dominator)
	}
	d.layered = d.layers > 0 || d.onChannels() && len(n.Inputs) == 1 && f.of[d.dominator].layered
	if d.fail != nil {
		d.dominator, d.layered = -1, false
		return
	}
	d.depth, d.root = f.of[d.dominator].depth+1, f.of[d.dominator].root
}

// zeros is the value that a layer reads, if v is what it gives, or what acts on channels
// behind it.
func (f *finder) zeros(v int) (int, *failure) {
	for range maxNodes {
		d := &f.of[v]
		switch {
		case d.dominator < 0 || d.layers == 0 && !d.onChannels():
			return v, nil
		case d.layers > 0:
			return d.dominator, nil
		}
		v = d.dominator
	}
	return v, unfit("a border more than %d nodes behind its layer", maxNodes)
}

// meeting is the nearest value that all paths to all of list pass, or -1.
func (f *finder) meeting(list []int) int {
	a := list[0]
	for _, b := range list[1:] {
		for steps := 0; a != b; steps++ {
			if f.of[a].depth < f.of[b].depth {
				a, b = b, a
			}
			if a = f.of[a].dominator; a < 0 || steps > 2*maxNodes {
				return -1
			}
		}
	}
	return a
}

// over is the form of value v over its dominator a.
func (f *finder) over(v, a int) (form, *failure) {
	all := identity()
	for v != a {
		var fail *failure
		if all, fail = f.of[v].then(&all); fail != nil {
			return all, fail
		}
		v = f.of[v].dominator
		all.behind(v)
	}
	return all, nil
}

// combined is the form of a sum or a concatenation over a.
func (f *finder) combined(n *Node, a int) (form, *failure) {
	all, fail := f.over(n.Inputs[0], a)
	for _, v := range n.Inputs[1:] {
		var part form
		if fail == nil {
			part, fail = f.over(v, a)
		}
		if fail != nil {
			break
		}
		equal := f.equallyLong(n.Inputs[0], v)
		if n.Kind == Add {
			all, fail = all.beside(&part, equal)
		} else {
			f.channelled(&all, n.Inputs[0])
			f.channelled(&part, v)
			all, fail = all.stacked(&part, equal)
		}
	}
	if n.Kind == Concat && n.Axis != AnyAxis && fail == nil && all.to != AnyAxis && all.to != n.Axis {
		fail = unfit("a concatenation along another axis than the channels")
	}
	return all, fail
}

// equallyLong reports whether two values are known to have the same extents. Their
// batches are the same anyway, and what channels there are others ask.
func (f *finder) equallyLong(u, v int) bool {
	a, b := f.Values[u].Shape, f.Values[v].Shape
	return len(a) > 2 && len(a) == len(b) && slices.Min(a[2:]) >= 0 && slices.Equal(a[2:], b[2:])
}

// channelled puts the number of channels into a form if only the shape of v says it.
func (f *finder) channelled(of *form, v int) {
	if s := f.Values[v].Shape; of.out == 0 && len(s) > 1 && of.to != LastAxis && s[1] > 0 {
		of.in, of.out, of.groups = s[1], s[1], s[1]
	}
}

func last(r Region) int { return r.Nodes[len(r.Nodes)-1] }
