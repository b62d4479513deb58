package family

import (
	"slices"
	"testing"
)

func TestNumbers(t *testing.T) {
	for _, test := range []struct {
		around []string
		key    string
		want   []string // nil: no such key
	}{
		{[]string{"a"}, "a", []string{}},
		{[]string{"a"}, "ab", nil},
		{[]string{"a.", ".w"}, "a.12.w", []string{"12"}},
		{[]string{"a.", ".w"}, "a..w", nil},
		{[]string{"a.", ".w"}, "a.x.w", nil},
		{[]string{"a.", ".w"}, "a.1.wx", nil},
		{[]string{"a.", ".w"}, "b.1.w", nil},
		{[]string{"", ".", ""}, "3.14", []string{"3", "14"}},
		{[]string{"k", "0"}, "k100", []string{"10"}}, // no more than leaves the rest
		{[]string{"", "", ""}, "123", []string{"12", "3"}},
	} {
		if got := numbers(test.around, test.key); !slices.Equal(got, test.want) || (got == nil) != (test.want == nil) {
			t.Errorf("%q in %q: %q, want %q", test.around, test.key, got, test.want)
		}
	}
}
