package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
)

// networks is what can be written as .onnx.
var networks = map[string]blocks{"B1": repVGGB1, "mobileone-s0": mobileOneS0()}

// network is the graph of an .onnx in the making, as PyTorch's exporter leaves a model: a batch
// norm behind a convolution is part of it, one that stands alone is a node.
type network struct {
	nodes   []byte // the node fields of a GraphProto
	weights checkpoint
	values  int // that nodes make
}

// The numbers of fields and types are those of onnx.proto.

// field appends a field that holds bytes, number one that holds a number.
func field(b []byte, id int, content ...byte) []byte {
	b = binary.AppendUvarint(b, uint64(id<<3|2))
	return append(binary.AppendUvarint(b, uint64(len(content))), content...)
}

func number(b []byte, id, v int) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(id<<3)), uint64(v))
}

func text(b []byte, id int, s string) []byte { return field(b, id, []byte(s)...) }

// node adds an operator and returns the name of the value that it makes.
func (n *network) node(op string, attrs []byte, in ...string) string {
	n.values++
	out := fmt.Sprint("v", n.values)
	var b []byte
	for _, name := range in {
		b = text(b, 1, name)
	}
	b = append(text(text(b, 2, out), 4, op), attrs...)
	n.nodes = field(n.nodes, 1, b...)
	return out
}

// ints appends an attribute that is a list of numbers, integer one that is a number.
func ints(b []byte, name string, v ...int) []byte {
	a := number(text(nil, 1, name), 20, 7)
	for _, k := range v {
		a = number(a, 8, k)
	}
	return field(b, 5, a...)
}

func integer(b []byte, name string, v int) []byte {
	return field(b, 5, number(number(text(nil, 1, name), 20, 2), 3, v)...)
}

// block adds the nodes of a block and of the ReLU behind it.
func (n *network) block(b block, x string) string {
	sum := ""
	plus := func(branch string) {
		if sum == "" {
			sum = branch
		} else {
			sum = n.node("Add", nil, sum, branch)
		}
	}
	b.convolutions(func(path string, kernel int) {
		n.weights.linear(path, b.out, b.in/b.groups, kernel, kernel)
		pad := kernel / 2
		a := integer(ints(nil, "kernel_shape", kernel, kernel), "group", b.groups)
		a = ints(ints(ints(a, "strides", b.stride, b.stride), "pads", pad, pad, pad, pad), "dilations", 1, 1)
		plus(n.node("Conv", a, x, path+".weight", path+".bias"))
	})
	if b.skips() {
		path := b.path + "." + b.identity
		n.weights.normalise(path, b.out)
		plus(n.node("BatchNormalization", nil, x, path+".weight", path+".bias", path+".running_mean", path+".running_var"))
	}
	return n.node("Relu", nil, sum)
}

// export writes the network of the blocks at path, for images of 224×224. One tensor at a
// time is in memory.
func (all blocks) export(path string, seed uint64) (err error) {
	n, x := &network{}, "input"
	for _, b := range all {
		x = n.block(b, x)
	}
	in := all[len(all)-1].out
	n.weights.linear("linear", 1000, in)
	x = n.node("Flatten", nil, n.node("GlobalAveragePool", nil, x))
	x = n.node("Gemm", integer(nil, "transB", 1), x, "linear.weight", "linear.bias")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return n.write(f, x, seed)
}

// write writes the model: its head, the initializers one by one, and the rest.
func (n *network) write(f *os.File, out string, seed uint64) error {
	rest := field(text(nil, 2, "bench"), 11, value("input", 1, 3, 224, 224)...)
	rest = field(rest, 12, value(out, 1, 1000)...)
	size := len(n.nodes) + len(rest)
	heads := make([][]byte, len(n.weights))
	for k, e := range n.weights {
		var b []byte
		for _, d := range e.Shape {
			b = number(b, 1, d)
		}
		b = text(number(b, 2, 1), 8, e.Key) // of float32
		b = binary.AppendUvarint(binary.AppendUvarint(b, 9<<3|2), uint64(e.Bytes()))
		heads[k] = binary.AppendUvarint([]byte{5<<3 | 2}, uint64(len(b))+uint64(e.Bytes()))
		heads[k] = append(heads[k], b...)
		size += len(heads[k]) + int(e.Bytes())
	}
	w := bufio.NewWriter(f)
	head := field(text(number(nil, 1, 7), 2, "bench/gen"), 8, number(nil, 2, 13)...) // IR 7, opset 13
	w.Write(binary.AppendUvarint(append(head, 7<<3|2), uint64(size)))
	w.Write(n.nodes)
	random := rand.New(rand.NewPCG(seed, 0))
	for k, e := range n.weights {
		w.Write(heads[k])
		w.Write(e.values(random))
	}
	w.Write(rest)
	return w.Flush() // the first error of all writes
}

// value is a ValueInfoProto of float32.
func value(name string, shape ...int) []byte {
	var dims []byte
	for _, d := range shape {
		dims = field(dims, 1, number(nil, 1, d)...)
	}
	return field(text(nil, 1, name), 2, field(nil, 1, field(number(nil, 1, 1), 2, dims...)...)...)
}
