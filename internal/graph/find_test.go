package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/graph"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// net is a graph that a test writes by hand; value 0 is its input.
type net struct{ graph.Graph }

func newNet() *net { return &net{graph.Graph{Values: []graph.Value{{Name: "x"}}}} }

// add puts a node of one output behind others, and gives its value.
func (n *net) add(node graph.Node, inputs ...int) int {
	v := len(n.Values)
	node.Inputs, node.Outputs = inputs, []int{v}
	if node.Name == "" {
		node.Name = fmt.Sprint("n", len(n.Nodes))
	}
	n.Values = append(n.Values, graph.Value{Name: fmt.Sprint("v", v)})
	n.Nodes = append(n.Nodes, node)
	return v
}

func (n *net) op(e op.Expr, v int) int {
	return n.add(graph.Node{Kind: graph.Linear, Type: "Linear", Op: e, Axis: graph.Channels}, v)
}

func (n *net) relu(v int) int { return n.add(graph.Node{Type: "Relu"}, v) }
func (n *net) sum(inputs ...int) int {
	return n.add(graph.Node{Kind: graph.Add, Type: "Add"}, inputs...)
}

func param(shape ...int) *op.Param {
	return &op.Param{Key: "w", Tensor: tensor.Tensor{Type: tensor.F32, Shape: shape}}
}

// layerOf is a convolution of a kernel k×k from in to out channels.
type layerOf struct {
	in, out, groups, k, stride, dilation int
	bias                                 bool
	before, after                        int
}

// conv puts a layer behind v, padded to its input's size unless it says how.
func (n *net) conv(l layerOf, v int) int {
	l.groups, l.stride, l.dilation = max(l.groups, 1), max(l.stride, 1), max(l.dilation, 1)
	if l.before == 0 {
		l.before = l.dilation * (l.k - 1) / 2
		l.after = l.before
	}
	two := func(n int) []int { return []int{n, n} }
	c := op.Conv{Weight: *param(l.out, l.in/l.groups, l.k, l.k), Stride: two(l.stride), Padding: two(max(l.before, 0)), Dilation: two(l.dilation), Groups: l.groups}
	if l.bias {
		c.Bias = param(l.out)
	}
	return n.add(graph.Node{Kind: graph.Linear, Type: "Conv", Op: c, After: two(max(l.after, 0)), Axis: graph.Channels}, v)
}

func (n *net) border(v int) int {
	one := []int{1, 1}
	return n.add(graph.Node{Kind: graph.Linear, Type: "Pad", Op: op.Identity{Padding: one}, After: one, Axis: graph.Channels, Border: true}, v)
}

func (n *net) norm(c, v int) int { return n.op(normOf(c), v) }

func normOf(c int) op.BatchNorm {
	return op.BatchNorm{Gamma: param(c), Beta: param(c), Mean: param(c), Var: param(c), Eps: 1e-5}
}

func square(c, k int) layerOf { return layerOf{in: c, out: c, k: k} }
func biased(l layerOf) layerOf {
	l.bias = true
	return l
}
func unpadded(l layerOf) layerOf {
	l.before, l.after = -1, 0
	return l
}

// describe is the regions and what is left, one a line.
func describe(t *testing.T, n *net, o graph.Options) string {
	t.Helper()
	regions, left, err := graph.Find(&n.Graph, o)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range regions {
		f := r.Form
		fmt.Fprintf(&b, "%s to %s by %v: %v of %v, groups %d, stride %v, padding %v %v, dilation %v, %v products of %v\n",
			n.Values[r.Anchor].Name, n.Values[r.Sink].Name, r.Nodes, f.Kernel(), []int{f.In, f.Out}, f.Groups, f.Stride, r.Begin, r.End, f.Dilation(), r.Now, r.Was)
	}
	for _, l := range left {
		fmt.Fprintf(&b, "n%d %s: %s\n", l.Node, l.Reason, l.Detail)
	}
	return b.String()
}

// The blocks of the papers, and what looks like them and is none.
func TestFind(t *testing.T) {
	for _, test := range []struct {
		name string
		net  func(n *net)
		want string
	}{
		{"RepVGG at stride 2", func(n *net) {
			a := layerOf{in: 8, out: 12, k: 3, stride: 2}
			b := layerOf{in: 8, out: 12, k: 1, stride: 2}
			n.relu(n.sum(n.norm(12, n.conv(a, 0)), n.norm(12, n.conv(b, 0))))
		}, "x to v5 by [0 1 2 3 4]: [3 3] of [8 12], groups 1, stride [2 2], padding [1 1] [1 1], dilation [1 1], 864 products of 984\n"},
		{"RepVGG with identity, norm after it", func(n *net) {
			s := n.sum(n.conv(square(8, 3), 0), n.conv(square(8, 1), 0), 0)
			n.relu(n.norm(8, s))
		}, "x to v4 by [0 1 2 3]: [3 3] of [8 8], groups 1, stride [1 1], padding [1 1] [1 1], dilation [1 1], 576 products of 648\n"},
		{"a norm goes to the layer before it", func(n *net) {
			dw := layerOf{in: 8, out: 8, groups: 8, k: 3}
			n.conv(square(8, 1), n.norm(8, n.conv(dw, 0)))
		}, "x to v2 by [0 1]: [3 3] of [8 8], groups 8, stride [1 1], padding [1 1] [1 1], dilation [1 1], 72 products of 80\n"},
		{"and to the one behind it where there is none", func(n *net) {
			n.conv(square(8, 1), n.norm(8, n.relu(0)))
		}, "v1 to v3 by [1 2]: [1 1] of [8 8], groups 1, stride [1 1], padding [0 0] [0 0], dilation [1 1], 64 products of 72\n"},
		{"pre-activation", func(n *net) {
			n.sum(0, n.conv(square(8, 1), n.relu(n.norm(8, 0))))
		}, "n0 with no layer to join: behind x, before n1 (Relu)\nn3 of different inputs: x and v2\n"},
		{"ResNet", func(n *net) {
			y := n.relu(n.norm(8, n.conv(square(8, 3), 0)))
			n.sum(n.norm(8, n.conv(square(8, 3), y)), 0)
		}, "x to v2 by [0 1]: [3 3] of [8 8], groups 1, stride [1 1], padding [1 1] [1 1], dilation [1 1], 576 products of 584\n" +
			"v3 to v5 by [3 4]: [3 3] of [8 8], groups 1, stride [1 1], padding [1 1] [1 1], dilation [1 1], 576 products of 584\n" +
			"n5 of different inputs: v3 and x\n"},
		{"a constant before padding", func(n *net) { n.relu(n.conv(square(8, 3), n.conv(biased(square(8, 1)), 0))) }, ""},
		{"a norm before padding", func(n *net) { n.relu(n.conv(square(8, 3), n.norm(8, 0))) },
			"n0 with zero padding after a bias: a constant is added before zeros are put around it\n"},
		{"a point before a padded kernel", func(n *net) { n.conv(square(8, 3), n.conv(square(8, 1), 0)) },
			"x to v2 by [0 1]: [3 3] of [8 8], groups 1, stride [1 1], padding [1 1] [1 1], dilation [1 1], 576 products of 640\n"},
		{"a kernel padded to its whole width", func(n *net) {
			wide := layerOf{in: 4, out: 16, k: 2, before: 1, after: 1}
			n.conv(layerOf{in: 16, out: 4, k: 2, before: 1, after: 1}, n.conv(wide, 0))
		}, "x to v2 by [0 1]: [3 3] of [4 4], groups 1, stride [1 1], padding [2 2] [2 2], dilation [1 1], 144 products of 512\n"},
		{"padding before the first kernel", func(n *net) {
			pad := n.add(graph.Node{Kind: graph.Linear, Op: op.Identity{Padding: []int{1, 1}}, After: []int{1, 1}, Axis: graph.Channels}, 0)
			wide := n.conv(unpadded(layerOf{in: 8, out: 16, k: 3}), n.conv(biased(square(8, 1)), pad))
			n.sum(n.conv(layerOf{in: 16, out: 8, k: 1}, wide), n.conv(square(8, 1), 0))
		}, "x to v6 by [0 1 2 3 4 5]: [3 3] of [8 8], groups 1, stride [1 1], padding [1 1] [1 1], dilation [1 1], 576 products of 1408\n"},
		{"a border that is the bias", func(n *net) { n.conv(unpadded(square(8, 3)), n.border(n.norm(8, n.conv(square(8, 1), 0)))) },
			"x to v4 by [0 1 2 3]: [3 3] of [8 8], groups 1, stride [1 1], padding [1 1] [1 1], dilation [1 1], 576 products of 648\n"},
		{"a border that is the bias of a layer that stays", func(n *net) {
			v := n.conv(biased(square(8, 1)), 0)
			n.conv(unpadded(square(8, 3)), n.border(v))
			n.relu(v)
		}, ""},
		{"a constant before the layer that a border is the bias of", func(n *net) {
			v := n.conv(layerOf{in: 8, out: 4, k: 1, bias: true}, n.relu(0))
			n.conv(unpadded(layerOf{in: 4, out: 8, k: 3}), n.border(n.conv(biased(square(4, 1)), v)))
		}, "v2 to v5 by [2 3 4]: [3 3] of [4 8], groups 1, stride [1 1], padding [1 1] [1 1], dilation [1 1], 288 products of 304\n"},
		{"strips that cost more", func(n *net) { n.sum(n.conv(square(8, 3), 0), n.conv(layerOf{in: 8, out: 8, k: 3, dilation: 2}, 0)) },
			"n2 that would cost more products: 1600 products at each position in place of 1152\n"},
		{"an inner value that another reads", func(n *net) {
			b := n.conv(square(8, 1), 0)
			n.sum(n.conv(square(8, 3), 0), b)
			n.relu(b)
		}, "n2 with an inner value that is used elsewhere: v1 is read by n3 (Relu) too\n"},
		{"an inner value that another reads first", func(n *net) {
			b := n.conv(square(8, 1), 0)
			n.relu(b)
			n.sum(n.conv(square(8, 3), 0), b)
		}, "n3 with an inner value that is used elsewhere: v1 is read by n1 (Relu) too\n"},
		{"an inner value read twice inside", func(n *net) {
			b := n.conv(square(8, 3), 0)
			n.sum(n.op(op.Scale{Factor: 2}, b), n.sum(n.norm(8, b), 0))
		}, "x to v5 by [0 1 2 3 4]: [3 3] of [8 8], groups 1, stride [1 1], padding [1 1] [1 1], dilation [1 1], 576 products of 584\n"},
		{"a value added to itself", func(n *net) {
			b := n.conv(square(8, 3), 0)
			n.sum(b, b)
		}, "x to v2 by [0 1]: [3 3] of [8 8], groups 1, stride [1 1], padding [1 1] [1 1], dilation [1 1], 576 products of 576\n"},
		{"strides that differ", func(n *net) {
			n.sum(n.conv(layerOf{in: 8, out: 8, k: 3, stride: 2}, 0), n.conv(square(8, 1), 0))
		}, "n2 of different strides: strides 2 and 1\n"},
		{"extents that differ", func(n *net) { n.sum(n.conv(unpadded(square(8, 3)), 0), n.conv(square(8, 1), 0)) },
			"n2 of different extents: one branch is longer by 2\n"},
		{"extents that differ and are known to be equal", func(n *net) {
			pool := op.AvgPool{Kernel: []int{2, 2}, Stride: []int{2, 2}, Padding: []int{0, 0}}
			s := n.sum(n.conv(layerOf{in: 4, out: 4, k: 3, stride: 2}, 0), n.op(pool, 0))
			for v := range n.Values[1:s] {
				n.Values[v+1].Shape = []int{-1, 4, 8, 8}
			}
		}, "x to v3 by [0 1 2]: [3 3] of [4 4], groups 1, stride [2 2], padding [1 1] [1 1], dilation [1 1], 144 products of 160\n"},
		{"extents that differ along one axis", func(n *net) {
			s := n.sum(n.conv(unpadded(square(8, 3)), 0), n.conv(square(8, 1), 0))
			for v := range n.Values[1:s] {
				n.Values[v+1].Shape = []int{1, 8, v + 1, 8}
			}
		}, "n2 of different extents: one branch is longer by 2\n"},
		{"a kernel as wide as its stride before padding", func(n *net) {
			patches := layerOf{in: 1, out: 8, k: 2, stride: 2, before: -1, after: 1}
			n.conv(layerOf{in: 8, out: 1, k: 3}, n.conv(patches, 0))
		}, "x to v2 by [0 1]: [6 6] of [1 1], groups 1, stride [2 2], padding [2 2] [3 3], dilation [1 1], 36 products of 104\n"},
		{"a layer of computed weights", func(n *net) {
			n.conv(square(8, 3), 0)
			n.Nodes[0].Computed = true
		}, "x to v1 by [0]: [3 3] of [8 8], groups 1, stride [1 1], padding [1 1] [1 1], dilation [1 1], 576 products of 576\n"},
		{"a value whose extents are asked for", func(n *net) {
			v := n.conv(square(8, 3), 0)
			n.sum(n.norm(8, v), v)
			n.Values[v].Measured = true
		}, "n1 with no layer to join: behind n0 (Conv), before n2 (Add)\nn2 with an inner value that is used elsewhere: the extents of v1 are asked for\n"},
		{"a lone layer, a plain identity", func(n *net) { n.op(op.Identity{}, n.conv(square(8, 3), 0)) }, ""},
		{"two points at full size before a step", func(n *net) {
			n.conv(layerOf{in: 8, out: 8, k: 1, stride: 2}, n.conv(square(8, 1), 0))
		}, "x to v2 by [0 1]: [1 1] of [8 8], groups 1, stride [2 2], padding [0 0] [0 0], dilation [1 1], 64 products of 320\n"},
		{"the part that saves most", func(n *net) {
			n.conv(square(64, 1), n.conv(layerOf{in: 1, out: 64, k: 1}, n.conv(layerOf{in: 64, out: 1, k: 1}, 0)))
		}, "v1 to v3 by [1 2]: [1 1] of [1 64], groups 1, stride [1 1], padding [0 0] [0 0], dilation [1 1], 64 products of 4160\n"},
		{"layers side by side, stacked", func(n *net) {
			n.add(graph.Node{Kind: graph.Concat, Type: "Concat", Axis: graph.Channels}, n.conv(square(8, 1), 0), n.conv(square(8, 1), 0))
		}, "x to v3 by [0 1 2]: [1 1] of [8 16], groups 1, stride [1 1], padding [0 0] [0 0], dilation [1 1], 128 products of 128\n"},
	} {
		n := newNet()
		test.net(n)
		if got := describe(t, n, graph.Options{}); got != test.want {
			t.Errorf("%s:\n%swant\n%s", test.name, got, test.want)
		}
	}
}

// matrix is a matrix product along the last of three axes.
func (n *net) matrix(in, out, v int) int {
	return n.add(graph.Node{Kind: graph.Linear, Type: "MatMul", Op: op.Conv{Weight: *param(in, out), Transposed: true, Groups: 1}, Axis: graph.LastAxis}, v)
}

func (n *net) move(from, to, v int) int {
	return n.add(graph.Node{Kind: graph.Move, Type: "Transpose", Axis: from, To: to}, v)
}

// Layers along the last axis, and those whose channels are moved before their norm.
func TestMoves(t *testing.T) {
	last := func(n *net, e op.Expr, v int) int {
		return n.add(graph.Node{Kind: graph.Linear, Type: "Linear", Op: e, Axis: graph.LastAxis}, v)
	}
	for _, test := range []struct {
		name string
		net  func(n *net)
		want string
	}{
		{"a norm behind a transpose", func(n *net) {
			v := n.relu(n.norm(8, n.move(graph.LastAxis, graph.Channels, n.matrix(32, 8, 0))))
			n.move(graph.Channels, graph.LastAxis, v)
		}, "layer of nodes [0 1 2] along axis -1, moves [1]\n"},
		{"and a layer scale", func(n *net) {
			n.op(op.Scale{By: param(8)}, n.norm(8, n.move(graph.LastAxis, graph.Channels, n.matrix(32, 8, 0))))
		}, "layer of nodes [0 1 2 3] along axis -1, moves [1]\n"},
		{"an addition and a scale", func(n *net) {
			last(n, op.Scale{By: param(8)}, last(n, op.Shift{By: param(8)}, n.matrix(32, 8, 0)))
		}, "layer of nodes [0 1 2] along axis -1, moves []\n"},
		{"an addition alone is what would be written", func(n *net) { last(n, op.Shift{By: param(8)}, n.matrix(32, 8, 0)) }, ""},
		{"a norm along another axis", func(n *net) { n.norm(8, n.matrix(32, 8, 0)) },
			"n1 with parts that do not fit: channels along different axes\n"},
		{"a kernel behind a transpose", func(n *net) {
			n.conv(square(8, 3), n.move(graph.LastAxis, graph.Channels, n.matrix(32, 8, 0)))
		}, ""},
		{"a norm behind a kernel and a reshape", func(n *net) {
			n.norm(8, n.move(graph.Channels, graph.Channels, n.conv(square(8, 3), 0)))
		}, "layer of nodes [0 1 2] along axis 1, moves [1]\n"},
		{"a stride behind a reshape", func(n *net) {
			n.op(op.Scale{By: param(8)}, n.op(op.Identity{Stride: []int{2, 2}}, n.move(graph.Channels, graph.Channels, n.conv(square(8, 3), 0))))
		}, ""},
		{"a product behind a transpose", func(n *net) {
			linear := op.Conv{Weight: *param(8, 32), Groups: 1}
			last(n, op.Scale{By: param(8)}, last(n, linear, n.move(graph.Channels, graph.LastAxis, 0)))
		}, "layer of nodes [1 2] along axis -1, moves []\n"},
		{"the extents of a product before a transpose", func(n *net) {
			v := n.matrix(32, 8, 0)
			n.norm(8, n.move(graph.LastAxis, graph.Channels, v))
			n.Values[v].Measured = true
		}, "layer of nodes [0 1 2] along axis -1, moves [1]\n"},
		{"the extents between two moves", func(n *net) {
			v := n.move(graph.LastAxis, graph.Channels, n.matrix(32, 8, 0))
			n.norm(8, n.move(graph.Channels, graph.Channels, v))
			n.Values[v].Measured = true
		}, "n3 with no layer to join: behind n2 (Transpose)\n"},
		{"a sum of moved branches", func(n *net) {
			n.sum(n.move(graph.LastAxis, graph.Channels, 0), n.move(graph.LastAxis, graph.Channels, last(n, op.Scale{By: param(8)}, 0)))
		}, "n3 with parts that do not fit: channels along different axes\n"},
		{"a norm before a product of two axes", func(n *net) {
			n.op(op.Conv{Weight: *param(8, 12), Transposed: true, Groups: 1}, n.norm(8, n.relu(0)))
		}, "layer of nodes [1 2] along axis 1, moves []\n"},
		{"a constant before a product", func(n *net) { last(n, op.Scale{By: param(8)}, n.matrix(32, 8, last(n, op.Shift{By: param(32)}, 0))) },
			"layer of nodes [0 1 2] along axis -1, moves []\n"},
	} {
		n := newNet()
		test.net(n)
		regions, left, err := graph.Find(&n.Graph, graph.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, r := range regions {
			got += fmt.Sprintf("layer of nodes %v along axis %d, moves %v\n", r.Nodes, r.Axis, r.Moves)
		}
		for _, l := range left {
			got += fmt.Sprintf("n%d %s: %s\n", l.Node, l.Reason, l.Detail)
		}
		if got != test.want {
			t.Errorf("%s:\n%swant\n%s", test.name, got, test.want)
		}
	}
}

// A transposed convolution takes what acts on channels behind it, and scales before it.
func TestTransposed(t *testing.T) {
	two := []int{2, 2}
	up := op.Conv{Weight: *param(6, 8, 4, 4), Transposed: true, Groups: 1, Stride: two, Padding: []int{1, 1}}
	for _, test := range []struct {
		name  string
		parts []op.Expr
		want  int // nodes in the region
	}{
		{"a norm behind", []op.Expr{up, normOf(8)}, 2},
		{"a scale before", []op.Expr{op.Scale{By: param(6)}, up, normOf(8)}, 3},
		{"a norm before", []op.Expr{normOf(6), up, normOf(8)}, 2},
		{"a point behind", []op.Expr{up, op.Conv{Weight: *param(8, 8, 1, 1), Groups: 1}}, 0},
		{"padding before", []op.Expr{op.Identity{Padding: two}, up}, 0},
	} {
		n := newNet()
		v := 0
		for _, p := range test.parts {
			v = n.op(p, v)
		}
		regions, _, err := graph.Find(&n.Graph, graph.Options{})
		if err != nil {
			t.Fatal(err)
		}
		nodes := 0
		for _, r := range regions {
			nodes += len(r.Nodes)
			if n.Nodes[r.Like].Op.(op.Conv).Transposed == false || !r.Form.Transposed {
				t.Errorf("%s: the layer is like node %d", test.name, r.Like)
			}
		}
		if nodes != test.want {
			t.Errorf("%s: %d nodes in regions, want %d", test.name, nodes, test.want)
		}
	}
}

// Any cost is any: what two kernels cost together is in the region.
func TestAnyCost(t *testing.T) {
	for _, test := range []struct {
		name string
		net  func(n *net)
		want string
	}{
		{"a dilated kernel beside one", func(n *net) {
			n.sum(n.conv(square(8, 3), 0), n.conv(layerOf{in: 8, out: 8, k: 3, dilation: 2}, 0))
		}, "x to v3 by [0 1 2]: [5 5] of [8 8], groups 1, stride [1 1], padding [2 2] [2 2], dilation [1 1], 1600 products of 1152\n"},
		{"taps between others", func(n *net) {
			n.sum(n.conv(layerOf{in: 8, out: 8, k: 2, dilation: 2, before: 1, after: 1}, 0), n.conv(square(8, 1), 0))
		}, "x to v3 by [0 1 2]: [3 3] of [8 8], groups 1, stride [1 1], padding [1 1] [1 1], dilation [1 1], 576 products of 320\n"},
		{"depthwise kernels stacked", func(n *net) {
			dw := layerOf{in: 8, out: 8, k: 3, groups: 8}
			n.add(graph.Node{Kind: graph.Concat, Type: "Concat", Axis: graph.Channels}, n.conv(dw, 0), n.conv(dw, 0))
		}, "x to v3 by [0 1 2]: [3 3] of [8 16], groups 1, stride [1 1], padding [1 1] [1 1], dilation [1 1], 1152 products of 144\n"},
	} {
		n := newNet()
		test.net(n)
		if got := describe(t, n, graph.Options{AnyCost: true}); got != test.want {
			t.Errorf("%s:\n%swant\n%s", test.name, got, test.want)
		}
	}
}

// What no graph can be is an error, whoever wrote it.
func TestRefuses(t *testing.T) {
	relu := graph.Node{Type: "Relu", Inputs: []int{0}, Outputs: []int{1}}
	sum := func(in, out []int) graph.Node { return graph.Node{Kind: graph.Add, Inputs: in, Outputs: out} }
	for _, test := range []struct {
		name  string
		nodes []graph.Node
	}{
		{"a value that is made twice", []graph.Node{relu, relu}},
		{"a value that is read before it is made", []graph.Node{sum([]int{0, 1}, []int{2}), relu}},
		{"a value that reads itself", []graph.Node{sum([]int{1, 0}, []int{1})}},
		{"no such value", []graph.Node{sum([]int{0, 3}, []int{1})}},
		{"no such value made", []graph.Node{sum([]int{0, 0}, []int{3})}},
		{"a sum of nothing", []graph.Node{sum(nil, []int{1})}},
		{"a sum that makes nothing", []graph.Node{sum([]int{0}, nil)}},
		{"an operator of two values", []graph.Node{{Kind: graph.Linear, Op: op.Identity{}, Inputs: []int{0, 0}, Outputs: []int{1}}}},
	} {
		g := &graph.Graph{Values: make([]graph.Value, 3), Nodes: test.nodes}
		if _, _, err := graph.Find(g, graph.Options{}); err == nil {
			t.Errorf("%s: no error", test.name)
		}
	}
}

// What is one layer has 256 nodes and 1,024 operators at most.
func TestLargest(t *testing.T) {
	for _, test := range []struct {
		norms, operators int // norms behind a layer, and norms that are one node
		nodes            int // of the region
	}{{255, 0, 256}, {256, 0, 256}, {0, 1022, 2}, {0, 1023, 0}} {
		n := newNet()
		v := n.conv(square(8, 1), 0)
		for range test.norms {
			v = n.norm(8, v)
		}
		if test.operators > 0 { // with their sequence and the layer two more
			n.op(op.Seq(slices.Repeat([]op.Expr{normOf(8)}, test.operators)), v)
		}
		regions, _, err := graph.Find(&n.Graph, graph.Options{AnyCost: true})
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, r := range regions {
			got = max(got, len(r.Nodes))
		}
		if got != test.nodes {
			t.Errorf("%+v: the largest of %d regions has %d nodes", test, len(regions), got)
		}
	}
}
