// Package onnx reads and writes models in the format of ONNX: a protobuf message
// (onnx.proto, Apache-2.0) that holds a graph of nodes and, somewhere in it, the
// weights. The file is walked with offsets and never unmarshalled; weights are read
// when they are asked for, and what a rewritten file shares with its source is copied
// byte for byte, unknown fields too.
package onnx

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// Model is an open ONNX file.
type Model struct {
	// IR is the version of the format, Opset that of its default operators.
	IR, Opset int64
	// Metadata is the pairs of the model's metadata_props.
	Metadata map[string]string
	Graph    *Graph
	// Functions are the operators that the file defines by itself.
	Functions map[Operator]*Function

	tensors []*Tensor       // listed
	listed  map[string]bool // their keys
	opsets  []opset         // the opset_imports
	inlined bool
	bound   map[string]bool // initializers that training_info takes for variables
	file    *file
}

// Operator is the domain ("" is ONNX's own), the name and the overload of an operator.
type Operator struct{ Domain, Name, Overload string }

// Function is an operator defined by nodes.
type Function struct {
	In, Out []string
	Nodes   []*Node

	opsets   []opset
	defaults []*Attr
}

// opset is the version of a domain's operators.
type opset struct {
	domain  string
	version int64
}

// Graph is a graph, or the body of a control-flow operator.
type Graph struct {
	Name         string
	Nodes        []*Node
	Initializers []*Tensor
	Inputs       []*Value

	in      *holder
	about   []about  // value_info and quantization_annotation
	given   []*Value // inputs and initializers
	inputs  []span   // the fields of Inputs
	sparse  []string
	infos   map[string]*info // types of inputs, outputs and value_info, until they are bound
	outputs []string
}

// about is a field that says something about a value.
type about struct {
	name string
	span
}

// info is what the file says of a value: the element type, and its dimensions, -1
// where one is unknown; known is false where not even the rank is.
type info struct {
	name  string
	elem  int
	dims  []int
	known bool
}

// Node is an operator at work.
type Node struct {
	Name string
	Op   Operator
	// In and Out are nil where the node leaves one out.
	In, Out []*Value
	Attrs   []*Attr

	span
	in, out []string // names
	graph   *Graph   // nil in a function
	// call is the node of the file that it was inlined from, which has its span; nil where it
	// is in the file itself.
	call *Node
}

// Attr is an attribute of a node. Which field counts is what Kind says.
type Attr struct {
	Name   string
	Kind   Kind
	Int    int64
	Float  float32
	Text   string // "" where it is longer than any word
	Ints   []int64
	Floats []float32
	Tensor *Tensor
	Graphs []*Graph
	// Ref is the attribute of the enclosing function that it takes its value from.
	Ref string

	span
	renamed bool // Name is not the one in the file
}

// Kind is the kind of an attribute (AttributeProto.AttributeType).
type Kind int

// The kinds that repfuse looks into.
const (
	KindFloat  Kind = 1
	KindInt    Kind = 2
	KindText   Kind = 3
	KindTensor Kind = 4
	KindGraph  Kind = 5
	KindFloats Kind = 6
	KindInts   Kind = 7
	KindGraphs Kind = 10
)

// Value is what a name stands for in its graph.
type Value struct {
	Name string
	// Maker is the node that computes it, nil of an input and an initializer.
	Maker *Node
	// Tensor is the initializer, which of an input is only the default.
	Tensor *Tensor
	// Input and Output say that a graph, or a body, has it as such.
	Input, Output bool
	// Users has every node that reads it, those in bodies too, once for each time.
	Users []*Node

	graph *Graph
	info  *info
}

// Attr is the attribute of that name, nil where the node has none.
func (n *Node) Attr(name string) *Attr {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// String is the node as errors call it.
func (n *Node) String() string {
	name := n.Name
	for _, out := range n.out {
		if name == "" {
			name = out
		}
	}
	return fmt.Sprintf("%s node %q", n.Op.Name, name)
}

// file is the open file and what lies beside it.
type file struct {
	path   string
	in     *disk.File
	src    *source
	folder *os.Root         // opened when external data is met
	sizes  map[string]int64 // of the files with external data
	names  map[string]string
	// externals are the tensors whose elements lie in other files.
	externals []*Tensor
}

// Open reads the file except for its weights, which can be read until Close.
func Open(path string) (*Model, error) {
	in, size, err := disk.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	f := &file{path: path, in: in, src: &source{r: in, size: size}, sizes: map[string]int64{}, names: map[string]string{}}
	m := &Model{file: f}
	if err := m.read(); err != nil {
		m.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.names = nil
	return m, nil
}

// Close closes the file and the folder that it lies in.
func (m *Model) Close() error {
	if m.file.folder != nil {
		m.file.folder.Close()
	}
	return m.file.in.Close()
}

// External is the paths of the files of external data, from the model's folder.
func (m *Model) External() []string { return slices.Sorted(maps.Keys(m.file.sizes)) }

// Tensors lists the tensors that the model is made of, under unique keys: initializers,
// those of bodies too, and what Constant nodes hold, if it is floating and no single number.
func (m *Model) Tensors() []tensor.Named {
	all := make([]tensor.Named, len(m.tensors))
	for k, t := range m.tensors {
		all[k] = t.Named
	}
	return all
}

// Overridable counts the initializers that are inputs too, which whoever runs the model may
// replace. Before version 4 of the format every initializer had to be one, and is a constant.
func (m *Model) Overridable() int {
	n := 0
	for _, v := range m.Graph.Inputs {
		if v.Tensor != nil && m.IR >= 4 {
			n++
		}
	}
	return n
}
