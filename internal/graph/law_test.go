package graph_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"repfuse/internal/fuse"
	"repfuse/internal/graph"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

var graphs = flag.Int("graphs", 2000, "how many random graphs TestLaw makes")

// maker makes random linear graphs. All its numbers are halves and quarters of small
// integers, so that float64 holds every result exactly, and fused must equal unfused
// to the last bit.
type maker struct {
	*rand.Rand
	graph.Graph
	rank, channels int
	keep           bool  // make what gives as many elements as it reads
	full           []int // values of so many channels
}

func (m *maker) value() int {
	m.Values = append(m.Values, graph.Value{})
	return len(m.Values) - 1
}

func (m *maker) node(n graph.Node, inputs ...int) int {
	n.Inputs, n.Outputs, n.Name = inputs, []int{m.value()}, fmt.Sprint("n", len(m.Nodes))
	m.Nodes = append(m.Nodes, n)
	return n.Outputs[0]
}

func (m *maker) linear(e op.Expr, after []int, v int) int {
	axis := graph.Channels
	return m.node(graph.Node{Kind: graph.Linear, Op: e, After: after, Axis: axis}, v)
}

func (m *maker) param(values []float64, shape ...int) *op.Param {
	n := tensor.Elems(shape)
	v := make([]float64, n)
	for k := range v {
		v[k] = values[m.IntN(len(values))]
	}
	return &op.Param{Key: "p", Tensor: tensor.Of(tensor.F64, shape, v)}
}

var small = []float64{-1, 0, 1, 2, 0.5}

// list is a number an axis, each one of choices.
func (m *maker) list(choices ...int) []int {
	l := make([]int, m.rank)
	for a := range l {
		l[a] = choices[m.IntN(len(choices))]
	}
	return l
}

// same is one number for all axes, as most layers have.
func (m *maker) same(choices ...int) []int {
	l := m.list(0)
	n := choices[m.IntN(len(choices))]
	for a := range l {
		l[a] = n
	}
	return l
}

// step puts a random linear operator behind v, which has as many channels as before.
func (m *maker) step(v int) int {
	c := m.channels
	kind := m.IntN(12)
	if m.keep && kind >= 8 {
		kind -= 8
	}
	switch kind {
	case 0, 1, 2, 3:
		return m.conv(v, c, c)
	case 4:
		mid := c * (1 + m.IntN(2))
		return m.conv(m.conv(v, c, mid), mid, c)
	case 5:
		return m.linear(m.norm(), nil, v)
	case 6:
		return m.linear([]op.Expr{op.Scale{By: m.param(small, c)}, op.Scale{Factor: 0.5}}[m.IntN(2)], nil, v)
	case 7:
		return m.linear([]op.Expr{op.Shift{By: m.param(small, c)}, op.Shift{Term: 0.5}, op.Shift{By: m.param(small, 1)}}[m.IntN(3)], nil, v)
	case 8:
		pads := m.list(0, 0, 1)
		return m.linear(op.AvgPool{Kernel: m.list(1, 2, 2, 4), Stride: m.same(1, 1, 2), Padding: pads}, m.list(0, 0, 1), v)
	case 9:
		v = m.linear(op.Identity{Padding: m.list(0, 1, 1, 2)}, m.list(0, 1, 1, 2), v)
		if k := len(m.Nodes) - 1; m.IntN(2) == 0 && forZeros(&m.Graph, k) != nil {
			m.Nodes[k].Border = true
		}
		return v
	case 10: // a crop, or a sample of every second element
		if m.IntN(2) == 0 {
			return m.linear(op.Identity{Stride: m.same(2)}, nil, v)
		}
		return m.linear(op.Identity{Padding: m.list(0, -1)}, m.list(0, -1), v)
	}
	return m.linear(op.Identity{}, nil, v)
}

func (m *maker) norm() op.BatchNorm {
	c := m.channels
	norm := op.BatchNorm{Mean: m.param(small, c), Var: m.param([]float64{0.75, 3.75}, c), Eps: 0.25}
	if m.IntN(3) > 0 {
		norm.Gamma, norm.Beta = m.param(small, c), m.param(small, c)
	}
	return norm
}

func (m *maker) conv(v, in, out int) int {
	groups := []int{1, 1, 2, in}[m.IntN(4)]
	if in%groups != 0 || out%groups != 0 {
		groups = 1
	}
	k, d := m.list(1, 1, 2, 3), m.list(1, 1, 2)
	c := op.Conv{Stride: m.same(1, 1, 1, 2), Dilation: d, Groups: groups}
	if m.keep {
		c.Stride = m.same(1)
	}
	c.Weight = *m.param(small, append([]int{out, in / groups}, k...)...)
	if m.IntN(2) == 0 {
		c.Bias = m.param(small, out)
	}
	after := m.list(0)
	c.Padding = m.list(0, 0, 1, 2)
	switch kind := m.IntN(4); {
	case kind == 0 && !m.keep:
		after = m.list(0, 0, 1, 2)
	case kind == 1 && !m.keep:
		c.Padding = m.list(0)
	default: // as large as the input, if the stride is 1
		for a := range k {
			c.Padding[a] = (k[a] - 1) * d[a] / 2
			after[a] = (k[a]-1)*d[a] - c.Padding[a]
		}
	}
	return m.linear(c, after, v)
}

// chain puts so many steps behind v.
func (m *maker) chain(v, steps int) int {
	for range steps {
		v = m.step(v)
		m.full = append(m.full, v)
	}
	return v
}

// block is a sum of branches of v, or one chain.
func (m *maker) block(v, depth int) int {
	if depth == 0 || m.IntN(3) == 0 {
		return m.chain(v, 1+m.IntN(4))
	}
	n := graph.Node{Kind: graph.Add}
	var parts []int
	m.keep = m.IntN(4) > 0
	defer func() { m.keep = false }()
	for range 2 + m.IntN(2) {
		u := v
		if m.IntN(8) == 0 { // an earlier value, maybe one within another branch
			u = m.full[m.IntN(len(m.full))]
		}
		parts = append(parts, m.chain(u, m.IntN(3)))
		n.Minus = append(n.Minus, m.IntN(4) == 0)
	}
	if m.IntN(4) == 0 {
		parts[0] = m.block(v, depth-1)
	}
	sum := m.node(n, parts...)
	if m.IntN(10) == 0 {
		sum = m.conv(m.node(graph.Node{Kind: graph.Concat, Axis: graph.Channels}, parts...), len(parts)*m.channels, m.channels)
	}
	return m.chain(sum, m.IntN(2))
}

// randomGraph is a graph of one input, value 0, with a rectifier or two, now and then an
// inner value that is an output or is read from elsewhere.
func randomGraph(seed uint64) *maker {
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 0x6772617068)), channels: 2}
	m.rank = []int{1, 2, 2, 2, 3}[m.IntN(5)]
	if m.IntN(3) == 0 && m.rank < 3 {
		m.channels = 4
	}
	v := m.value()
	m.full = append(m.full, v)
	for range 1 + m.IntN(2) {
		v = m.node(graph.Node{Kind: graph.Opaque, Type: "Relu"}, m.block(v, 2))
	}
	m.Values[v].Output = true
	for v := range m.Values {
		switch m.IntN(40) {
		case 0:
			m.Values[v].Output = true
		case 1:
			m.Values[m.node(graph.Node{Kind: graph.Opaque, Type: "Relu"}, v)].Output = true
		}
	}
	return m
}

// sizes are those that a graph is run on; the shapes of a graph that knows its own are
// those of the first.
var sizes = [][]int{{9, 8, 7}, {12, 7, 6}, {6, 11, 9}}

func TestLaw(t *testing.T) {
	if testing.Short() {
		*graphs = min(*graphs, 200)
	}
	var runs, regions, whole int
	for seed := range uint64(*graphs) {
		m := randomGraph(seed)
		n, r, w, err := lawOf(m)
		if err != nil {
			t.Fatalf("graph %d: %v", seed, err)
		}
		runs, regions, whole = runs+n, regions+r, whole+w
	}
	t.Logf("%d graphs: %d runs compared, %d regions, %d of three nodes and more", *graphs, runs, regions, whole)
	if *graphs >= 1000 && (runs < *graphs || regions < *graphs/2 || whole < *graphs/10) {
		t.Error("hardly anything was fused: the law was not tested")
	}
}

// lawOf fuses a graph and compares it on all sizes.
func lawOf(m *maker) (runs, regions, large int, err error) {
	g := &m.Graph
	borders := bordersOf(g)
	known := m.IntN(3) == 0
	var unfused []map[int]image
	var inputs []image
	for i, size := range sizes {
		x := zeros(m.channels, size[:m.rank])
		for k := range x.data {
			x.data[k] = float64(m.IntN(9) - 4)
		}
		values, ok := run(g, borders, map[int]image{0: x})
		if !ok {
			continue
		}
		if known && i == 0 {
			for v, y := range values {
				g.Values[v].Shape = append([]int{1, y.channels}, y.size...)
			}
		}
		inputs, unfused = append(inputs, x), append(unfused, values)
		if known {
			break
		}
	}
	found, _, err := graph.Find(g, graph.Options{AnyCost: m.IntN(2) == 0})
	if err != nil {
		return 0, 0, 0, err
	}
	for _, r := range found { // which --yaml writes down, to be read again
		if _, err := op.CheckLayers(r.Expr); err != nil {
			return 0, 0, 0, err
		}
	}
	h, err := fused(g, found)
	if err != nil {
		return 0, 0, 0, err
	}
	for i, x := range inputs {
		values, ok := run(h, borders, map[int]image{0: x})
		if !ok {
			return runs, 0, 0, fmt.Errorf("%v does not run on %v as it did unfused", found, x.size)
		}
		for v := range g.Values {
			y, made := values[v]
			if !made && !g.Values[v].Output {
				continue
			}
			if err := same(y, unfused[i][v]); err != nil {
				return runs, 0, 0, fmt.Errorf("value %d on %v: %w\n%v", v, x.size, err, found)
			}
		}
		runs++
	}
	for _, r := range found {
		if slices.Min(slices.Concat(r.Begin, r.End)) < 0 {
			return runs, 0, 0, fmt.Errorf("%v has negative padding, which no runtime takes", r)
		}
		if len(r.Nodes) > 2 {
			large++
		}
	}
	return runs, len(found), large, nil
}

func same(a, b image) error {
	if a.channels != b.channels || !equal(a.size, b.size) {
		return fmt.Errorf("%d channels of %v, want %d of %v", a.channels, a.size, b.channels, b.size)
	}
	for k := range a.data {
		if a.data[k] != b.data[k] {
			return fmt.Errorf("element %d is %v, want %v", k, a.data[k], b.data[k])
		}
	}
	return nil
}

// fused is g with each region's last node replaced by its layer, and the others gone.
func fused(g *graph.Graph, regions []graph.Region) (*graph.Graph, error) {
	gone := map[int]bool{}
	in := map[int]*graph.Region{}
	for i := range regions {
		r := &regions[i]
		for _, k := range r.Nodes {
			if gone[k] {
				return nil, fmt.Errorf("node %d is in two regions", k)
			}
			gone[k] = true
		}
		in[r.Nodes[len(r.Nodes)-1]] = r
	}
	h := &graph.Graph{Values: g.Values}
	for k, n := range g.Nodes {
		if r := in[k]; r != nil {
			c, err := fuse.Collapse(r.Expr, tensor.F64)
			if err != nil || !equal(c.Padding, r.Begin) {
				return nil, fmt.Errorf("%s, padded by %v, %v: %w", r.Expr, c.Padding, r.Begin, err)
			}
			h.Nodes = append(h.Nodes, graph.Node{Kind: graph.Linear, Inputs: []int{r.Anchor}, Outputs: []int{r.Sink}, Op: c, After: r.End})
		} else if !gone[k] {
			h.Nodes = append(h.Nodes, n)
		}
	}
	return h, nil
}
