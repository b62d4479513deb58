// Package op is the algebra that blocks are written in: expressions over stored
// tensors, as data, with the rules that say which of them make sense. It does no
// arithmetic; package fuse collapses an expression to one convolution, package
// conv runs it on a feature map.
//
// At stride 1 an operator is a polynomial in the shifts of the plane whose
// coefficients are matrices over the channels, together with a bias:
//
//	Identity     1                                0
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
// with and nothing puts the zeros back, except Window, which is an operator of its
// own and legal only where it changes nothing.
//
// Letters, here and in fuse and conv: o output channel, i input channel, g
// groups, t tap, r dilation.
package op

import (
	"fmt"
	"strconv"
	"strings"

	"repfuse/internal/tensor"
)

// Expr is an expression of the algebra.
type Expr interface {
	fmt.Stringer
	isExpr()
}

// Param is a stored tensor in its role in an expression.
type Param = tensor.Named

// Conv is a convolution: Weight [O, I/g, k…], Bias [O] or nil, in as many
// dimensions as there are k (a Linear layer has none). Groups follow from the
// channels it meets.
type Conv struct {
	Weight Param
	Bias   *Param
	// Dilation spreads the taps, one number an axis; nil is 1.
	Dilation []int
	// Origin is the tap, in elements after spreading, that lies over the output's own
	// place, which is the layer's padding; nil is the centre.
	Origin []int
	// Transposed marks a transposed convolution: Weight [I, O/g, k…]. Its taps do not
	// mix with other kernels, so only what acts on channels may stand beside it.
	Transposed bool
	// Groups is a fact from outside the keys; 0 leaves it to the channels.
	Groups int
}

// BatchNorm is a batch normalisation by its running statistics, all of shape [C].
// Gamma and Beta are both there or both nil.
type BatchNorm struct {
	Gamma, Beta, Mean, Var *Param
	Eps                    float64
}

// Identity is its input.
type Identity struct{}

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

// AvgPool is the mean over Kernel, an extent an axis, outside counted as it is.
type AvgPool struct{ Kernel []int }

// Window puts zeros back outside the image: the zero padding of the layer after it.
type Window struct{}

// Select takes channels From to To-1 of Of.
type Select struct{ From, To, Of int }

// Seq is its parts one after the other, the first applied first.
type Seq []Expr

// Sum is its parts side by side, added.
type Sum []Expr

func (Conv) isExpr()      {}
func (BatchNorm) isExpr() {}
func (Identity) isExpr()  {}
func (Scale) isExpr()     {}
func (Shift) isExpr()     {}
func (Concat) isExpr()    {}
func (AvgPool) isExpr()   {}
func (Window) isExpr()    {}
func (Select) isExpr()    {}
func (Seq) isExpr()       {}
func (Sum) isExpr()       {}

func (c Conv) String() string {
	s := "conv("
	if c.Transposed {
		s = "convt("
	}
	s += c.Weight.Key + " " + shape(c.Weight.Shape)
	if c.Bias != nil {
		s += ", " + c.Bias.Key
	}
	for _, d := range c.Dilation {
		if d != 1 {
			s += ", dilation " + shape(c.Dilation)
			break
		}
	}
	return s + ")"
}

func (b BatchNorm) String() string {
	return fmt.Sprintf("bn(%s, ε %g)", strings.TrimSuffix(b.Mean.Key, "running_mean"), b.Eps)
}

func (Identity) String() string { return "x" }

func (s Scale) String() string {
	if s.By == nil {
		return "scale(" + strconv.FormatFloat(s.Factor, 'g', -1, 64) + ")"
	}
	return "scale(" + s.By.Key + ")"
}

func (s Shift) String() string {
	if s.By == nil {
		return "shift(" + strconv.FormatFloat(s.Term, 'g', -1, 64) + ")"
	}
	return "shift(" + s.By.Key + ")"
}

func (p AvgPool) String() string { return "avgpool(" + shape(p.Kernel) + ")" }
func (Window) String() string    { return "window" }
func (s Select) String() string  { return fmt.Sprintf("channels(%d:%d of %d)", s.From, s.To, s.Of) }
func (c Concat) String() string  { return "concat(" + join(c, ", ") + ")" }
func (s Seq) String() string     { return join(s, " > ") }
func (s Sum) String() string     { return join(s, " + ") }

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
	if len(s) == 0 {
		return "[]"
	}
	t := make([]string, len(s))
	for k, n := range s {
		t[k] = strconv.Itoa(n)
	}
	return strings.Join(t, "×")
}

// Walk calls visit on e and on all its parts, outermost first.
func Walk(e Expr, visit func(Expr)) {
	visit(e)
	switch e := e.(type) {
	case Seq:
		for _, p := range e {
			Walk(p, visit)
		}
	case Sum:
		for _, p := range e {
			Walk(p, visit)
		}
	case Concat:
		for _, p := range e {
			Walk(p, visit)
		}
	}
}

// Params lists the tensors that e reads, each role once, in the order written.
func Params(e Expr) []Param {
	var all []Param
	add := func(ps ...*Param) {
		for _, p := range ps {
			if p != nil {
				all = append(all, *p)
			}
		}
	}
	Walk(e, func(e Expr) {
		switch e := e.(type) {
		case Conv:
			add(&e.Weight, e.Bias)
		case BatchNorm:
			add(e.Gamma, e.Beta, e.Mean, e.Var)
		case Scale:
			add(e.By)
		case Shift:
			add(e.By)
		}
	})
	return all
}
