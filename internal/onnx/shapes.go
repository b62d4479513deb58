package onnx

import (
	"math"
	"slices"

	"repfuse/internal/tensor"
)

// inferrer finds the shape of a node's first output, nil where it cannot.
type inferrer func(f *facts, n *Node) []int

var inferrers map[string]inferrer

func init() {
	inferrers = map[string]inferrer{
		"Conv": convShape, "ConvTranspose": convTransposeShape, "AveragePool": poolShape, "MaxPool": poolShape,
		"GlobalAveragePool": globalShape, "GlobalMaxPool": globalShape, "Gemm": gemmShape, "MatMul": matMulShape,
		"Reshape": reshapeShape, "Flatten": flattenShape, "Transpose": transposeShape, "Squeeze": squeezeShape,
		"Unsqueeze": unsqueezeShape, "Concat": concatShape, "Slice": sliceShape, "Pad": padShape, "Split": splitShape,
		"Expand": expandShape, "Gather": gatherShape, "ConstantOfShape": fillShape, "Range": rangeShape,
		"Resize": sameRank, "Upsample": sameRank,
	}
	for _, op := range []string{"Mean", "Sum", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare"} {
		inferrers["Reduce"+op] = reduceShape
	}
	for _, op := range []string{"BatchNormalization", "Relu", "LeakyRelu", "PRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh",
		"Erf", "Clip", "Elu", "Selu", "Softplus", "Gelu", "Mish", "Identity", "Dropout", "Neg", "Abs", "Exp", "Log", "Sqrt",
		"Reciprocal", "Cast", "Softmax", "LogSoftmax", "InstanceNormalization", "LayerNormalization", "GroupNormalization",
		"ScatterND", "Floor", "Ceil", "Not", "Celu", "ThresholdedRelu", "Softsign"} {
		inferrers[op] = sameShape
	}
	for _, op := range []string{"Add", "Sub", "Mul", "Div", "Pow", "Sum", "Mean", "Max", "Min", "Equal", "Greater", "Less", "And",
		"Or", "Where", "GreaterOrEqual", "LessOrEqual", "Mod"} {
		inferrers[op] = elementwiseShape
	}
}

// infer is the shapes of a node's outputs; without one for each, nothing is known of
// those behind.
func (f *facts) infer(n *Node) [][]int {
	find := inferrers[n.Op.Name]
	if find == nil || len(n.In) == 0 || n.In[0] == nil {
		return nil
	}
	first := find(f, n)
	if n.Op.Name != "Split" || first == nil {
		return [][]int{first}
	}
	return f.parts(n, first)
}

// shape is the shape of an input, nil where nothing is known of it.
func (f *facts) shape(n *Node, k int) []int {
	if k >= len(n.In) || n.In[k] == nil {
		return nil
	}
	return f.shapes[n.In[k]]
}

func (f *facts) intsOf(n *Node) func(k int) ([]int64, bool) {
	return func(k int) ([]int64, bool) {
		if k >= len(n.In) || n.In[k] == nil {
			return nil, false
		}
		return f.ints(n.In[k])
	}
}

func sameShape(f *facts, n *Node) []int { return f.shape(n, 0) }

func elementwiseShape(f *facts, n *Node) []int {
	shapes := make([][]int, len(n.In))
	for k := range n.In {
		shapes[k] = f.shape(n, k)
	}
	return broadcast(shapes...)
}

func sameRank(f *facts, n *Node) []int {
	s := slices.Clone(f.shape(n, 0))
	for k := range s {
		if k > 1 {
			s[k] = -1
		}
	}
	return s
}

func globalShape(f *facts, n *Node) []int {
	s := slices.Clone(f.shape(n, 0))
	for k := range s {
		if k > 1 {
			s[k] = 1
		}
	}
	return s
}

// batch is the first extent of the first input.
func (f *facts) batch(n *Node) int {
	if s := f.shape(n, 0); len(s) > 0 {
		return s[0]
	}
	return -1
}

func convShape(f *facts, n *Node) []int {
	w := f.shape(n, 1)
	if len(w) < 3 || slices.Min(w) < 1 {
		return nil
	}
	g, err := slidingOf(n, f.shape(n, 0), w[2:])
	if err != nil {
		return slices.Concat([]int{f.batch(n), w[0]}, slices.Repeat([]int{-1}, len(w)-2))
	}
	return slices.Concat([]int{f.batch(n), w[0]}, g.over(f.shape(n, 0), w[2:]))
}

func convTransposeShape(f *facts, n *Node) []int {
	w := f.shape(n, 1)
	if len(w) < 3 {
		return nil
	}
	return slices.Concat([]int{f.batch(n), times(w[1], groupOf(n))}, slices.Repeat([]int{-1}, len(w)-2))
}

// groupOf is the attribute group, 0 where it is none.
func groupOf(n *Node) int {
	if g := intAttr(n, "group", 1); g > 0 && g <= math.MaxInt32 {
		return int(g)
	}
	return 0
}

// times is a·b, −1 where either is not known or the product is beyond what any map has.
func times(a, b int) int {
	if a < 1 || b < 1 || a > math.MaxInt32 || b > math.MaxInt32 || a*b > math.MaxInt32 {
		return -1
	}
	return a * b
}

// kernelOf is the attribute kernel_shape.
func kernelOf(n *Node) []int {
	a := n.Attr("kernel_shape")
	if a == nil || len(a.Ints) == 0 {
		return nil
	}
	k := make([]int, len(a.Ints))
	for i, v := range a.Ints {
		if v < 1 || v > math.MaxInt32 {
			return nil
		}
		k[i] = int(v)
	}
	return k
}

func poolShape(f *facts, n *Node) []int {
	x, k := f.shape(n, 0), kernelOf(n)
	if x == nil || len(k)+2 != len(x) {
		return nil
	}
	g, err := slidingOf(n, x, k)
	if err != nil {
		return sameRank(f, n)
	}
	return slices.Concat(x[:2], g.over(x, k))
}

func gemmShape(f *facts, n *Node) []int {
	a, b := f.shape(n, 0), f.shape(n, 1)
	if len(b) != 2 {
		return nil
	}
	rows := -1
	if len(a) == 2 {
		rows = a[intAttr(n, "transA", 0)&1]
	}
	return []int{rows, b[1-intAttr(n, "transB", 0)&1]}
}

func matMulShape(f *facts, n *Node) []int {
	a, b := f.shape(n, 0), f.shape(n, 1)
	if len(a) < 2 || len(b) < 2 {
		return nil
	}
	outer := broadcast(a[:len(a)-2], b[:len(b)-2])
	if outer == nil {
		return nil
	}
	return slices.Concat(outer, []int{a[len(a)-2], b[len(b)-1]})
}

// lengths are integers as extents, −1 where one is unknown.
func (f *facts) lengths(v *Value) []int {
	c := f.consts[v]
	if v == nil || c == nil || c.kept == nil || c.kept.i == nil && tensor.Elems(c.Shape) > 0 || len(c.Shape) != 1 {
		return nil
	}
	out := make([]int, len(c.kept.i))
	for k, d := range c.kept.i {
		if out[k] = -1; d != unknown && d >= 0 && d <= math.MaxInt32 {
			out[k] = int(d)
		}
	}
	return out
}

func concatShape(f *facts, n *Node) []int {
	out := slices.Clone(f.shape(n, 0))
	axis, ok := axisOf(n, len(out), 1)
	if !ok {
		return nil
	}
	for k := range n.In[1:] {
		s := f.shape(n, k+1)
		if len(s) != len(out) {
			return nil
		}
		for a, d := range s {
			switch {
			case a == axis && (d < 0 || out[a] < 0):
				out[a] = -1
			case a == axis:
				out[a] += d
			case out[a] < 0:
				out[a] = d
			}
		}
	}
	return out
}

func sliceShape(f *facts, n *Node) []int {
	x := f.shape(n, 0)
	if x == nil {
		return nil
	}
	cuts, err := cutsOf(n, x, f.intsOf(n))
	if err != nil {
		return slices.Repeat([]int{-1}, len(x))
	}
	out := make([]int, len(x))
	for k, c := range cuts {
		out[k] = c.count
	}
	return out
}

func padShape(f *facts, n *Node) []int {
	out := slices.Clone(f.shape(n, 0))
	begin, end, err := padsOf(n, len(out), f.intsOf(n))
	for k, d := range out {
		if out[k] = -1; err == nil && d >= 0 {
			out[k] = max(-1, d+begin[k]+end[k])
		}
	}
	return out
}

func splitShape(f *facts, n *Node) []int { return slices.Clone(f.shape(n, 0)) }

// parts is the shapes of what a Split makes of a value.
func (f *facts) parts(n *Node, x []int) [][]int {
	axis, ok := axisOf(n, len(x), 0)
	if !ok {
		return nil
	}
	sizes, ok := f.intsOf(n)(1)
	if a := n.Attr("split"); a != nil {
		sizes, ok = a.Ints, true
	}
	out := make([][]int, len(n.Out))
	for k := range out {
		out[k] = slices.Clone(x)
		switch {
		case ok && k < len(sizes) && sizes[k] > 0 && sizes[k] <= math.MaxInt32:
			out[k][axis] = int(sizes[k])
		case !ok && len(n.In) < 2 && x[axis] > 0 && x[axis]%len(out) == 0:
			out[k][axis] = x[axis] / len(out)
		default:
			out[k][axis] = -1
		}
	}
	return out
}

func expandShape(f *facts, n *Node) []int {
	if len(n.In) < 2 {
		return nil
	}
	return broadcast(f.shape(n, 0), f.lengths(n.In[1]))
}

func gatherShape(f *facts, n *Node) []int {
	x, at := f.shape(n, 0), f.shape(n, 1)
	axis, ok := axisOf(n, len(x), 0)
	if !ok || at == nil || len(x)+len(at) > maxRank {
		return nil
	}
	return append(append(append([]int{}, x[:axis]...), at...), x[axis+1:]...) // not nil, for a scalar
}

func fillShape(f *facts, n *Node) []int { return f.lengths(n.In[0]) }

func rangeShape(f *facts, n *Node) []int {
	var v [3]int64
	for k := range v {
		ints, ok := f.intsOf(n)(k)
		if !ok || len(ints) != 1 {
			return []int{-1}
		}
		v[k] = ints[0]
	}
	if v[2] == 0 || v[1]-v[0] > math.MaxInt32 || v[0]-v[1] > math.MaxInt32 {
		return []int{-1}
	}
	return []int{int(max(0, math.Ceil(float64(v[1]-v[0])/float64(v[2]))))}
}

func reduceShape(f *facts, n *Node) []int {
	x := f.shape(n, 0)
	axes, ok := reducedAxes(n, len(x), f.intsOf(n))
	if x == nil || !ok {
		return nil
	}
	out := []int{}
	for k, d := range x {
		switch {
		case !axes[k]:
			out = append(out, d)
		case intAttr(n, "keepdims", 1) != 0:
			out = append(out, 1)
		}
	}
	return out
}
