package family_test

import (
	"testing"

	"repfuse/internal/family"
)

func TestGlob(t *testing.T) {
	for _, test := range []struct {
		pattern, s string
		want       bool
	}{
		{"a.b", "a.b", true},
		{"a.b", "axb", false},
		{"a.b", "a.b.c", false},
		{".", "", true},
		{".", "a", false},
		{"*", "a", true},
		{"*", "a.b", false},
		{"**", "", true},
		{"**", "a.b", true},
		{"a.*", "a.", true},
		{"a.*", "a.b.c", false},
		{"a.**", "a.b.c", true},
		{"a.**", "a", false},
		{"stage*_aux.**", "stage3_first_aux.0.conv.weight", true},
		{"stage*_aux.**", "stage3.x_aux.0", false},
		{"blocks.<n>.m", "blocks.12.m", true},
		{"blocks.<n>.m", "blocks..m", false},
		{"blocks.<n>.m", "blocks.1a.m", false},
		{"**.conv", "a.b.conv", true},
		{"**.conv", "a.b.conv2", false},
		{"a<", "a<", true},
	} {
		if got := family.CompileGlob(test.pattern).Match(test.s); got != test.want {
			t.Errorf("%q on %q: %t, want %t", test.pattern, test.s, got, test.want)
		}
	}
}
