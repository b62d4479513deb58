package family

import (
	"slices"
	"testing"
)

// The names in <> are those of small letters and underscores; what else stands in <> is text.
func TestVarsOf(t *testing.T) {
	for key, want := range map[string][]string{
		"conv.weight":       nil,
		"conv<n>.weight":    {"n"},
		"a<n>.<up_to>_b<n>": {"n", "up_to", "n"},
		"a<1>.<>.<a<b>.<c":  {"b"},
		"<N>.<n":            nil,
		"a>b<deep>c":        {"deep"},
	} {
		if got := varsOf(key); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}
