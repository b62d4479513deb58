package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"repfuse/internal/graph"
)

// floats is an initializer of ones of that shape, or of the values given.
func floats(name string, dims []int, values ...float32) []byte {
	n := 1
	for _, d := range dims {
		n *= d
	}
	var raw []byte
	for k := range n {
		v := float32(1)
		if k < len(values) {
			v = values[k]
		}
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return stored(name, elemFloat, dims, raw)
}

func ints(name string, values ...int64) []byte {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return stored(name, elemInt64, []int{len(values)}, raw)
}

func stored(name string, elem int, dims []int, raw []byte) []byte {
	var d []byte
	for _, n := range dims {
		d = appendInt(d, 1, int64(n))
	}
	return msg(5, d, num(2, int64(elem)), text(8, name), text(9, string(raw)))
}

// input is a graph input of floats; −1 is an extent that is unknown.
func input(name string, dims ...int) []byte {
	var d []byte
	for _, n := range dims {
		if n < 0 {
			d = cat(d, msg(1, text(2, "n")))
		} else {
			d = cat(d, msg(1, num(1, int64(n))))
		}
	}
	return msg(11, text(1, name), msg(2, msg(1, num(1, elemFloat), msg(2, d))))
}

// call is a node; ins has its inputs, with spaces between, "-" for one that is left out.
func call(op, ins, out string, attrs ...[]byte) []byte {
	return msg(1, body(op, ins, out, attrs...))
}

// body is the content of a node.
func body(op, ins, out string, attrs ...[]byte) (b []byte) {
	for _, in := range strings.Fields(ins) {
		b = cat(b, text(1, strings.Trim(in, "-")))
	}
	return cat(b, text(2, out), text(4, op), cat(attrs...))
}

func attrInts(name string, v ...int64) []byte {
	b := text(1, name)
	for _, v := range v {
		b = appendInt(b, 8, v)
	}
	return msg(5, b, num(20, int64(KindInts)))
}

func attrInt(name string, v int64) []byte {
	return msg(5, text(1, name), num(3, v), num(20, int64(KindInt)))
}

func attrFloat(name string, v float32) []byte {
	return msg(5, text(1, name), binary.LittleEndian.AppendUint32([]byte{2<<3 | 5}, math.Float32bits(v)), num(20, int64(KindFloat)))
}

func attrText(name, v string) []byte {
	return msg(5, text(1, name), text(4, v), num(20, int64(KindText)))
}

// withOpset is IR 8 and a graph of that opset.
func withOpset(v int64, graph ...[]byte) []byte {
	return cat(num(1, 8), msg(7, graph...), msg(8, num(2, v)))
}

// neutral is the last node of the net that a model's graph comes to.
func neutral(t *testing.T, b []byte) string {
	t.Helper()
	m, err := open(t, b)
	if err != nil {
		t.Fatal(err)
	}
	net := m.Nets(false)[0]
	return describe(net, len(net.Nodes)-1)
}

// describe is a node of a net in words.
func describe(net *Net, k int) string {
	n, s := net.Nodes[k], ""
	switch n.Kind {
	case graph.Opaque:
		return "opaque: " + n.Why
	case graph.Add:
		s = fmt.Sprintf("add of %d", len(n.Inputs))
		if n.Minus != nil {
			s += fmt.Sprint(" minus ", n.Minus)
		}
		return s
	case graph.Concat:
		return fmt.Sprintf("concat of %d, axis %d", len(n.Inputs), n.Axis)
	case graph.Move:
		return fmt.Sprintf("move from %d to %d", n.Axis, n.To)
	}
	s = n.Op.String()
	if n.After != nil {
		s += fmt.Sprint(" after ", n.After)
	}
	s += fmt.Sprint(" axis ", n.Axis)
	if net.Rounded[k] {
		s += " rounded"
	}
	return s
}

// Nodes are taken for what onnx.proto and Operators.md say that they do, and for nothing
// where they depend on what is not known.
func TestSteps(t *testing.T) {
	x := input("x", 2, 4, 9, 8)
	w := floats("w", []int{4, 4, 3, 3})
	for _, test := range []struct {
		name, want string
		graph      []byte
	}{
		{"conv", "conv(w 4×4×3×3, b, stride 2×1, padding 1×0, dilation 1×2) after [2 0] axis 1",
			cat(x, w, floats("b", []int{4}), call("Conv", "x w b", "y", attrInts("strides", 2, 1), attrInts("pads", 1, 0, 2, 0), attrInts("dilations", 1, 2)))},
		{"SAME_UPPER at stride 1", "conv(w 4×4×3×2, padding 1×0) after [1 1] axis 1",
			cat(input("x", -1, 4, -1, -1), floats("w", []int{4, 4, 3, 2}), call("Conv", "x w", "y", attrText("auto_pad", "SAME_UPPER")))},
		{"SAME_LOWER", "conv(w 4×4×3×2, padding 1×1) after [1 0] axis 1",
			cat(x, floats("w", []int{4, 4, 3, 2}), call("Conv", "x w", "y", attrText("auto_pad", "SAME_LOWER")))},
		{"SAME_UPPER at stride 2 of 9×8", "conv(w 4×4×3×3, stride 2×2, padding 1×0) after [1 1] axis 1",
			cat(x, w, call("Conv", "x w", "y", attrText("auto_pad", "SAME_UPPER"), attrInts("strides", 2, 2)))},
		{"SAME_UPPER of an unknown size", "opaque: padding that depends on an unknown size",
			cat(input("x", 1, 4, -1, 8), w, call("Conv", "x w", "y", attrText("auto_pad", "SAME_UPPER"), attrInts("strides", 2, 2)))},
		{"a weight that is an input", "opaque: its weight is no constant", cat(x, input("w", 4, 4, 3, 3), call("Conv", "x w", "y"))},
		{"an initializer that is an input", "opaque: its weight is no constant", cat(x, input("w", 4, 4, 3, 3), w, call("Conv", "x w", "y"))},
		{"another kernel_shape", "opaque: its kernel_shape is not that of its weight, [4 4 3 3]", cat(x, w, call("Conv", "x w", "y", attrInts("kernel_shape", 1, 1)))},
		{"a bias of one", "opaque: its bias has the shape [1]", cat(x, w, floats("b", []int{1}), call("Conv", "x w b", "y"))},
		{"transposed", "convt(w 4×2×3×3, b) axis 1", cat(x, floats("w", []int{4, 2, 3, 3}), floats("b", []int{4}), call("ConvTranspose", "x w b", "y", attrInt("group", 2), attrInts("strides", 2, 2)))},

		{"gemm", "convt(w 4×5, b) axis 1", cat(input("x", -1, 4), floats("w", []int{4, 5}), floats("b", []int{1, 5}), call("Gemm", "x w b", "y"))},
		{"gemm of rows", "conv(w 5×4) > scale(0.5) > shift(b · 2) axis 1",
			cat(input("x", -1, 4), floats("w", []int{5, 4}), floats("b", []int{5}), call("Gemm", "x w b", "y", attrInt("transB", 1), attrFloat("alpha", 0.5), attrFloat("beta", 2)))},
		{"gemm of a bias a row", "opaque: its bias has the shape [3 1]", cat(input("x", 3, 4), floats("w", []int{4, 5}), floats("b", []int{3, 1}), call("Gemm", "x w b", "y"))},
		{"gemm transposed", "opaque: its input is transposed", cat(input("x", 4, 3), floats("w", []int{4, 5}), call("Gemm", "x w", "y", attrInt("transA", 1)))},
		{"product of three axes", "convt(w 4×5) axis -1", cat(input("x", 2, 3, 4), floats("w", []int{4, 5}), call("MatMul", "x w", "y"))},
		{"product of a matrix", "convt(w 4×5) axis 1", cat(input("x", -1, 4), floats("w", []int{4, 5}), call("MatMul", "x w", "y"))},
		{"product from the left", "opaque: ", cat(input("x", 4, 5), floats("w", []int{3, 4}), call("MatMul", "w x", "y"))},

		{"a vector alone lies along the last axis", "opaque: adds a constant of the shape [4] to a value of the shape [2 4 9 8]", cat(x, floats("c", []int{4}), call("Add", "x c", "y"))},
		{"a vector along the last axis", "scale(c) axis -1", cat(x, floats("c", []int{8}), call("Mul", "x c", "y"))},
		{"channels", "scale(c) axis 1", cat(x, floats("c", []int{4, 1, 1}), call("Mul", "c x", "y"))},
		{"more axes than the value", "opaque: adds a constant of the shape [1 1 4 1 1], which has more axes than the value", cat(x, floats("c", []int{1, 1, 4, 1, 1}), call("Add", "x c", "y"))},
		{"a map", "opaque: adds a constant of the shape [4 9 8], not one for each channel", cat(x, floats("c", []int{4, 9, 8}), call("Add", "x c", "y"))},
		{"a channel that would become four", "opaque: multiplies by a constant of the shape [4 1 1] to a value of the shape [2 1 9 8]", cat(input("x", 2, 1, 9, 8), floats("c", []int{4, 1, 1}), call("Mul", "x c", "y"))},
		{"one number", "scale(c) axis 0", cat(x, floats("c", nil), call("Mul", "x c", "y"))},
		{"one number of a Constant", "shift(2) axis 0", cat(x, msg(1, text(2, "c"), text(4, "Constant"), attrFloat("value_float", 2)), call("Add", "x c", "y"))},
		{"less a number", "scale(-1) > shift(c) > scale(-1) axis 0", cat(x, floats("c", nil), call("Sub", "x c", "y"))},
		{"a number less", "scale(-1) > shift(c) axis 0", cat(x, floats("c", nil), call("Sub", "c x", "y"))},
		{"by four", "scale(0.25) axis 0", cat(x, msg(1, text(2, "c"), text(4, "Constant"), attrFloat("value_float", 4)), call("Div", "x c", "y"))},
		{"by three", "scale(0.3333333333333333) axis 0 rounded", cat(x, msg(1, text(2, "c"), text(4, "Constant"), attrFloat("value_float", 3)), call("Div", "x c", "y"))},
		{"by nought", "opaque: divides by 0", cat(x, msg(1, text(2, "c"), text(4, "Constant"), attrFloat("value_float", 0)), call("Div", "x c", "y"))},
		{"a number divided", "opaque: ", cat(x, floats("c", nil), call("Div", "c x", "y"))},
		{"values", "add of 2 minus [false true]", cat(x, input("z", 2, 4, 9, 8), call("Sub", "x z", "y"))},
		{"broadcast along the batch", "opaque: broadcasts", cat(x, input("z", 1, 4, 9, 8), call("Add", "x z", "y"))},
		{"perhaps broadcast", "opaque: broadcasts", cat(input("x", -1, 4), input("z", 1, 4), call("Add", "x z", "y"))},

		{"norm", "bn(m, ε 0.125) axis 1", cat(x, floats("g", []int{4}), floats("b", []int{4}), floats("m", []int{4}), floats("v", []int{4}), call("BatchNormalization", "x g b m v", "y", attrFloat("epsilon", 0.125)))},
		{"norm in training", "opaque: in training mode", cat(x, floats("g", []int{4}), floats("b", []int{4}), floats("m", []int{4}), floats("v", []int{4}), call("BatchNormalization", "x g b m v", "y", attrInt("training_mode", 1)))},
		{"norm for each position", "opaque: statistics for each position (spatial=0)", cat(x, floats("g", []int{4}), floats("b", []int{4}), floats("m", []int{4}), floats("v", []int{4}), call("BatchNormalization", "x g b m v", "y", attrInt("spatial", 0)))},

		{"pad", "x(padding 2×-1) after [1 3] axis 1", cat(x, ints("p", 0, 0, 2, -1, 0, 0, 1, 3), call("Pad", "x p", "y"))},
		{"pad of some axes", "x(padding 0×2) after [0 3] axis 1", cat(x, ints("p", 2, 3), ints("a", -1), call("Pad", "x p - a", "y"))},
		{"pad by reflection", "opaque: pads by reflect", cat(x, ints("p", 0, 0, 1, 1, 0, 0, 1, 1), call("Pad", "x p", "y", attrText("mode", "reflect")))},
		{"pad by ones", "opaque: pads with 1", cat(x, ints("p", 0, 0, 1, 1, 0, 0, 1, 1), floats("c", nil), call("Pad", "x p c", "y"))},
		{"pad of channels", "opaque: pads channels", cat(x, ints("p", 0, 1, 1, 1, 0, 0, 1, 1), call("Pad", "x p", "y"))},
		{"slice", "x(padding -1×0) after [-2 0] axis 1", cat(x, ints("s", 1), ints("e", 7), ints("a", 2), call("Slice", "x s e a", "y"))},
		{"slice of every other", "x(stride 1×2, padding 0×-1) after [0 0] axis 1", cat(x, ints("s", 1), ints("e", math.MaxInt64), ints("a", -1), ints("t", 2), call("Slice", "x s e a t", "y"))},
		{"slice from behind", "x(padding -6×0) after [-1 0] axis 1", cat(x, ints("s", -3), ints("e", -1), ints("a", 2), call("Slice", "x s e a", "y"))},
		{"slice of an unknown size", "opaque: a slice of unknown extent", cat(input("x", 1, 4, -1, -1), ints("s", 0), ints("e", 7), ints("a", 2), call("Slice", "x s e a", "y"))},
		{"slice backwards", "opaque: cuts backwards, nothing, or the batch", cat(x, ints("s", -1), ints("e", math.MinInt64), ints("a", 2), ints("t", -1), call("Slice", "x s e a t", "y"))},
		{"slice of channels", "channels(1:3 of 4) axis 1", cat(x, ints("s", 1), ints("e", 3), ints("a", 1), call("Slice", "x s e a", "y"))},

		{"mean", "avgpool(3×3, stride 2×2, padding 1×1) after [0 0] axis 1", cat(x, call("AveragePool", "x", "y", attrInts("kernel_shape", 3, 3), attrInts("strides", 2, 2), attrInts("pads", 1, 1, 0, 0), attrInt("count_include_pad", 1)))},
		{"mean that does not count", "opaque: a mean that does not count its padding", cat(x, call("AveragePool", "x", "y", attrInts("kernel_shape", 3, 3), attrInts("pads", 0, 0, 1, 1)))},
		{"mean rounded up", "opaque: rounds its extent up", cat(x, call("AveragePool", "x", "y", attrInts("kernel_shape", 3, 3), attrInt("ceil_mode", 1)))},
		{"maximum of one", "x(stride 2×2, padding 0×0) after [0 0] axis 1", cat(x, call("MaxPool", "x", "y", attrInts("kernel_shape", 1, 1), attrInts("strides", 2, 2)))},
		{"maximum", "opaque: ", cat(x, call("MaxPool", "x", "y", attrInts("kernel_shape", 2, 2)))},
		{"concat", "concat of 2, axis 1", cat(x, call("Concat", "x x", "y", attrInt("axis", -3)))},
		{"concat of rows", "opaque: ", cat(x, call("Concat", "x x", "y", attrInt("axis", 2)))},
		{"transpose of a layer", "move from -1 to 1", cat(input("x", 2, 3, 4), floats("w", []int{4, 5}), call("MatMul", "x w", "v"), call("Transpose", "v", "y", attrInts("perm", 0, 2, 1)))},
		{"transpose of the batch", "opaque: ", cat(input("x", 2, 3, 4), floats("w", []int{4, 5}), call("MatMul", "x w", "v"), call("Transpose", "v", "y", attrInts("perm", 2, 1, 0)))},
		{"reshape to a matrix", "move from -1 to 1", cat(input("x", 2, 3, 4), floats("w", []int{4, 5}), ints("s", -1, 5), call("MatMul", "x w", "v"), call("Reshape", "v s", "y"))},
		{"reshape that mixes", "opaque: ", cat(input("x", 2, 3, 4), floats("w", []int{4, 5}), ints("s", 5, -1), call("MatMul", "x w", "v"), call("Reshape", "v s", "y"))},
		{"integers", "opaque: ", cat(msg(11, text(1, "x"), msg(2, msg(1, num(1, elemInt64), msg(2)))), call("Neg", "x", "y"))},
		{"another domain", "opaque: ", cat(x, call("Neg", "x", "y", text(7, "com.example")))},
	} {
		if got := neutral(t, withOpset(13, test.graph)); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}

// What older versions of an operator mean by the same node.
func TestOpsets(t *testing.T) {
	x := input("x", 2, 4, 9, 8)
	norm := cat(floats("g", []int{4}), floats("b", []int{4}), floats("m", []int{4}), floats("v", []int{4}))
	for _, test := range []struct {
		opset int64
		want  string
		graph []byte
	}{
		{6, "opaque: in training mode", cat(x, norm, call("BatchNormalization", "x g b m v", "y"))},
		{6, "bn(m, ε 9.999999747378752e-06) axis 1", cat(x, norm, call("BatchNormalization", "x g b m v", "y", attrInt("is_test", 1)))},
		{7, "bn(m, ε 9.999999747378752e-06) axis 1", cat(x, norm, call("BatchNormalization", "x g b m v", "y"))},
		{6, "opaque: broadcasts as before opset 7", cat(x, floats("c", []int{4}), call("Add", "x c", "y", attrInt("broadcast", 1), attrInt("axis", 1)))},
		{6, "opaque: in training mode", cat(x, call("Dropout", "x", "y"))},
		{7, "x axis 0", cat(x, call("Dropout", "x", "y"))},
		{1, "x(padding 1×2) after [3 4] axis 1", cat(x, call("Pad", "x", "y", attrInts("paddings", 0, 0, 1, 2, 0, 0, 3, 4)))},
		{2, "x(padding 1×2) after [3 4] axis 1", cat(x, call("Pad", "x", "y", attrInts("pads", 0, 0, 1, 2, 0, 0, 3, 4)))},
		{9, "x(padding -1×0) after [-2 0] axis 1", cat(x, call("Slice", "x", "y", attrInts("starts", 1), attrInts("ends", 7), attrInts("axes", 2)))},
	} {
		if got := neutral(t, withOpset(test.opset, test.graph)); got != test.want {
			t.Errorf("opset %d:\n%s\nwant\n%s", test.opset, got, test.want)
		}
	}
}
