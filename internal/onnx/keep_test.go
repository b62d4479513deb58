package onnx

import (
	"fmt"
	"strings"
	"testing"

	"repfuse/internal/disk"
	"repfuse/internal/graph"
)

// summary lists what a model's file says, in the file's order.
func summary(m *Model) string {
	var b strings.Builder
	m.Graph.walk(func(g *Graph) {
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString("in")
		for _, v := range g.Inputs {
			fmt.Fprintf(&b, " %s", v.Name)
		}
		b.WriteString("; tensors")
		for _, t := range g.Initializers {
			fmt.Fprintf(&b, " %s%v", t.Key, t.Shape)
		}
		b.WriteString("; about")
		for _, a := range g.about {
			fmt.Fprintf(&b, " %s", a.name)
		}
		for _, n := range g.Nodes {
			fmt.Fprintf(&b, "; %s %q %s -> %s", n.Op.Name, n.Name, strings.Join(n.in, ","), strings.Join(n.out, ","))
			for _, a := range n.Attrs {
				if a.Kind == KindInts || a.Kind == KindInt {
					fmt.Fprintf(&b, " %s %v", a.Name, append(a.Ints, a.Int)[:max(1, len(a.Ints))])
				}
			}
		}
	})
	return b.String()
}

// fused is the summary of what a model becomes when all its regions are replaced. The
// tensors of the layers are zeros.
func fused(t *testing.T, b []byte) string {
	t.Helper()
	m, err := open(t, b)
	if err != nil {
		t.Fatal(err)
	}
	var layers []Layer
	names := m.Names()
	for _, net := range m.Nets(false) {
		regions, _, err := graph.Find(&net.Graph, graph.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range net.Layers(regions, names) {
			layers = append(layers, f.Layer)
		}
	}
	r, err := m.Rewrite(layers, "m.onnx.data")
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/fused.onnx"
	specs := r.Fresh
	for _, k := range r.Kept {
		specs = append(specs, k.Spec())
	}
	w, err := r.Create(path, path+".data", specs, disk.Create)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range specs {
		if err := w.WriteAt(i, make([]byte, s.Bytes()), 0); err != nil {
			t.Fatal(err)
		}
		if err := w.Done(i, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	return summary(out)
}

// What a layer makes superfluous goes, and nothing else: nodes, initializers, inputs that
// list them, and what the file says of values. Names that are taken are not taken twice.
func TestWhatStays(t *testing.T) {
	about := func(name string) []byte { return cat(msg(13, text(1, name)), msg(14, text(1, name))) }
	name := func(s string) []byte { return text(3, s) }
	x := input("x", 1, 4, 9, 8)
	w, v := floats("w", []int{4, 4, 1, 1}), floats("v", []int{4, 4, 3, 3})
	attrs := " dilations [1 1] group [1] kernel_shape [3 3] pads [1 1 1 1] strides [1 1]"
	wide := attrInts("pads", 1, 1, 1, 1)
	branches := cat(call("Conv", "x w", "a", name("A")), call("Conv", "x v", "b", name("B"), wide), call("Add", "a b", "y", name("C")))
	function := msg(25, text(1, "F"), text(10, "own"), text(4, "in"), text(4, "k"), text(5, "out"), text(6, "p"), msg(9, num(2, 17)),
		msg(7, body("Conv", "in k", "mid", name("conv"), msg(5, text(1, "pads"), text(21, "p"), num(20, int64(KindInts))))), msg(7, body("Add", "mid in", "out")))
	for _, test := range []struct {
		name, want string
		model      []byte
	}{
		{"two branches", `in x; tensors y.weight[4 4 3 3]; about; Conv "B" x,y.weight -> y` + attrs + `; Relu "" y -> z`,
			withOpset(17, x, w, v, branches, call("Relu", "y", "z"), about("a"), msg(12, text(1, "z")))},
		{"what is said of others stays", `in x; tensors y.weight[4 4 3 3]; about y y z z; Conv "B" x,y.weight -> y` + attrs + `; Relu "" y -> z`,
			withOpset(17, x, w, v, branches, call("Relu", "y", "z"), about("a"), about("y"), about("b"), about("z"), msg(12, text(1, "z")))},
		{"a weight that is read elsewhere", `in x; tensors w[4 4 1 1] y.weight[4 4 3 3]; about; Conv "B" x,y.weight -> y` + attrs + `; Relu "" w -> z`,
			withOpset(17, x, w, v, branches, call("Relu", "w", "z"), msg(12, text(1, "z")))},
		{"a weight that is an output", `in x; tensors v[4 4 3 3] y.weight[4 4 3 3]; about; Conv "B" x,y.weight -> y` + attrs,
			withOpset(17, x, w, v, branches, msg(12, text(1, "y")), msg(12, text(1, "v")))},
		{"an initializer that nobody reads stays as it was", `in x; tensors u[1] y.weight[4 4 3 3]; about; Conv "B" x,y.weight -> y` + attrs,
			withOpset(17, x, floats("u", []int{1}), w, v, branches, msg(12, text(1, "y")))},
		{"a name that is taken", `in x; tensors y.weight[2] y.weight_2[4 4 3 3]; about; Conv "B" x,y.weight_2 -> y` + attrs,
			withOpset(17, x, floats("y.weight", []int{2}), w, v, branches, msg(12, text(1, "y")))},
		{"inputs that list initializers, before IR 4", `in x y.weight; tensors y.weight[4 4 3 3]; about; Conv "B" x,y.weight -> y` + attrs,
			cat(num(1, 3), msg(7, x, input("w", 4, 4, 1, 1), input("v", 4, 4, 3, 3), w, v, branches, msg(12, text(1, "y"))), msg(8, num(2, 8)))},
		{"constants that are computed for it alone", `in x; tensors y.weight[4 4 1 1]; about; Conv "" x,y.weight -> y dilations [1 1] group [1] kernel_shape [1 1] pads [0 0 0 0] strides [1 1]`,
			withOpset(17, x, w, floats("s", []int{4, 1, 1, 1}), call("Mul", "w s", "ws"), call("Conv", "x ws", "y"), msg(12, text(1, "y")))},
		{"a body", `in x c; tensors; about; If "" c -> z; in; tensors y.weight[4 4 3 3]; about; Conv "B" x,y.weight -> y` + attrs,
			withOpset(17, x, msg(11, text(1, "c")), w, v, msg(1, text(1, "c"), text(2, "z"), text(4, "If"), msg(5, text(1, "then_branch"), msg(6, branches, msg(12, text(1, "y"))), num(20, int64(KindGraph)))), msg(12, text(1, "z")))},
		{"a function's nodes", `in x; tensors y.weight[4 4 3 3]; about; Conv "y/conv" x,y.weight -> y` + attrs,
			cat(withOpset(17, x, v, call("F", "x v", "y", text(7, "own"), attrInts("p", 1, 1, 1, 1)), msg(12, text(1, "y"))), msg(8, text(1, "own"), num(2, 1)), function)},
		{"a call of which nothing is a layer", `in x v; tensors; about; F "" x,v -> y p [1 1 1 1]`,
			cat(withOpset(17, x, input("v", 4, 4, 3, 3), call("F", "x v", "y", text(7, "own"), attrInts("p", 1, 1, 1, 1)), msg(12, text(1, "y"))), msg(8, text(1, "own"), num(2, 1)), function)},
		{"attributes", `in x; tensors y.weight[4 2 3 3] y.bias[4]; about; Conv "" x,y.weight,y.bias -> y dilations [2 1] group [2] kernel_shape [3 3] pads [1 2 3 0] strides [2 1]`,
			withOpset(17, x, floats("w", []int{4, 2, 3, 3}), floats("s", []int{4}), call("Conv", "x w", "a", attrInt("group", 2), attrInts("dilations", 2, 1), attrInts("strides", 2, 1), attrInts("pads", 1, 2, 3, 0)),
				call("BatchNormalization", "a s s s s", "y"), msg(12, text(1, "y")))},
		{"extents of an inner value", `in x; tensors w[4 4 1 1] s[4]; about; Conv "" x,w -> a; Shape "" a -> z; BatchNormalization "" a,s,s,s,s -> y`,
			withOpset(17, x, w, floats("s", []int{4}), call("Conv", "x w", "a"), call("Shape", "a", "z"), call("BatchNormalization", "a s s s s", "y"), msg(12, text(1, "y")), msg(12, text(1, "z")))},
		{"a branch that a body reads", `in x c; tensors w[4 4 1 1] s[4]; about; Conv "" x,w -> a; If "" c -> z; BatchNormalization "" a,s,s,s,s -> y; in; tensors; about; Relu "" a -> r`,
			withOpset(17, x, msg(11, text(1, "c")), w, floats("s", []int{4}), call("Conv", "x w", "a"), msg(1, text(1, "c"), text(2, "z"), text(4, "If"), msg(5, text(1, "then_branch"), msg(6, call("Relu", "a", "r"), msg(12, text(1, "r"))), num(20, int64(KindGraph)))),
				call("BatchNormalization", "a s s s s", "y"), msg(12, text(1, "y")), msg(12, text(1, "z")))},
		{"a norm behind a transpose", `in x; tensors s[4] v.weight[3 4] v.bias[4]; about; MatMul "M" x,v.weight -> v.product; Add "M.bias" v.product,v.bias -> v; Transpose "T" v -> y perm [0 2 1]; Shape "" v -> z`,
			withOpset(17, input("x", 2, 5, 3), floats("k", []int{3, 4}), floats("s", []int{4}), call("MatMul", "x k", "v", name("M")), call("Transpose", "v", "u", name("T"), attrInts("perm", 0, 2, 1)),
				call("BatchNormalization", "u s s s s", "y"), call("Shape", "v", "z"), msg(12, text(1, "y")), msg(12, text(1, "z")), msg(12, text(1, "s")))},
	} {
		if got := fused(t, test.model); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}

// A function that calls itself twice is followed as far as maxInlined lets it: each call makes one node two.
func TestRecursion(t *testing.T) {
	self := msg(25, text(1, "F"), text(10, "own"), text(4, "in"), text(5, "out"), msg(9, num(2, 17)), msg(9, text(1, "own"), num(2, 1)),
		msg(7, body("F", "in", "mid", text(7, "own"))), msg(7, body("F", "mid", "out", text(7, "own"))))
	m, err := open(t, cat(withOpset(17, input("x", 1), call("F", "x", "y", text(7, "own")), msg(12, text(1, "y"))), msg(8, text(1, "own"), num(2, 1)), self))
	if err != nil {
		t.Fatal(err)
	}
	m.Nets(false)
	if n, want := len(m.Graph.Nodes), 1<<16+1; n != want {
		t.Errorf("%d nodes, want %d", n, want)
	}
}
