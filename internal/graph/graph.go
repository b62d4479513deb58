// Package graph finds what a network's own graph says is one convolution. Its graph is
// neutral: an ONNX file fills it, and so does a traced model. It computes nothing and
// knows no names; a value is a place between nodes, a node acts along the axes of one.
package graph

import "repfuse/internal/op"

// Graph is the nodes of one forward pass, each behind those whose outputs it reads.
// The body of a branch or a loop is a graph of its own, with what it captures as inputs.
type Graph struct {
	Values []Value
	Nodes  []Node
}

// Value is what a node makes or the graph is given; constants are no values.
type Value struct {
	Name string
	// Shape is nil where the number of axes is unknown; an unknown extent is -1.
	Shape []int
	// Output says that the graph gives the value out, so that it has to stay.
	Output bool
	// Measured says that something asks for its extents alone, so that a value of that name
	// and those extents has to stay: there is one before a region's first Move.
	Measured bool
}

// Kind is what a node does, as far as the rule cares.
type Kind int

const (
	// Opaque is anything that is not known to be linear; Why may say more.
	Opaque Kind = iota
	// Linear applies Op to one value.
	Linear
	// Add adds its inputs, which all have the same shape: no broadcast.
	Add
	// Concat stacks the channels of its inputs.
	Concat
	// Move puts elements elsewhere and leaves those of a channel together: a transpose or
	// a reshape that takes the channels from the axis Axis to the axis To.
	Move
)

// The axis that a linear node takes for the channels.
const (
	AnyAxis  = 0  // all the same to it: a plain identity, a scale by one number
	Channels = 1  // the axis after the batch's, the only other one of a matrix
	LastAxis = -1 // the last of three or more, or of an unknown number
)

// Node is one step of the pass. Inputs and Outputs are indices of Graph.Values; a node
// that is not Opaque has one output.
type Node struct {
	Name string
	// Type is the operator's name in its own language, for messages.
	Type string
	// Module and Class are the path and the class of the module that ran it, "" unknown.
	Module, Class string
	Kind          Kind
	// Inputs is every value that the node reads, once for each time that it does; of
	// an opaque one also what graphs nested in it capture.
	Inputs, Outputs []int

	// Op is the operator of a Linear node: an op.Conv with all that nn.Conv2d has, an
	// op.BatchNorm, Scale, Shift, AvgPool, Select, an op.Identity with a Padding for
	// Pad and Slice; or an op.Seq of them where the node stands for several steps.
	Op op.Expr
	// After is the padding after each axis of an Op that has axes, negative where it
	// crops; nil is none. What stands before is Op's own.
	After []int
	// Border says that an Identity pads not with zeros and with what the layer before it,
	// and what acts on channels behind that, give for zeros: the layer's bias.
	Border bool
	// Computed says that the constants of Op are computed by steps of their own, which go
	// where the node is in a region.
	Computed bool
	// Axis is where a node that is not Opaque has the channels; of a Move what it reads has
	// them there, and what it makes at To.
	Axis, To int
	// Minus marks the inputs that an Add subtracts; nil is none.
	Minus []bool
	// Why is why an Opaque node is not Linear, where it looks as if it could be: "in
	// training mode". "" where nobody would ask.
	Why string
}

// Region is nodes that are one layer of one value.
type Region struct {
	// Nodes is the nodes that it replaces, ascending; the layer stands in the last one's
	// place and makes its output.
	Nodes []int
	// Anchor is the value that the layer reads, Sink the one that it makes.
	Anchor, Sink int
	Expr         op.Expr
	Form         op.Form
	// Begin and End are the layer's padding before and after each axis, none negative.
	Begin, End []int
	// Axis is where the layer has the channels. Along LastAxis it is a matrix product, then
	// an addition where it has a bias.
	Axis int
	// Moves is those of the nodes that stay, one behind the other, behind the layer.
	Moves []int
	// Like is the node of the transposed convolution whose stride and padding the layer
	// has, or of the product by a matrix [I, O] that it is; else -1.
	Like int
	// Was and Now are the products for each position of the output, of the nodes and of
	// the layer: without Options.AnyCost Now is at most Was.
	Was, Now float64
}

// Left is a sum, a norm or another linear step that stays as it is, and why.
type Left struct {
	Node   int
	Reason Reason
	// Detail is the reason in full, with the values and numbers that it is about.
	Detail string
}

// Options is what a user may decide.
type Options struct {
	// AnyCost lifts the rule that a layer may not cost more products than its parts.
	AnyCost bool
}

// Reason is why something is left, in the words that a count of them takes.
type Reason string

// The reasons.
const (
	TwoInputs    Reason = "of different inputs"
	UsedInside   Reason = "with an inner value that is used elsewhere"
	NoLayer      Reason = "with no layer to join"
	BiasPadded   Reason = "with zero padding after a bias"
	KernelPadded Reason = "with zero padding between two kernels"
	Strides      Reason = "of different strides"
	Extents      Reason = "of different extents"
	Costly       Reason = "that would cost more products"
	Unfit        Reason = "with parts that do not fit"
	NotLinear    Reason = "that cannot be shown to be linear"
)

// ChannelAxis is which of rank axes an Axis is, negative where it says none.
func ChannelAxis(axis, rank int) int {
	switch axis {
	case Channels:
		return min(1, rank-1)
	case LastAxis:
		return rank - 1
	}
	return -1
}

// MovedTo is where channels lie that come to lie along one of rank axes; ok is false where no layer has them there.
func MovedTo(to, rank int) (axis int, ok bool) {
	if to == 1 {
		return Channels, true
	}
	return LastAxis, to == rank-1 && rank >= 2
}

// Reshaped is which axis of a new shape the channels of an old one lie along, where they stay together: as the last
// axis, or as the one after an unchanged batch. So a Linear layer on [N, T, C] runs on [N·T, C]. Unknown extents are negative.
func Reshaped(axis int, old, shape []int) (int, bool) {
	from, to := ChannelAxis(axis, len(old)), len(shape)-1
	if from < 0 || to < 1 || old[from] < 0 {
		return 0, false
	}
	if from < len(old)-1 {
		if to = 1; old[0] < 0 || old[0] != shape[0] {
			return 0, false
		}
	}
	return to, shape[to] == old[from]
}
