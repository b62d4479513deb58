package onnx

import "testing"

// TestCompareOutputs: a model that gives its outputs in another order, or fewer of them, is not
// the same.
func TestCompareOutputs(t *testing.T) {
	model := func(outputs ...string) *Model {
		b := cat(input("x", 1, 4, 9, 8), call("Relu", "x", "a"), call("Sigmoid", "x", "b"))
		for _, name := range outputs {
			b = append(b, msg(12, text(1, name))...)
		}
		m, err := open(t, withOpset(17, b))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	source := model("a", "b")
	for name, row := range map[string]struct {
		of   *Model
		want int
	}{"the same": {model("a", "b"), 0}, "in another order": {model("b", "a"), 1}, "one less": {model("a"), 1}} {
		_, found, err := source.Compare(nil, row.of)
		if err != nil || len(found) != row.want {
			t.Errorf("%s: %v, error %v, want %d differences", name, found, err, row.want)
		}
	}
}

// TestCompareGemm: a product that is scaled, or turned as the layer is not, is not the layer.
func TestCompareGemm(t *testing.T) {
	node := func(attrs ...*Attr) *Node { return &Node{Attrs: attrs} }
	turned := NewNode{Op: "Gemm", Attrs: []NewAttr{{"transB", []int{1}, true}}}
	for name, row := range map[string]struct {
		n    NewNode
		d    *Node
		want bool
	}{
		"as it is":    {NewNode{Op: "Gemm"}, node(), true},
		"turned":      {turned, node(&Attr{Name: "transB", Int: 1}), true},
		"turned, too": {NewNode{Op: "Gemm"}, node(&Attr{Name: "transB", Int: 1}), false},
		"the input":   {turned, node(&Attr{Name: "transA", Int: 1}), false},
		"scaled":      {turned, node(&Attr{Name: "alpha", Float: 2}), false},
		"half a bias": {turned, node(&Attr{Name: "beta", Float: 0.5}), false},
	} {
		if got := plainGemm(row.n, row.d); got != row.want {
			t.Errorf("%s: %t, want %t", name, got, row.want)
		}
	}
}
