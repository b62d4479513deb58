package text

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// longest is how many characters of a foreign text are shown; a sentence of repfuse's own,
// with two keys in it, has some hundred.
const longest = 2000

// Shown is text that a file may have brought, such as a key, on one line: what would steer a
// terminal or turn text around is escaped as \u001b, and of a long text the middle is left out.
func Shown(s string) string {
	if utf8.RuneCountInString(s) > longest {
		r := []rune(s)
		s = string(r[:longest*3/4]) + " … " + string(r[len(r)-longest/4:])
	}
	return string(escape(nil, []byte(s), ""))
}

// Writer passes on what is printed for people, JSON and HTML included, and escapes as Shown does,
// except for line ends and tabs.
type Writer struct {
	To io.Writer
	// Err is the first error of To.
	Err  error
	rest []byte // the beginning of a rune
}

func (w *Writer) Write(p []byte) (int, error) {
	b := p
	if len(w.rest) > 0 {
		b = append(w.rest, p...)
	}
	n := len(b)
	for k := 1; k < utf8.UTFMax && k <= len(b); k++ { // a rune may go on in the next Write
		if utf8.RuneStart(b[len(b)-k]) {
			if !utf8.FullRune(b[len(b)-k:]) {
				n -= k
			}
			break
		}
	}
	w.rest = append([]byte(nil), b[n:]...)
	if b = b[:n]; slices.ContainsFunc(b, func(c byte) bool { return c < ' ' && c != '\n' && c != '\t' || c > '~' }) {
		b = escape(make([]byte, 0, n), b, "\n\t")
	}
	if _, err := w.To.Write(b); err != nil {
		if w.Err == nil {
			w.Err = err
		}
		return 0, err
	}
	return len(p), nil
}

// escape appends s to b, with what is not for showing, nor in except, as JSON writes it.
func escape(b, s []byte, except string) []byte {
	for len(s) > 0 {
		plain := 0
		for plain < len(s) && ' ' <= s[plain] && s[plain] <= '~' {
			plain++
		}
		if b, s = append(b, s[:plain]...), s[plain:]; len(s) == 0 {
			break
		}
		r, n := utf8.DecodeRune(s)
		switch {
		case r == utf8.RuneError && n == 1:
			b = fmt.Appendf(b, `\x%02x`, s[0])
		case !hidden(r) || strings.ContainsRune(except, r):
			b = append(b, s[:n]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b
}

// hidden reports whether a character is shown by what it does: controls, marks of direction
// and of format, separators of lines.
func hidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
