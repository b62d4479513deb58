package family

import (
	"slices"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
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

// What a generator makes has a call for its key.
func TestGenerated(t *testing.T) {
	for key, want := range map[string]bool{
		"repeat(bn.weight, conv.weight)": true, "orepa_3(a)": true,
		"conv.weight": false, "(x)": false, "a.b(c)": false, "A(b)": false, "a b(c)": false, "": false,
	} {
		if got := Generated(op.Param(tensor.Named{Key: key})); got != want {
			t.Errorf("%q: %t, want %t", key, got, want)
		}
	}
}
