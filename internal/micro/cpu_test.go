package micro

import (
	"math/rand/v2"
	"testing"
)

// instructions is what Use takes, in the order in which tests run: plain Go comes first.
func instructions() []string {
	if hasAVX2 {
		return []string{"generic", "avx2"}
	}
	return []string{"generic"}
}

// eachLevel runs a test in all instructions that this processor has.
func eachLevel(t *testing.T, test func(t *testing.T)) {
	defer func() { avx2 = hasAVX2 }()
	for _, name := range instructions() {
		if err := Use(name); err != nil {
			t.Fatal(err)
		}
		t.Run(name, test)
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

func TestUse(t *testing.T) {
	defer func(has bool) { hasAVX2, avx2 = has, has }(hasAVX2)
	for _, test := range []struct {
		name string
		has  bool
		want bool
		err  string
	}{
		{"generic", true, false, ""},
		{"avx2", true, true, ""},
		{"avx2", false, false, `"avx2", which this processor lacks`},
		{"sse", true, true, `"sse", want generic or avx2`},
		{"", true, true, `"", want generic or avx2`},
	} {
		hasAVX2, avx2 = test.has, test.has
		text := ""
		if err := Use(test.name); err != nil {
			text = err.Error()
		}
		if avx2 != test.want || text != test.err {
			t.Errorf("%q: AVX2 %t, %q, want %t, %q", test.name, avx2, text, test.want, test.err)
		}
	}
}
