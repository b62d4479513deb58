package family

import (
	"math"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

func param(key string, shape []int, v ...float64) argument {
	return argument{word: key, tensor: &op.Param{Key: key, Tensor: tensor.Of(tensor.F64, shape, v)}}
}

func values(t *testing.T, g func([]argument) ([]int, func() ([]float64, error), error), args ...argument) ([]int, []float64) {
	t.Helper()
	shape, values, err := g(args)
	if err != nil {
		t.Fatal(err)
	}
	v, err := values()
	if err != nil {
		t.Fatal(err)
	}
	return shape, v
}

// By hand: W1·t = (2, -1), silu of it (2·σ(2), -σ(-1)), W3 of that.
func TestGate(t *testing.T) {
	σ := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	shape, v := values(t, gate, param("t", []int{1, 3, 1, 1}, 1, 2, 3),
		param("w1", []int{2, 3}, 2, 0, 0, 0, 1, -1), param("w3", []int{3, 2}, 1, 0, 0, 1, 1, 1))
	a, b := 2*σ(2), -σ(-1)
	if want := []float64{σ(a), σ(b), σ(a + b)}; !slices.Equal(shape, []int{3}) || !near(v, want) {
		t.Errorf("%v %v, want [3] %v", shape, v, want)
	}
}

func near(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Abs(x-y) < 1e-15 })
}

func TestEye(t *testing.T) {
	shape, v := values(t, eye, param("w", []int{1, 5, 3, 3}, make([]float64, 45)...), argument{word: "1"})
	if !slices.Equal(shape, []int{2, 2, 1, 1}) || !slices.Equal(v, []float64{1, 0, 0, 1}) {
		t.Errorf("%v %v, want the identity of 2 channels", shape, v)
	}
}

func TestGeneratorErrors(t *testing.T) {
	for _, test := range []struct{ expr, want string }{
		{"scale(truthy())", "has 0 arguments, want 1 or more"},
		{"scale(nothing(a))", "is no generator"},
		{"kernel(eye())", "has 0 arguments"},
	} {
		if _, err := Parse(test.expr); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one that says %q", test.expr, err, test.want)
		}
	}
	for name, err := range map[string]error{
		"two arguments":  try(gate, param("t", []int{1}, 1), param("w", []int{1, 1}, 1)),
		"a narrow W1":    try(gate, param("t", []int{2}, 1, 1), param("w", []int{1, 1}, 1), param("v", []int{2, 1}, 1, 1)),
		"an empty W1":    try(gate, param("t", []int{2}, 1, 1), param("w", []int{0, 2}), param("v", []int{2, 0})),
		"an empty t":     try(gate, param("t", []int{0}), param("w", []int{1, 0}), param("v", []int{1, 1}, 1)),
		"eye and a word": try(eye, param("w", []int{1, 1}, 1), argument{word: "more"}),
		"eye of less":    try(eye, param("w", []int{1, 1}, 1), argument{word: "-1"}),
		"eye of a row":   try(eye, param("w", []int{1}, 1)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func try(g func([]argument) ([]int, func() ([]float64, error), error), args ...argument) error {
	_, _, err := g(args)
	return err
}
