package op

import (
	"fmt"
	"slices"
)

// A BorderError says that a layer puts zeros back outside the image where that
// changes the result, so that it and what stands before it are not one convolution.
type BorderError struct {
	Before, After Expr
	// Bias tells the reason: a constant before the padding, or, where it is false,
	// that both sides look along the same axis.
	Bias bool
}

func (e *BorderError) Error() string {
	if e.Bias {
		return fmt.Sprintf("not one convolution: zero padding after a bias (%s), before %s", e.Before, e.After)
	}
	return fmt.Sprintf("not one convolution: zero padding between two kernels that look along the same axis (%s and %s)", e.Before, e.After)
}

// maxBorders is how many borders are checked, each with all that stands around it.
const maxBorders = 100

// border is the zeros that a layer puts around its input along some axes, and all that stands
// before and behind them, on the layer's own branch and around that.
type border struct {
	axes                    []bool
	before, after           Form
	beforeParts, afterParts Seq
}

// bordered is the form of a layer with the border that it puts zeros on, if a layer stands before
// it and it pads.
func (c checker) bordered(e Expr, f Form, plane bool) Form {
	if !c.layers || !c.behind || plane || f.PaddingMode != "" {
		return f
	}
	b := border{axes: make([]bool, c.rank), before: c.point(f.In, f.In, f.In), after: f, afterParts: Seq{e}}
	pads := false
	for a, lo := range f.Lo {
		b.axes[a] = lo < 0
		pads = pads || lo < 0
	}
	if pads {
		f.borders = []border{b}
	}
	return f
}

// then is the border with one more part, of form f, behind it.
func (b *border) then(part Expr, f Form) {
	if f.looks() {
		b.after = after(b.after, f)
	}
	b.afterParts = append(b.afterParts, part)
}

// behind is the border with more parts before it, which have the form f together.
func (b border) behind(parts Seq, f Form) border {
	b.before, b.beforeParts = after(f, b.before), append(slices.Clip(parts), b.beforeParts...)
	return b
}

// check holds the border to changing nothing: on each of its axes nothing before it
// reaches out of the image or nothing behind it reaches in; and no bias before it
// unless nothing behind it reaches.
func (b border) check() error {
	for a, zeros := range b.axes {
		if zeros && b.after.reaches(a) && (b.before.Bias || b.before.reaches(a)) {
			return &BorderError{b.beforeParts, b.afterParts, b.before.Bias}
		}
	}
	return nil
}

// OnPlane is e with Plane set wherever a layer pads with zeros, or could.
func OnPlane(e Expr) Expr {
	switch x := e.(type) {
	case Conv:
		x.Plane = x.PaddingMode == ""
		return x
	case AvgPool:
		x.Plane = true
		return x
	case Identity:
		x.Plane = x.Padding != nil
		return x
	}
	e, _ = eachPart(e, func(p Expr) (Expr, error) { return OnPlane(p), nil })
	return e
}
