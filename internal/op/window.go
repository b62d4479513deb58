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

// On reports whether zeros stand outside the image along axis a.
func (w Window) On(a int) bool { return w.Axes == nil || slices.Contains(w.Axes, a) }

// windowAt is a Window and all that stands before and after it, on its own branch
// and around that.
type windowAt struct {
	of                      Window
	before, after           Form
	beforeParts, afterParts Seq
}

// then is the window with one more part, of form f, after it.
func (w *windowAt) then(part Expr, f Form) {
	if f.looks() {
		w.after = after(w.after, f)
	}
	w.afterParts = append(w.afterParts, part)
}

// behind is the window with more parts before it, which have the form f together.
func (w windowAt) behind(parts Seq, f Form) windowAt {
	w.before, w.beforeParts = after(f, w.before), append(slices.Clip(parts), w.beforeParts...)
	return w
}

// check holds the Window to changing nothing: on each of its axes nothing before it
// reaches out of the image or nothing after it reaches in; and no bias before it
// unless nothing after it reaches.
func (w windowAt) check() error {
	for a := range w.after.Lo {
		if !w.of.On(a) || !w.after.reaches(a) {
			continue
		}
		if w.before.Bias || w.before.reaches(a) {
			return &WindowError{w.beforeParts, w.afterParts, w.before.Bias}
		}
	}
	return nil
}
