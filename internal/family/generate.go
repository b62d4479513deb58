package family

import (
	"fmt"
	"strconv"

	"repfuse/internal/op"
)

// A generator is a named function from stored tensors to a kernel or a vector, for
// what the algebra cannot say: a small pure formula, written out in its comment.
type generator struct {
	// params is what each argument is; the last kind holds for all that follow.
	params []kind
	// prepare tells the shape from the arguments' shapes and returns the formula.
	prepare func([]argument) (shape []int, values func() ([]float64, error), err error)
}

type kind int

const (
	required kind = iota // a key
	optional             // a key that may be absent
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
		if k == required {
			n++
		}
	}
	return n
}

// generators is every generator by its name in the notation.
var generators = map[string]*generator{
	"blank":  {[]kind{required, word}, blank},
	"truthy": {[]kind{required}, truthy},
	"eye":    {[]kind{required, word}, eye},
	"gate":   {[]kind{required}, gate},
	"repeat": {[]kind{required, required}, repeat},
	"turned": {[]kind{required, word}, turned},
	"row":    {[]kind{required, word}, row},
	"orepa": {[]kind{word, required, required, required, required, required, required, required, required,
		required, required, required, required}, orepa},
	"orepa_repvgg": {[]kind{word, required}, orepaRepVGG},
	"unrolled":     {[]kind{required, required, word}, unrolled},
}

// blank(VECTOR, K): a depthwise kernel of extents K without any tap set, one row an
// element of the vector. Added to an identity it gives that the extents that the
// deploy model's layer has.
func blank(a []argument) ([]int, func() ([]float64, error), error) {
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
	n := 1
	for _, d := range shape {
		n *= d
	}
	return shape, func() ([]float64, error) { return make([]float64, n), nil }, nil
}

// truthy(ALPHA): α, or 1 where α is exactly 0, as `if self.alpha:` in PP-YOLOE and
// RT-DETRv2 has it.
func truthy(a []argument) ([]int, func() ([]float64, error), error) {
	return a[0].tensor.Shape, func() ([]float64, error) {
		v, err := a[0].tensor.Floats()
		for k := range v {
			if v[k] == 0 {
				v[k] = 1
			}
		}
		return v, err
	}, nil
}

// eye(WEIGHT), eye(WEIGHT, MORE), eye(WEIGHT, in): the identity over the output
// channels of a kernel and as many more, or over its input channels, dense and 1×1 in
// as many axes: δ(o, i).
func eye(a []argument) ([]int, func() ([]float64, error), error) {
	if len(a) == 0 || len(a) > 2 {
		return nil, nil, fmt.Errorf("has %d arguments, want a kernel and perhaps a number", len(a))
	}
	if len(a[0].tensor.Shape) < 2 {
		return nil, nil, fmt.Errorf("%s has shape %v, want a kernel", a[0].tensor.Key, a[0].tensor.Shape)
	}
	n := a[0].tensor.Shape[0]
	switch {
	case len(a) == 1:
	case a[1].word == "in":
		n = a[0].tensor.Shape[1]
	default:
		more, err := strconv.Atoi(a[1].word)
		if err != nil || more < 0 {
			return nil, nil, fmt.Errorf("%q, want a number or in", a[1].word)
		}
		n += more
	}
	shape := []int{n, n}
	for range a[0].tensor.Shape[2:] {
		shape = append(shape, 1)
	}
	return shape, func() ([]float64, error) {
		v := make([]float64, n*n)
		for o := range n {
			v[o*n+o] = 1
		}
		return v, nil
	}, nil
}
