package graph

import (
	"fmt"
	"slices"

	"repfuse/internal/op"
)

// maxNodes is the nodes that a region may have. The largest block published, a
// DiverseBranchBlock with its borders, has thirty. maxWork is the nodes that all
// searches may look at, for each node of the graph: a search that begins later looks at
// as many at most, so that no graph makes all of them look far.
const (
	maxNodes = 256
	maxWork  = 16
)

// growth is the nodes that a region with a given last node would have, the last first,
// and where it could begin.
type growth struct {
	nodes      []int
	steps      int
	was        float64
	candidates []candidate
	// end is why it could not begin any earlier, nil where nothing linear stands there.
	end *failure
}

// candidate is a region of the first so many nodes of a growth, which read one value.
type candidate struct {
	anchor, nodes int
	// steps is the nodes that do something: a plain identity does nothing.
	steps int
	was   float64
	// open says that the node that makes the anchor could be in the region too.
	open bool
}

// edge is a value that a growing region reads, how often, and how many of its positions
// there are for one of the region's output.
type edge struct {
	value, times int
	positions    float64
}

// grow takes the nodes before node k one by one, always the latest, which stands behind
// all others that can read what it makes. Where one value is left, all paths pass it.
func (f *finder) grow(k int) growth {
	var g growth
	limit := maxNodes
	if f.work > maxWork*len(f.Nodes) {
		limit = maxWork
	}
	edges := f.absorb(&g, nil, k, 1)
	for {
		top := 0
		for i, e := range edges {
			if f.maker[e.value] > f.maker[edges[top].value] {
				top = i
			}
		}
		e := edges[top]
		open := f.open(e)
		if len(edges) == 1 {
			g.candidates = append(g.candidates, candidate{e.value, len(g.nodes), g.steps, g.was, open})
		}
		switch {
		case !open:
			g.end = f.stuck(e, edges, g.nodes)
			return g
		case len(g.nodes) >= limit || len(edges) > limit:
			g.end = unfit("more than %d nodes", limit)
			return g
		}
		edges[top] = edges[len(edges)-1]
		edges = f.absorb(&g, edges[:len(edges)-1], f.maker[e.value], e.positions)
	}
}

// absorb puts node k into a region that has so many of its outputs' positions for one
// of its own, and gives the values that it reads.
func (f *finder) absorb(g *growth, edges []edge, k int, positions float64) []edge {
	f.work++
	n := &f.Nodes[k]
	g.nodes = append(g.nodes, k)
	g.was += f.costs[k] * positions
	if id, ok := n.Op.(op.Identity); n.Kind != Move && (!ok || id.Padding != nil || id.Stride != nil) {
		g.steps++
	}
	if n.Computed {
		g.steps++
	}
	if n.Kind == Linear {
		for a := range f.of[n.Outputs[0]].axes {
			positions *= float64(f.of[n.Outputs[0]].axes[a].stride)
		}
	}
	for _, v := range n.Inputs {
		i := 0
		for i < len(edges) && edges[i].value != v {
			i++
		}
		if i == len(edges) {
			edges = append(edges, edge{value: v, positions: positions})
		}
		edges[i].times++
	}
	return edges
}

// open reports whether the maker of a value that a region reads could be in it.
func (f *finder) open(e edge) bool {
	m := f.maker[e.value]
	return m >= 0 && f.of[e.value].dominator >= 0 && !f.covered[m] &&
		len(f.readers[e.value]) == e.times && !f.Values[e.value].Output && !f.measured(e.value)
}

// measured reports whether a value has to stay in a region that goes on behind it, for its
// extents.
func (f *finder) measured(v int) bool {
	return f.Values[v].Measured && (f.Nodes[f.readers[v][0]].Kind != Move || f.Nodes[f.maker[v]].Kind == Move)
}

// stuck is why a region of nodes, which reads edges, does not begin before its latest, e.
func (f *finder) stuck(e edge, edges []edge, nodes []int) *failure {
	switch {
	case f.of[e.value].dominator < 0 || f.covered[f.maker[e.value]]:
	case f.Values[e.value].Output:
		return final(UsedInside, fmt.Sprintf("%s is an output of the network", f.value(e.value)))
	case f.measured(e.value):
		return final(UsedInside, fmt.Sprintf("the extents of %s are asked for", f.value(e.value)))
	default:
		k := slices.IndexFunc(f.readers[e.value], func(k int) bool { return !slices.Contains(nodes, k) })
		return final(UsedInside, fmt.Sprintf("%s is read by %s too", f.value(e.value), f.node(f.readers[e.value][k])))
	}
	for _, other := range edges {
		if other.value != e.value {
			return final(TwoInputs, f.value(other.value)+" and "+f.value(e.value))
		}
	}
	return nil
}
