package family_test

import (
	"strings"
	"testing"

	"repfuse/internal/family"
)

// Expressions are as deep and as long as the limits say, and no more.
func TestParseLimits(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("(", n) + "x" + strings.Repeat(")", n) }
	long := func(n int) string { return "x" + strings.Repeat(" ", n-1) }
	for _, test := range []struct{ what, text, want string }{
		{"999 brackets", nested(999), ""},
		{"1000 brackets", nested(1000), "want at most 1000"},
		{"many brackets", nested(100_000), "want at most 1000"},
		{"questions", strings.Repeat("ask(q: ", 30_000), "want at most 1000"},
		{"concat", strings.Repeat("concat(", 30_000), "want at most 1000"},
		{"sums over", strings.Repeat("sum<n>(", 30_000), "want at most 1000"},
		{"256 KiB", long(1 << 18), ""},
		{"one byte more", long(1<<18 + 1), "262145 bytes, want at most 262144"},
	} {
		_, err := family.Parse(test.text)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %.200v, want %q", test.what, err, test.want)
		}
	}
}
