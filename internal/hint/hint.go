// Package hint carries, beside an error, what the user can do about it: the
// command prints the error on one line and the hint on the next.
package hint

import (
	"errors"
	"fmt"
)

// Error is an error together with what to type, or where to look, to mend it.
type Error struct {
	Err  error
	Hint string
}

// Error is the text of Err alone; the hint is printed apart from it.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives Err.
func (e *Error) Unwrap() error { return e.Err }

// Add puts a hint beside err. The hint is formatted as by fmt.Sprintf.
func Add(err error, format string, args ...any) error {
	return &Error{Err: err, Hint: fmt.Sprintf(format, args...)}
}

// Of is the hint of the outermost Error in err's chain, "" where there is none.
func Of(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}
