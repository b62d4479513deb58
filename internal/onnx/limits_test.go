package onnx

import (
	"fmt"
	"testing"

	"repfuse/internal/tensor"
)

// Constants are computed up to so many elements, and so many products, and no further.
func TestLargestConstant(t *testing.T) {
	for n, ok := range map[int]bool{1 << 22: true, 1<<22 + 1: false} {
		if _, err := newArray(tensor.F32, []int{n}); (err == nil) != ok {
			t.Errorf("%d elements: %v", n, err)
		}
	}
	ones := func(shape ...int) *array {
		return &array{typ: tensor.F32, shape: shape, f: make([]float64, tensor.Elems(shape))}
	}
	for k, ok := range map[int]bool{1 << 10: true, 1<<10 + 1: false} {
		if _, err := evalMatMul(&Node{}, []int{256, 256}, []*array{ones(256, k), ones(k, 256)}); (err == nil) != ok {
			t.Errorf("a product of 2¹⁶·%d products: %v", k, err)
		}
		if _, err := evalConv(&Node{}, []int{1, 256, 256}, []*array{ones(1, k, 256), ones(256, k, 1)}); (err == nil) != ok {
			t.Errorf("a convolution of 2¹⁶·%d products: %v", k, err)
		}
	}
}

// Functions are followed 32 calls deep.
func TestDeepestCall(t *testing.T) {
	for calls, want := range map[int]string{32: "Relu", 33: "F32"} {
		var functions [][]byte
		for k := range calls {
			inner := body("Relu", "in", "out")
			if k+1 < calls {
				inner = body(fmt.Sprint("F", k+1), "in", "out", text(7, "own"))
			}
			functions = append(functions, msg(25, text(1, fmt.Sprint("F", k)), text(10, "own"), text(4, "in"), text(5, "out"),
				msg(9, num(2, 17)), msg(9, text(1, "own"), num(2, 1)), msg(7, inner)))
		}
		net := withOpset(17, input("x", 1), call("F0", "x", "y", text(7, "own")), msg(12, text(1, "y")))
		m, err := open(t, cat(append([][]byte{net, msg(8, text(1, "own"), num(2, 1))}, functions...)...))
		if err != nil {
			t.Fatal(err)
		}
		m.Nets(false)
		if nodes := m.Graph.Nodes; len(nodes) != 1 || nodes[0].Op.Name != want {
			t.Errorf("%d calls: %d nodes, %v, want %s", calls, len(nodes), nodes[0].Op, want)
		}
	}
}

// A constant takes so many steps at most, and so do all that are computed to find constants.
func TestLongestConstant(t *testing.T) {
	for work, ok := range map[int]bool{1 << 24: true, 1<<24 + 1: false} {
		f := &facts{consts: map[*Value]*Const{}, shapes: map[*Value][]int{}, types: map[*Value]tensor.Type{}}
		if c := f.computed(&Value{}, tensor.F32, []int{1}, work, nil); (c != nil) != ok {
			t.Errorf("%d steps: %v", work, c)
		}
	}
	f := &facts{spent: 1<<27 - 1}
	for spent, ok := range []bool{true, false} {
		c := &Const{Named: tensor.Named{Tensor: tensor.Tensor{Type: tensor.I64, Shape: []int{1}}}, work: 1}
		c.eval = func() (*array, error) { return newArray(tensor.I64, []int{1}) }
		if err := f.keep(c); (err == nil) != ok {
			t.Errorf("step 2²⁷+%d of all: %v", spent, err)
		}
	}
}
