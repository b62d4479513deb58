package op

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Canonical is an expression as text that two ways of writing the same one share: the
// branches of a sum in the order of their text, nothing that changes nothing, no ε and no
// strides, and of paddings only what places branches of a sum against each other. What one of
// the two ways does not say is in neither.
func Canonical(e Expr) string {
	text, _ := canonical(e)
	return text
}

// Sorted is an expression with the branches of each sum in the order of their text: what adds up to the
// same is then written the same, with all that Canonical leaves out.
func Sorted(e Expr) Expr {
	e, _ = eachPart(e, func(p Expr) (Expr, error) { return Sorted(p), nil })
	if all, ok := e.(Sum); ok {
		slices.SortStableFunc(all, func(a, b Expr) int { return cmp.Compare(a.String(), b.String()) })
	}
	return e
}

// Equal reports whether two expressions are the same operators in the same order, over tensors of the same keys.
func Equal(a, b Expr) bool {
	if len(a.parts()) != len(b.parts()) {
		return false
	}
	for k, p := range a.parts() {
		if !Equal(p, b.parts()[k]) {
			return false
		}
	}
	same := func(a, b *Param) bool { return a == b || a != nil && b != nil && a.Key == b.Key }
	switch a := a.(type) {
	case Conv:
		b, ok := b.(Conv)
		return ok && same(&a.Weight, &b.Weight) && same(a.Bias, b.Bias) && slices.Equal(a.Stride, b.Stride) && slices.Equal(a.Padding, b.Padding) && a.PaddingMode == b.PaddingMode &&
			a.Plane == b.Plane && slices.Equal(a.Dilation, b.Dilation) && a.Transposed == b.Transposed && a.Groups == b.Groups && slices.Equal(a.At, b.At)
	case BatchNorm:
		b, ok := b.(BatchNorm)
		return ok && same(a.Gamma, b.Gamma) && same(a.Beta, b.Beta) && same(a.Mean, b.Mean) && same(a.Var, b.Var) && a.Eps == b.Eps
	case Scale:
		b, ok := b.(Scale)
		return ok && same(a.By, b.By) && a.Factor == b.Factor
	case Shift:
		b, ok := b.(Shift)
		return ok && same(a.By, b.By) && a.Term == b.Term
	case Identity:
		b, ok := b.(Identity)
		return ok && slices.Equal(a.Padding, b.Padding) && slices.Equal(a.Stride, b.Stride) && a.Plane == b.Plane
	case AvgPool:
		b, ok := b.(AvgPool)
		return ok && slices.Equal(a.Kernel, b.Kernel) && slices.Equal(a.Stride, b.Stride) && slices.Equal(a.Padding, b.Padding) && slices.Equal(a.Dilation, b.Dilation) &&
			a.ExcludesPadding == b.ExcludesPadding && a.Plane == b.Plane
	case Select:
		return a == b
	}
	return reflect.TypeOf(a) == reflect.TypeOf(b)
}

// canonical also tells how far the padding is from where nobody says it would be.
func canonical(e Expr) (text string, off offset) {
	switch e := e.(type) {
	case Seq:
		var parts []string
		for _, p := range e {
			text, o := canonical(p)
			if off = off.plus(o, 1); text != "x" {
				parts = append(parts, text)
			}
		}
		if len(parts) == 0 {
			return "x", off
		}
		return strings.Join(parts, " > "), off
	case Sum:
		texts, off := canonicals(e)
		slices.Sort(texts)
		return "(" + strings.Join(texts, " + ") + ")", off
	case Concat:
		texts, off := canonicals(e)
		return "[" + strings.Join(texts, ", ") + "]", off
	case Conv:
		bias := ""
		if e.Bias != nil {
			bias = e.Bias.Key
		}
		return fmt.Sprintf("conv(%q, %q, %t, %v)", e.Weight.Key, bias, e.Transposed, dilationOf(e)), offCentre(e.Padding, e.Weight.Shape[2:], e.Dilation)
	case BatchNorm:
		return fmt.Sprintf("bn(%q, %t)", e.Mean.Key, e.Gamma != nil), nil
	case AvgPool:
		return fmt.Sprintf("pool(%v)", e.Kernel), offCentre(e.Padding, e.Kernel, e.Dilation)
	case Identity:
		return "x", offset(e.Padding)
	}
	return e.String(), nil
}

// canonicals is the parts of a sum or a concatenation; each that lies elsewhere than the
// first says by how much.
func canonicals(parts []Expr) (texts []string, first offset) {
	for k, p := range parts {
		text, off := canonical(p)
		if k == 0 {
			first = off
		} else if d := off.plus(first, -1); !d.isZero() {
			text += fmt.Sprint(" by ", d)
		}
		texts = append(texts, text)
	}
	return texts, first
}

// offset is a number an axis; axes that it does not have are 0.
type offset []int

func (o offset) plus(p offset, sign int) offset {
	sum := make(offset, max(len(o), len(p)))
	copy(sum, o)
	for a, n := range p {
		sum[a] += sign * n
	}
	return sum
}

func (o offset) isZero() bool { return !slices.ContainsFunc(o, func(n int) bool { return n != 0 }) }

// offCentre is how far a padding is from the one that lays a kernel's middle over the
// output's own place.
func offCentre(padding, kernel, dilation []int) offset {
	if padding == nil {
		return nil
	}
	o := make(offset, len(kernel))
	for a, k := range kernel {
		o[a] = axis(padding, a, 0) - (k-1)*axis(dilation, a, 1)/2
	}
	return o
}

// dilationOf is a convolution's dilation where it spreads anything.
func dilationOf(e Conv) []int {
	var d []int
	spread := false
	for a := range max(len(e.Weight.Shape)-2, 0) {
		n := axis(e.Dilation, a, 1)
		if e.Weight.Shape[2+a] == 1 {
			n = 1
		}
		d = append(d, n)
		spread = spread || n != 1
	}
	if !spread {
		return nil
	}
	return d
}
