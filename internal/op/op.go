// Package op is the algebra that blocks are written in: expressions over stored
// tensors, as data, with the rules that say which of them make sense. It does no
// arithmetic; package fuse collapses an expression to one convolution, package
// conv runs it on a feature map.
//
// At stride 1 an operator is a polynomial in the shifts of the plane whose
// coefficients are matrices over the channels, together with a bias:
//
//	Identity     1, or the shift by its padding   0
//	Scale s      diag(s)                          0
//	BatchNorm    diag(γ/√(σ²+ε))                  β − μ·γ/√(σ²+ε)
//	Conv         its kernel, taps spread by r     its bias
//	AvgPool k    the k² shifts, each 1/k²         0
//	Shift b      1                                b
//	Concat       the rows of its parts, stacked   stacked
//	Sum          addition                         addition
//	Seq          multiplication                   the later kernel summed over its taps
//	                                              times the earlier bias, plus the later bias
//
// An operator acts on the whole plane: the map is zero outside the image to begin
// with and nothing puts the zeros back. Layers of a network do, where they pad;
// CheckLayers accepts the expressions in which that changes nothing.
//
// A layer of stride s samples each s-th output of that. Form has the stride of the whole, and
// AtStride1 the expression without strides that interpreters run.
//
// Letters, here and in fuse and conv: o output channel, i input channel, g
// groups, t tap, r dilation.
package op

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"

	"repfuse/internal/tensor"
	"repfuse/internal/text"
)

// Expr is an expression of the algebra: one operator, or a Seq, Sum or Concat of
// expressions. What must be known of each operator without computing is a method, so that
// an operator that lacks one does not compile; what computes is an Interpreter.
type Expr interface {
	fmt.Stringer
	parts() []Expr
	params(yield func(Param) bool) (more bool)
	span() span
	form(c checker, in int) (Form, error)
	spread(by stride) (Expr, stride)
}

// Param is a stored tensor in its role in an expression.
type Param = tensor.Named

// Conv is a convolution: Weight [O, I/g, k…], Bias [O] or nil, in as many dimensions as
// there are k (a Linear layer has none), with the attributes of torch.nn.Conv2d.
//
// Lists here and in the other operators hold one number an axis, or one for all axes.
type Conv struct {
	Weight Param
	Bias   *Param
	// Stride is the distance between outputs; nil: nobody said, which fits any.
	Stride []int
	// Padding is what stands before the image, in elements: tap j looks at
	// stride·p − padding + dilation·j. It may be negative. Nil: nobody said, and the kernel's centre lies
	// over the output's own place.
	Padding []int
	// PaddingMode is what stands outside the image: "" is zeros, else "reflect",
	// "replicate" or "circular".
	PaddingMode string
	// Plane says for CheckLayers that what stands outside the image is what the operators before make
	// of its zeros, as in a network that pads with their constant.
	Plane bool
	// Dilation is the distance between taps; nil is 1.
	Dilation []int
	// Transposed marks a transposed convolution: Weight [I, O/g, k…]. Its taps mix with those of others in a sum
	// alone (see Placed), so only what acts on channels may stand before or behind it, whatever its stride and
	// padding are.
	Transposed bool
	// Groups is a fact from outside the keys; 0 leaves it to the channels.
	Groups int
	// At is where the first tap of a transposed convolution lies among those that it is added to.
	At []int
}

// BatchNorm is a batch normalisation by its running statistics, all of shape [C].
// Gamma and Beta are both there or both nil.
type BatchNorm struct {
	Gamma, Beta, Mean, Var *Param
	Eps                    float64
}

// Identity is its input; with Padding that behind as many zeros (torch's Pad, or its
// Slice where it is negative), with a Stride each s-th element of that (x[::s]). Plane is Conv's.
type Identity struct {
	Padding, Stride []int
	Plane           bool
}

// Scale multiplies each channel by the vector By, or all by one number: By of one
// element, or, where By is nil, the literal Factor.
type Scale struct {
	By     *Param
	Factor float64
}

// Shift adds the vector By (or its one element) to each channel; where By is
// nil, the literal Term.
type Shift struct {
	By   *Param
	Term float64
}

// Concat stacks the output channels of its parts.
type Concat []Expr

// AvgPool is the mean over Kernel, an extent an axis. Stride, Padding, Dilation and Plane are as Conv's.
// What is outside counts as zeros, except where ExcludesPadding (count_include_pad=False),
// which Check refuses unless the padding is 0: such a mean divides by fewer at the border.
type AvgPool struct {
	Kernel, Stride, Padding, Dilation []int
	ExcludesPadding, Plane            bool
}

// Select takes channels From to To-1 of Of. Apart says that no other part of the Concat takes any of them; the
// Concat then has groups.
type Select struct {
	From, To, Of int
	Apart        bool
}

// Seq is its parts one after the other, the first applied first.
type Seq []Expr

// Sum is its parts side by side, added.
type Sum []Expr

func (Conv) parts() []Expr      { return nil }
func (BatchNorm) parts() []Expr { return nil }
func (Identity) parts() []Expr  { return nil }
func (Scale) parts() []Expr     { return nil }
func (Shift) parts() []Expr     { return nil }
func (AvgPool) parts() []Expr   { return nil }
func (Select) parts() []Expr    { return nil }
func (c Concat) parts() []Expr  { return c }
func (s Seq) parts() []Expr     { return s }
func (s Sum) parts() []Expr     { return s }

func (c Conv) params(yield func(Param) bool) bool  { return yield(c.Weight) && given(yield, c.Bias) }
func (s Scale) params(yield func(Param) bool) bool { return given(yield, s.By) }
func (s Shift) params(yield func(Param) bool) bool { return given(yield, s.By) }
func (Identity) params(func(Param) bool) bool      { return true }
func (AvgPool) params(func(Param) bool) bool       { return true }
func (Select) params(func(Param) bool) bool        { return true }
func (Concat) params(func(Param) bool) bool        { return true }
func (Seq) params(func(Param) bool) bool           { return true }
func (Sum) params(func(Param) bool) bool           { return true }

func (b BatchNorm) params(yield func(Param) bool) bool {
	return given(yield, b.Gamma, b.Beta, b.Mean, b.Var)
}

// given yields the tensors that an operator has of those that it may have.
func given(yield func(Param) bool, list ...*Param) bool {
	for _, p := range list {
		if p != nil && !yield(*p) {
			return false
		}
	}
	return true
}

func (c Conv) String() string {
	s := "conv("
	if c.Transposed {
		s = "convt("
	}
	s += c.Weight.Key + " " + shape(c.Weight.Shape)
	if c.Bias != nil {
		s += ", " + c.Bias.Key
	}
	return s + options(c.Stride, c.Padding, c.Dilation, c.PaddingMode) + ")"
}

// options is what differs from the defaults of a convolution; a padding is no default, as nil is.
func options(stride, padding, dilation []int, mode string) (s string) {
	for _, o := range []struct {
		name  string
		list  []int
		plain int
	}{{"stride", stride, 1}, {"padding", padding, math.MinInt}, {"dilation", dilation, 1}} {
		if slices.ContainsFunc(o.list, func(n int) bool { return n != o.plain }) {
			s += ", " + o.name + " " + shape(o.list)
		}
	}
	if mode != "" {
		s += ", mode " + mode
	}
	return s
}

func (b BatchNorm) String() string {
	return fmt.Sprintf("bn(%s, ε %g)", strings.TrimSuffix(b.Mean.Key, "running_mean"), b.Eps)
}

func (x Identity) String() string {
	if o := options(x.Stride, x.Padding, nil, ""); o != "" {
		return "x(" + o[2:] + ")"
	}
	return "x"
}

func (s Scale) String() string { return "scale(" + keyOr(s.By, s.Factor) + ")" }
func (s Shift) String() string { return "shift(" + keyOr(s.By, s.Term) + ")" }

func keyOr(p *Param, literal float64) string {
	if p == nil {
		return strconv.FormatFloat(literal, 'g', -1, 64)
	}
	return p.Key
}

func (p AvgPool) String() string {
	return "avgpool(" + shape(p.Kernel) + options(p.Stride, p.Padding, p.Dilation, "") + ")"
}

func (s Select) String() string {
	apart := ""
	if s.Apart {
		apart = ", apart"
	}
	return fmt.Sprintf("channels(%d:%d of %d%s)", s.From, s.To, s.Of, apart)
}

func (c Concat) String() string { return "concat(" + join(c, ", ") + ")" }
func (s Seq) String() string    { return join(s, " > ") }
func (s Sum) String() string    { return join(s, " + ") }

func join(parts []Expr, sep string) string {
	s := make([]string, len(parts))
	for k, e := range parts {
		s[k] = e.String()
		if sum, ok := e.(Sum); ok && len(sum) > 1 && sep != ", " {
			s[k] = "(" + s[k] + ")"
		}
	}
	return strings.Join(s, sep)
}

func shape(s []int) string {
	return cmp.Or(text.Extents(s), "[]")
}

// Walk calls visit on e and on all its parts, outermost first.
func Walk(e Expr, visit func(Expr)) {
	visit(e)
	for _, p := range e.parts() {
		Walk(p, visit)
	}
}

// Params is the tensors that e reads, each role once, in the order written.
func Params(e Expr) iter.Seq[Param] {
	return func(yield func(Param) bool) { eachParam(e, yield) }
}

func eachParam(e Expr, yield func(Param) bool) (more bool) {
	return e.params(yield) && !slices.ContainsFunc(e.parts(), func(p Expr) bool { return !eachParam(p, yield) })
}

// Rebind is e over other tensors: f gives, for each that e reads, the one to read in its
// place.
func Rebind(e Expr, f func(Param) (Param, error)) (Expr, error) {
	var err error
	one := func(p *Param) *Param {
		if p == nil || err != nil {
			return p
		}
		var q Param
		q, err = f(*p)
		return &q
	}
	var again func(Expr) (Expr, error)
	again = func(e Expr) (Expr, error) {
		switch x := e.(type) {
		case Conv:
			x.Weight, x.Bias = *one(&x.Weight), one(x.Bias)
			e = x
		case BatchNorm:
			x.Gamma, x.Beta, x.Mean, x.Var = one(x.Gamma), one(x.Beta), one(x.Mean), one(x.Var)
			e = x
		case Scale:
			x.By = one(x.By)
			e = x
		case Shift:
			x.By = one(x.By)
			e = x
		default:
			return eachPart(e, again)
		}
		return e, err
	}
	return again(e)
}

// Replace is e with what f gives in the place of each convolution.
func Replace(e Expr, f func(Conv) (Expr, error)) (Expr, error) {
	if c, ok := e.(Conv); ok {
		return f(c)
	}
	return eachPart(e, func(p Expr) (Expr, error) { return Replace(p, f) })
}

// eachPart is e with what f gives in the place of each of its parts.
func eachPart(e Expr, f func(Expr) (Expr, error)) (Expr, error) {
	list := make([]Expr, len(e.parts()))
	for k, p := range e.parts() {
		var err error
		if list[k], err = f(p); err != nil {
			return nil, err
		}
	}
	switch e.(type) {
	case Seq:
		e = Seq(list)
	case Sum:
		e = Sum(list)
	case Concat:
		e = Concat(list)
	}
	return e, nil
}
