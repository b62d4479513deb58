package op

import (
	"fmt"
	"slices"
)

// A WindowError says that zero padding stands between two operators where it
// changes the result, so that they are not one convolution.
type WindowError struct {
	Before, After Expr
	// Bias tells the reason: a constant before the padding, or, where it is false,
	// that both sides look along the same axis.
	Bias bool
}

func (e *WindowError) Error() string {
	if e.Bias {
		return fmt.Sprintf("not one convolution: zero padding after a bias (%s), before %s", e.Before, e.After)
	}
	return fmt.Sprintf("not one convolution: zero padding between two kernels that look along the same axis (%s and %s)", e.Before, e.After)
}

// windowAt is a Window and all that stands before and after it, on its own branch
// and around that.
type windowAt struct {
	before, after           Form
	beforeParts, afterParts Seq
}

// then is the window with one more part, of form f, after it.
func (w *windowAt) then(part Expr, f Form) {
	w.after, w.afterParts = after(w.after, f), append(slices.Clip(w.afterParts), part)
}

// behind is the window with more parts before it, which have the form f together.
func (w windowAt) behind(parts Seq, f Form) windowAt {
	w.before, w.beforeParts = after(f, w.before), append(slices.Clip(parts), w.beforeParts...)
	return w
}

// check holds the Window to changing nothing: on each axis nothing before it
// reaches out of the image or nothing after it reaches in; and no bias before it
// unless nothing after it reaches.
func (w windowAt) check() error {
	if w.before.Bias && w.after.reachesAny() {
		return &WindowError{w.beforeParts, w.afterParts, true}
	}
	for a := range w.after.Lo {
		if w.before.reaches(a) && w.after.reaches(a) {
			return &WindowError{w.beforeParts, w.afterParts, false}
		}
	}
	return nil
}
