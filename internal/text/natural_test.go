package text_test

import (
	"slices"
	"testing"

	"repfuse/internal/text"
)

// Blocks stand in the order that people count in.
func TestNatural(t *testing.T) {
	want := []string{"head", "stage1", "stage2.2.conv", "stage2.10", "stage2.10.conv", "stage2.x", "stem"}
	got := slices.Clone(want)
	slices.Reverse(got)
	if slices.SortFunc(got, text.Natural); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
