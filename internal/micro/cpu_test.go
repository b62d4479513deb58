package micro

import (
	"math/rand/v2"
	"testing"
)

// eachLevel runs a test at every level that this processor has.
func eachLevel(t *testing.T, test func(t *testing.T)) {
	before := using
	defer func() { using = before }()
	for l := generic; l <= best(); l++ {
		using = l
		t.Run(levels[l], test)
	}
}

// uniform is n random values, at an offset into memory that vectors do not like.
func uniform[T float32 | float64](r *rand.Rand, n int) []T {
	skip := r.IntN(4)
	v := make([]T, skip+n)[skip:]
	for k := range v {
		v[k] = T(2*r.Float64() - 1)
	}
	return v
}

func TestChoose(t *testing.T) {
	for _, test := range []struct {
		name string
		best level
		want level
		err  string
	}{
		{"", avx512, avx512, ""},
		{"generic", avx512, generic, ""},
		{"avx2", avx512, avx2, ""},
		{"avx512", avx2, avx2, "REPFUSE_CPU=avx512: this processor has avx2"},
		{"sse", avx512, avx512, "REPFUSE_CPU=sse, want generic, avx2 or avx512"},
	} {
		got, err := choose(test.name, test.best)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != test.want || text != test.err {
			t.Errorf("%q: %s, %q, want %s, %q", test.name, levels[got], text, levels[test.want], test.err)
		}
	}
}
