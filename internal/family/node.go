package family

// Node is a parsed expression over key names. Keys are relative to the block's
// module; <n> in them stands for what an enclosing sum or output key captured.
type Node interface{ isNode() }

// The kinds of node. Their notation is in the comment.
type (
	// convNode is conv(MODULE): MODULE.weight and, where it is there, MODULE.bias;
	// kernel(KEY) or kernel(KEY, KEY): a weight and a bias under names of their own;
	// convt(MODULE): a transposed convolution.
	convNode struct {
		weight          source
		bias            string
		need, deny      bool // the bias must be there, must not be there
		transposed      bool
		dilation        []string // which may hold <r>
		stride, padding []int
		mode            string
		plane           bool // of mode: zeros are not put back
		groups          int
		module          string
	}
	// bnNode is bn(MODULE).
	// bn(MODULE, repeat KEY): each of its channels stands for several in a row, for as
	// many as the kernel under KEY has inputs a group.
	// norm(MEAN, VAR), norm(MEAN, VAR, WEIGHT, BIAS): a batch norm under keys of their own.
	bnNode struct {
		module    string
		keys      []string // of norm
		eps       *float64 // nil where nobody said
		repeat    string
		unshifted bool // of bn: its scale alone
	}
	// xNode is x, the identity, or x(OPTIONS).
	xNode struct {
		padding, stride []int
		plane           bool
	}
	// scaleNode is scale(KEY) or scale(NUMBER).
	scaleNode struct {
		by     source
		factor float64
	}
	// shiftNode is shift(KEY) or shift(NUMBER).
	shiftNode struct {
		by   source
		term float64
	}
	// poolNode is avgpool(KEY), over the extents of the kernel under KEY, or
	// avgpool(3x3), and options.
	poolNode struct {
		like                              string
		kernel, stride, padding, dilation []int
		uncounted, plane                  bool
	}
	// splitNode is split(K, KEY, KEY…): part K of the input, which the given kernels
	// share among them.
	splitNode struct {
		part int
		keys []string
	}
	// channelsNode is channels(FROM, TO, OF): part of the input, in numbers; TO may be
	// end, and OF the key of a kernel over as many input channels.
	channelsNode struct {
		from, to string
		of       int
		like     string
	}
	// askNode is ask(NAME: EXPR): there or not, as the question NAME is answered; or
	// ask(NAME: EXPR, EXPR): the one for yes, the other for no.
	askNode struct {
		name     string
		expr, no Node
	}
	// sumOverNode is sum<n>(EXPR): one addend for every value of n that keys show.
	sumOverNode struct {
		vars []string
		expr Node
	}
	// seqOverNode is seq<n>(EXPR): one after the other for every value of n.
	seqOverNode struct {
		vars []string
		expr Node
	}
	// optionalNode is EXPR?: there where its keys are.
	optionalNode struct{ expr Node }
	seqNode      []Node // EXPR > EXPR
	sumNode      []Node // EXPR + EXPR
	concatNode   []Node // concat(EXPR, EXPR)
	altNode      []Node // EXPR | EXPR: the one whose keys are there
)

// source is a tensor by its key, or what a generator makes of several.
type source struct {
	key  string
	call *call
}

// call is a generator applied to keys and words.
type call struct {
	name string
	args []string
}

func (*convNode) isNode()     {}
func (*bnNode) isNode()       {}
func (*xNode) isNode()        {}
func (*scaleNode) isNode()    {}
func (*shiftNode) isNode()    {}
func (*poolNode) isNode()     {}
func (*splitNode) isNode()    {}
func (*channelsNode) isNode() {}
func (*askNode) isNode()      {}
func (*sumOverNode) isNode()  {}
func (*seqOverNode) isNode()  {}
func (*optionalNode) isNode() {}
func (seqNode) isNode()       {}
func (sumNode) isNode()       {}
func (concatNode) isNode()    {}
func (altNode) isNode()       {}

// parts lists the nodes that a node is made of; of the leaves, none.
func parts(n Node) []Node {
	switch n := n.(type) {
	case *askNode:
		if n.no == nil {
			return []Node{n.expr}
		}
		return []Node{n.expr, n.no}
	case *sumOverNode:
		return []Node{n.expr}
	case *seqOverNode:
		return []Node{n.expr}
	case *optionalNode:
		return []Node{n.expr}
	case seqNode:
		return n
	case sumNode:
		return n
	case concatNode:
		return n
	case altNode:
		return n
	}
	return nil
}
