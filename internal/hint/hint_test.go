package hint_test

import (
	"errors"
	"fmt"
	"testing"

	"repfuse/internal/hint"
)

func TestOf(t *testing.T) {
	cause := errors.New("out is not empty")
	err := fmt.Errorf("fuse: %w", hint.Add(cause, "replace it with %s", "--force"))
	if got, want := err.Error(), "fuse: out is not empty"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
	if got, want := hint.Of(err), "replace it with --force"; got != want {
		t.Errorf("hint %q, want %q", got, want)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if got := hint.Of(cause); got != "" {
		t.Errorf("hint %q of an error without one", got)
	}
}

// Words is taken by a shell for what it was made of.
func TestWords(t *testing.T) {
	for want, words := range map[string][]string{
		`--family a.b=none`:        {"--family", "a.b=none"},
		`--family '"a*b"=none'`:    {"--family", `"a*b"=none`},
		`'' 'it'\''s' 'two words'`: {"", "it's", "two words"},
	} {
		if got := hint.Words(words...); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
