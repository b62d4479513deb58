package text_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"repfuse/internal/text"
)

func TestShown(t *testing.T) {
	for s, want := range map[string]string{
		"stage0.conv → 3×3, ε 中 👍":        "stage0.conv → 3×3, ε 中 👍",
		"a\x1b[2J\r\n\tb\x7f":             `a\u001b[2J\u000d\u000a\u0009b\u007f`,
		"\u009b31m\u202eevil\u2066\u2028": `\u009b31m\u202eevil\u2066\u2028`,
		"\xff\xc3":                        `\xff\xc3`,
		"\U000e0041":                      `\udb40\udc41`,
	} {
		if got := text.Shown(s); got != want {
			t.Errorf("%q is shown as %s, want %s", s, got, want)
		}
	}
	for n, want := range map[int]int{2000: 2000, 2001: 2003} { // " … " is in the place of one
		if got := utf8.RuneCountInString(text.Shown(strings.Repeat("→", n))); got != want {
			t.Errorf("%d characters are shown as %d, want %d", n, got, want)
		}
	}
	long := text.Shown("begins" + strings.Repeat("→", 1<<20) + "ends")
	if n := utf8.RuneCountInString(long); n > 2010 || !strings.HasPrefix(long, "begins→") || !strings.HasSuffix(long, "→ends") {
		t.Errorf("a long text is shown as %d characters, %.20s…", n, long)
	}
}

// However a text is cut into writes, it comes out the same, and JSON means the same.
func TestWriter(t *testing.T) {
	in, err := json.Marshal(map[string]string{"a\u202e\u0085中👍": "\x1b\u007f\U000e0041é"})
	if err != nil {
		t.Fatal(err)
	}
	in = append([]byte("line\n\t"), in...)
	const want = "line\n\t" + `{"a\u202e\u0085中👍":"\u001b\u007f\udb40\udc41é"}`
	for step := 1; step <= len(in); step++ {
		var b bytes.Buffer
		w := &text.Writer{To: &b}
		for k := 0; k < len(in); k += step {
			if _, err := w.Write(in[k:min(k+step, len(in))]); err != nil {
				t.Fatal(err)
			}
		}
		if b.String() != want {
			t.Errorf("in steps of %d: %s, want %s", step, &b, want)
		}
	}
	full := &text.Writer{To: broken{}}
	full.Write([]byte("a"))
	if full.Write([]byte("b")); full.Err == nil || full.Err.Error() != "full" {
		t.Errorf("error %v, want that of what is written to", full.Err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("full") }
