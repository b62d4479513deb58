package family_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

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

// Random patterns fit what a regular expression made of them fits: a number takes all digits
// that stand there, so none of them is left for what follows.
func TestGlobIsRegular(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	parts := map[string]string{"a": "a", ".": `\.`, "*": `[^.]*`, "**": `.*`, "1": "1"}
	names := []string{"a", ".", "*", "**", "1"}
	for range 20000 {
		pattern, expression, s := "", "^", ""
		for range r.IntN(7) {
			name := names[r.IntN(len(names))]
			if strings.HasSuffix(pattern, "*") && name[0] == '*' {
				continue // three stars in a row read otherwise
			}
			pattern, expression = pattern+name, expression+parts[name]
			if r.IntN(4) == 0 {
				pattern, expression = pattern+"<n>a", expression+"[0-9]+a"
			}
		}
		for range r.IntN(9) {
			s += []string{"a", ".", "1", "a", "2"}[r.IntN(5)]
		}
		if pattern == "." { // the root
			continue
		}
		if want, got := regexp.MustCompile(expression+"$").MatchString(s), family.CompileGlob(pattern).Match(s); got != want {
			t.Fatalf("%q on %q: %t, want %t", pattern, s, got, want)
		}
	}
}

// Many stars, or long keys, take time by the product of the two lengths at most.
func TestGlobTime(t *testing.T) {
	begun := time.Now()
	for _, pattern := range []string{strings.Repeat("**", 1000) + "Z", strings.Repeat("*a", 1000) + "Z", strings.Repeat("**<n>", 1000) + "Z"} {
		for _, s := range []string{strings.Repeat("a", 10000), strings.Repeat("1", 10000), strings.Repeat(".1a", 3000)} {
			if family.CompileGlob(pattern).Match(s) {
				t.Errorf("%.10s… fits %.10s…, which has no Z", pattern, s)
			}
		}
	}
	if took := time.Since(begun); took > 20*time.Second { // 0.2 s here, ten times as long under the race detector; trying again has no end
		t.Errorf("took %v", took)
	}
}
