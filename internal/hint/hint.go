// Package hint carries, beside an error, what the user can do about it: the
// command prints the error on one line and the hint on the next.
package hint

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
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

// For is err with a path in the place of SRC in its hint.
func For(err error, path string) error {
	var e *Error
	if errors.As(err, &e) {
		e.Hint = strings.ReplaceAll(e.Hint, " SRC ", " "+Words(path)+" ")
	}
	return err
}

// Command is a command line of repfuse as a shell takes it.
func Command(args ...string) string { return Words(append([]string{"repfuse"}, args...)...) }

// Words is words as a shell takes them.
func Words(words ...string) string {
	quoted := make([]string, len(words))
	for k, a := range words {
		if a == "" || strings.ContainsFunc(a, func(r rune) bool {
			return !(r > unicode.MaxASCII || unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./=,:+%@", r))
		}) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		quoted[k] = a
	}
	return strings.Join(quoted, " ")
}
