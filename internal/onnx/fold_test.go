package onnx

import (
	"fmt"
	"math"
	"testing"
)

// constantOf is the elements of the constant that the last node of a graph makes.
func constantOf(t *testing.T, graph []byte) string {
	t.Helper()
	m, err := open(t, withOpset(13, graph))
	if err != nil {
		t.Fatal(err)
	}
	f := newFacts(m, false)
	nodes := m.Graph.Nodes
	c := f.consts[nodes[len(nodes)-1].Out[0]]
	if c == nil {
		return "none"
	}
	a, err := c.array()
	if err != nil {
		return err.Error()
	}
	s := fmt.Sprint(c.Type, a.shape, a.i)
	if c.Type.IsFloat() {
		s = fmt.Sprint(c.Type, a.shape, a.f)
	}
	if c.Rounded {
		s += " rounded"
	}
	return s
}

// Nodes over constants give what Operators.md says, to the last bit of their type.
func TestFold(t *testing.T) {
	m := floats("m", []int{2, 3}, 1, 2, 3, 4, 5, 6)
	for _, test := range []struct {
		name, want string
		graph      []byte
	}{
		{"transpose", "float32 [3 2] [1 4 2 5 3 6]", cat(m, call("Transpose", "m", "y", attrInts("perm", 1, 0)))},
		{"reshape", "float32 [3 2] [1 2 3 4 5 6]", cat(m, ints("s", -1, 2), call("Reshape", "m s", "y"))},
		{"reshape to as many as there are", "none", cat(m, ints("s", 4, 2), call("Reshape", "m s", "y"))},
		{"unsqueeze", "float32 [1 2 3 1] [1 2 3 4 5 6]", cat(m, ints("a", 0, -1), call("Unsqueeze", "m a", "y"))},
		{"squeeze", "float32 [2] [1 1]", cat(floats("c", []int{1, 2, 1}), call("Squeeze", "c", "y"))},
		{"expand", "float32 [2 2 3] [1 1 1 2 2 2 1 1 1 2 2 2]", cat(floats("c", []int{2, 1}, 1, 2), ints("s", 2, 1, 3), call("Expand", "c s", "y"))},
		{"slice backwards", "float32 [2 2] [3 1 6 4]", cat(m, ints("s", -1), ints("e", math.MinInt64), ints("a", 1), ints("t", -2), call("Slice", "m s e a t", "y"))},
		{"slice", "float32 [1 2] [5 6]", cat(m, ints("s", 1, 1), ints("e", 9, 9), call("Slice", "m s e", "y"))},
		{"concat", "float32 [2 4] [1 2 3 7 4 5 6 8]", cat(m, floats("c", []int{2, 1}, 7, 8), call("Concat", "m c", "y", attrInt("axis", -1)))},
		{"gather", "float32 [2 2] [3 1 6 4]", cat(m, ints("i", -1, 0), call("Gather", "m i", "y", attrInt("axis", 1)))},
		{"gather of none there", "a constant that cannot be computed", cat(m, ints("i", 3), call("Gather", "m i", "y", attrInt("axis", 1)))},
		{"range", "int64 [3] [2 5 8]", cat(stored("a", elemInt64, nil, []byte{2, 0, 0, 0, 0, 0, 0, 0}), stored("b", elemInt64, nil, []byte{9, 0, 0, 0, 0, 0, 0, 0}), stored("c", elemInt64, nil, []byte{3, 0, 0, 0, 0, 0, 0, 0}), call("Range", "a b c", "y"))},
		{"fill", "float32 [2 1] [0 0]", cat(ints("s", 2, 1), call("ConstantOfShape", "s", "y"))},
		{"where", "int64 [2] [7 2]", cat(ints("a", 1, 2), ints("b", 1, 1), ints("c", 7, 8), call("Equal", "a b", "q"), call("Where", "q c a", "y"))},
		{"scatter", "float32 [2 3] [1 9 3 8 5 6]", cat(m, stored("i", elemInt64, []int{2, 2}, []byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}), floats("u", []int{2}, 9, 8), call("ScatterND", "m i u", "y"))},
		{"cast", "int64 [2 3] [1 2 3 4 5 6]", cat(m, call("Cast", "m", "y", attrInt("to", elemInt64)))},
		{"cast to half", "float16 [1] [0.0999755859375]", cat(floats("c", []int{1}, 0.1), call("Cast", "c", "y", attrInt("to", 10)))},
		{"a third in float32", "float32 [1] [0.3333333432674408] rounded", cat(floats("a", []int{1}), floats("b", []int{1}, 3), call("Div", "a b", "y"))},
		{"division of integers", "int64 [2] [-2 2]", cat(ints("a", -5, 5), ints("b", 2), call("Div", "a b", "y"))},
		{"negation is exact", "float32 [2] [-1 2]", cat(floats("a", []int{2}, 1, -2), call("Neg", "a", "y"))},
		{"broadcast", "float32 [2 3] [1 4 9 4 10 18] rounded", cat(m, floats("c", []int{3}, 1, 2, 3), call("Mul", "m c", "y"))},
		{"mean", "float32 [2 1] [2 5] rounded", cat(m, call("ReduceMean", "m", "y", attrInts("axes", 1)))},
		{"sum of all", "float32 [] [21] rounded", cat(m, call("ReduceSum", "m", "y", attrInt("keepdims", 0)))},
		{"product", "float32 [2 2] [14 32 32 77] rounded", cat(m, call("Transpose", "m", "w", attrInts("perm", 1, 0)), call("MatMul", "m w", "y"))},
		// x is 1 2 / 3 4 in one channel; two kernels of 2×2, the second reversed, and padding before.
		{"conv", "float32 [1 2 2 2] [4 11 14 30 1 4 6 20] rounded",
			cat(floats("x", []int{1, 1, 2, 2}, 1, 2, 3, 4), floats("w", []int{2, 1, 2, 2}, 1, 2, 3, 4, 4, 3, 2, 1), call("Conv", "x w", "y", attrInts("pads", 1, 1, 0, 0)))},
		{"shape", "int64 [2] [2 3]", cat(m, call("Shape", "m", "y"))},
		{"shape of an input, as far as it is known", "int64 [1] [3]", cat(input("x", -1, 3), ints("i", 1), call("Shape", "x", "s"), call("Gather", "s i", "y"))},
		{"what is not known spoils what it meets", "none", cat(input("x", -1, 3), call("Shape", "x", "s"), call("Cast", "s", "y", attrInt("to", elemFloat)))},
		{"twice itself, thirty times: computed anew for each reader, too much", "none", func() []byte {
			b := cat(floats("v0", []int{1}))
			for k := range 30 {
				v := fmt.Sprintf("v%d", k)
				b = append(b, call("Add", v+" "+v, fmt.Sprintf("v%d", k+1))...)
			}
			return b
		}()},
	} {
		if got := constantOf(t, test.graph); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}
