package family

import (
	"fmt"
	"slices"
	"strconv"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// A generator is a named function from stored tensors to a kernel or a vector, for
// what the algebra cannot say: a small pure formula, written out in its comment.
type generator struct {
	// params is what each argument is; the last kind holds for all that follow.
	params []kind
	// prepare tells the shape from the arguments' shapes and returns the formula.
	prepare func([]argument) (shape []int, f formula, err error)
	// roundings, where there is one, counts those of tensor.Computation.
	roundings func([]argument) (steps, sums int)
	// scaled is in place of prepare where the elements are those of a stored kernel, each
	// times a factor.
	scaled func([]argument) (*scaled, error)
	// set, where there is one, inverts it.
	set setter
	// near is as in tensor.Computation.
	near bool
}

// A formula makes the elements of those of each argument that is a tensor.
type formula func(v [][]float64) []float64

type kind int

const (
	required kind = iota // a key
	optional             // a key that may be absent
	like                 // a key of which the shape alone matters
	word                 // a plain word
)

type argument struct {
	word   string
	tensor *op.Param
}

func (g *generator) kind(k int) kind { return g.params[min(k, len(g.params)-1)] }

// least is the number of keys that a call must name.
func (g *generator) least() int {
	n := 0
	for _, k := range g.params {
		if k == required || k == like {
			n++
		}
	}
	return n
}

// generators is every generator by its name in the notation.
var generators = map[string]*generator{
	"blank":  {params: []kind{like, word}, prepare: blank, set: fixed},
	"truthy": {params: []kind{required}, prepare: truthy},
	"eye":    {params: []kind{like, word}, prepare: eye, set: fixed},
	"gate":   {params: []kind{required}, prepare: gate, set: setGate},
	"repeat": {params: []kind{required, like}, prepare: repeat, set: setRepeated},
	"turned": {params: []kind{required, word}, prepare: turned},
	"row":    {params: []kind{required, word}, prepare: row, set: setRow},
	"orepa": {params: []kind{word, required, required, required, required, required, required, required, required,
		required, required, required, required}, prepare: orepa, set: setOREPA},
	"orepa_repvgg": {params: []kind{word, required}, prepare: orepaRepVGG, set: setOREPA},
	"unrolled":     {params: []kind{required, like, word}, prepare: unrolled},
	"inputs":       {params: []kind{like, word, word}, prepare: inputs, set: fixed},
	"taps":         {params: []kind{required, word}, prepare: taps, roundings: func(a []argument) (int, int) { return len(a), 0 }, set: setTaps},
	"gain":         {params: []kind{word, required, optional}, prepare: gain, roundings: inSteps(5)},
	"numbers":      {params: []kind{word}, prepare: numbersOf},
	"softmax":      {params: []kind{required, required, word}, prepare: softmax, roundings: softmaxRoundings},
	"outer":        {params: []kind{required}, prepare: outer, roundings: inSteps(1)},
	"point":        {params: []kind{required, word}, prepare: point},
	"swapped":      {params: []kind{required}, prepare: swapped},
	"exp":          {params: []kind{required}, prepare: exponential, roundings: inSteps(1)},
	"product":      {params: []kind{required, required, like}, prepare: product, roundings: func(a []argument) (int, int) { return 1, a[1].tensor.Shape[0] - 1 }},
	"normed":       {params: []kind{required, optional}, scaled: normed, set: setNormed, near: true},
	"spectral":     {params: []kind{required, required, required, word}, scaled: spectral, set: setSpectral},
	"standardized": {params: []kind{required, word}, scaled: standardized},
}

// inSteps is that many roundings, whatever the arguments.
func inSteps(n int) func([]argument) (steps, sums int) {
	return func([]argument) (int, int) { return n, 0 }
}

// blank(VECTOR, K): a depthwise kernel of extents K without any tap set, one row an
// element of the vector. Added to an identity it gives that the extents that the
// deploy model's layer has.
func blank(a []argument) ([]int, formula, error) {
	if len(a) != 2 {
		return nil, nil, fmt.Errorf("has %d arguments, want a vector and extents", len(a))
	}
	k, err := parseExtents(a[1].word)
	if err != nil {
		return nil, nil, fmt.Errorf("%q: %w", a[1].word, err)
	}
	if len(k) == 1 {
		k = append(k, k[0])
	}
	shape := append([]int{a[0].tensor.Len(), 1}, k...)
	return shape, func([][]float64) []float64 { return make([]float64, tensor.Elems(shape)) }, nil
}

// truthy(ALPHA): α, or 1 where α is exactly 0, as `if self.alpha:` in PP-YOLOE and
// RT-DETRv2 has it.
func truthy(a []argument) ([]int, formula, error) {
	return a[0].tensor.Shape, func(v [][]float64) []float64 {
		for k, x := range v[0] {
			if x == 0 {
				v[0][k] = 1
			}
		}
		return v[0]
	}, nil
}

// eye(WEIGHT), eye(WEIGHT, MORE): the identity over the output channels of a kernel
// and as many more, dense and 1×1 in as many axes: δ(o, i).
func eye(a []argument) ([]int, formula, error) {
	if len(a) == 0 || len(a) > 2 {
		return nil, nil, fmt.Errorf("has %d arguments, want a kernel and perhaps a number", len(a))
	}
	if len(a[0].tensor.Shape) < 2 {
		return nil, nil, fmt.Errorf("%s has shape %v, want a kernel", a[0].tensor.Key, a[0].tensor.Shape)
	}
	n := a[0].tensor.Shape[0]
	if len(a) == 2 {
		more, err := strconv.Atoi(a[1].word)
		if err != nil || more < 0 {
			return nil, nil, fmt.Errorf("%q, want a number", a[1].word)
		}
		n += more
	}
	shape, f := unit(n, n, 0, len(a[0].tensor.Shape))
	return shape, f, nil
}

// unit is an O×I kernel, 1×1 in all its axes, that is 1 where o = i + from.
func unit(out, in, from, axes int) ([]int, formula) {
	shape := slices.Repeat([]int{1}, axes)
	shape[0], shape[1] = out, in
	return shape, func([][]float64) []float64 {
		v := make([]float64, out*in)
		for i := range in {
			v[(from+i)*in+i] = 1
		}
		return v
	}
}
