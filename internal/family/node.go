package family

// Node is a parsed expression over key names. Keys are relative to the block's
// module; <n> in them stands for what an enclosing sum or output key captured.
type Node interface {
	// build makes an expression over the tensors that are there.
	build(b *builder) part
}

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
	// vectorNode is scale(KEY), scale(NUMBER), shift(KEY) or shift(NUMBER).
	vectorNode struct {
		by      source
		literal float64
		shift   bool
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
		part  int
		keys  []string
		apart bool
	}
	// channelsNode is channels(FROM, TO, OF): part of the input, in numbers; TO may be
	// end, and OF the key of a kernel over as many input channels.
	channelsNode struct {
		from, to string
		of       int
		like     string
		apart    bool
	}
	// askNode is ask(NAME: EXPR): there or not, as the question NAME is answered; or
	// ask(NAME: EXPR, EXPR): the one for yes, the other for no.
	askNode struct {
		name     string
		expr, no Node
	}
	// overNode is sum<n>(EXPR) or seq<n>(EXPR): an addend, or one after the other, for every
	// value of n that keys show.
	overNode struct {
		vars []string
		expr Node
		sign string // "+" or ">"
	}
	// optionalNode is EXPR?: there where its keys are.
	optionalNode struct{ expr Node }
	// listNode is EXPR > EXPR, EXPR + EXPR, concat(EXPR, EXPR), or EXPR | EXPR, the one whose keys are there;
	// by the sign between them.
	listNode struct {
		parts []Node
		sign  string
	}
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

// parts lists the nodes that a node is made of; of the leaves, none.
func parts(n Node) []Node {
	switch n := n.(type) {
	case *askNode:
		if n.no == nil {
			return []Node{n.expr}
		}
		return []Node{n.expr, n.no}
	case *overNode:
		return []Node{n.expr}
	case *optionalNode:
		return []Node{n.expr}
	case *listNode:
		return n.parts
	}
	return nil
}
