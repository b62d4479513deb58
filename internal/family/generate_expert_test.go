package family

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// (w − μ)/√(σ²+ε) of each row, held to 300-bit arithmetic element by element, of rows whose mean is
// far from 0 too.
func TestStandardized(t *testing.T) {
	const eps, rows, n = 1e-6, 3, 30
	r := rand.New(rand.NewPCG(9, 10))
	for _, typ := range []tensor.Type{tensor.F32, tensor.F64} {
		v := make([]float64, rows*n)
		for k := range v {
			v[k] = r.NormFloat64() + []float64{0, 100, -3}[k/n]
		}
		w := argument{word: "w", tensor: &op.Param{Key: "w", Tensor: tensor.Of(typ, []int{rows, 5, 2, 3}, v)}}
		v = floats(t, w.tensor.Tensor)
		s, err := standardized([]argument{w, {word: "1e-06"}})
		if err != nil {
			t.Fatal(err)
		}
		got := floats(t, s.tensor())
		for row := range rows {
			mean, variance := exactly(0), exactly(0)
			part := v[row*n:][:n]
			for _, x := range part {
				mean.Add(mean, exactly(x))
			}
			mean.Quo(mean, exactly(n))
			from := func(x float64) *big.Float { return new(big.Float).SetPrec(300).Sub(exactly(x), mean) }
			for _, x := range part {
				variance.Add(variance, times300(from(x), from(x)))
			}
			variance.Add(variance.Quo(variance, exactly(n)), exactly(eps))
			root := new(big.Float).SetPrec(300).Sqrt(variance)
			for k, x := range part {
				rounded(t, "standardized", got[row*n+k], new(big.Float).SetPrec(300).Quo(from(x), root), typ)
			}
		}
	}
}

// The parts add up to 1, and an element alone is worked out by hand.
func TestSoftmax(t *testing.T) {
	z := []float64{1, -2, 3, 0.5, 700, -0.25} // of three parts of two channels; a large one beside small ones
	w := argument{word: "w", tensor: &op.Param{Key: "w", Tensor: tensor.Of(tensor.F64, []int{6, 2}, interleaved(z))}}
	b := argument{word: "b", tensor: &op.Param{Key: "b", Tensor: tensor.Of(tensor.F64, []int{6}, []float64{0.5, 0, -1, 0, 1, 0})}}
	var parts [3][]float64
	for p := range parts {
		var err error
		if _, parts[p], err = made(softmax, []argument{w, b, {word: "1"}, {word: string(rune('0' + p))}, {word: "3"}}); err != nil {
			t.Fatal(err)
		}
	}
	want := math.Exp(0.5) / (math.Exp(-2) + math.Exp(0.5) + math.Exp(-0.25)) // part 1 of channel 1
	if d := math.Abs(parts[1][1] - want); d > 1e-15 {
		t.Errorf("%g, want %g", parts[1][1], want)
	}
	if parts[2][0] != 1 || parts[0][0] > 1e-300 || math.Abs(parts[0][1]+parts[1][1]+parts[2][1]-1) > 1e-15 {
		t.Errorf("%v, want parts of 1", parts)
	}
}

// What is lost of the exponent in float64, half a unit of 700 here, is made up for.
func TestSoftmaxExponent(t *testing.T) {
	w := argument{word: "w", tensor: &op.Param{Key: "w", Tensor: tensor.Of(tensor.F64, []int{2, 1}, []float64{0, 700})}}
	b := argument{word: "b", tensor: &op.Param{Key: "b", Tensor: tensor.Of(tensor.F64, []int{2}, []float64{0, 0x1p-44})}}
	_, v, err := made(softmax, append([]argument{w, b}, words("0", "0", "2")...))
	if err != nil {
		t.Fatal(err)
	}
	// e^-(700+2⁻⁴⁴); math.Exp and the quotient err by some units of 2⁻⁵³.
	if got := v[0]/math.Exp(-700) - 1; math.Abs(got+0x1p-44) > 0x1p-50 {
		t.Errorf("relative to e^-700 it is %g, want %g", got, -0x1p-44)
	}
}

// interleaved is a matrix of two columns, of which the second is z and the first is not to be read.
func interleaved(z []float64) []float64 {
	var m []float64
	for _, v := range z {
		m = append(m, math.NaN(), v)
	}
	return m
}

func TestPoints(t *testing.T) {
	one := given("k", true, 2, 1, 1, 1)
	shape, v, err := made(outer, []argument{one, given("t", true, 1, 3)})
	if err != nil || !slices.Equal(shape, []int{2, 1, 1, 3}) || !slices.Equal(v, []float64{1, 2, 3, 2, 4, 6}) {
		t.Errorf("outer: %v %v %v", shape, v, err)
	}
	for _, of := range []argument{given("m", true, 2, 3), given("m", true, 2, 3, 1, 1)} {
		shape, v, err := made(point, []argument{of, {word: "2"}})
		if err != nil || !slices.Equal(shape, []int{2, 3, 1, 1}) || !slices.Equal(v, []float64{1, 2, 3, 4, 5, 6}) {
			t.Errorf("point: %v %v %v", shape, v, err)
		}
	}
}

func TestExpertMistakes(t *testing.T) {
	w, b := given("w", true, 6, 2), given("b", true, 6)
	for want, try := range map[string]func() error{
		"want a column 2":  func() error { _, _, err := softmax(append([]argument{w, b}, words("2", "0", "3")...)); return err },
		"want part 3 of 3": func() error { _, _, err := softmax(append([]argument{w, b}, words("0", "3", "3")...)); return err },
		"want part 0 of 4": func() error { _, _, err := softmax(append([]argument{w, b}, words("0", "0", "4")...)); return err },
		"b has shape [5], want [6]": func() error {
			_, _, err := softmax(append([]argument{w, given("b", true, 5)}, words("0", "0", "3")...))
			return err
		},
		"want a kernel of one tap": func() error {
			_, _, err := outer([]argument{given("k", true, 2, 1, 3), given("t", true, 3)})
			return err
		},
		"want a matrix or a kernel of one": func() error {
			_, _, err := point(append([]argument{given("k", true, 2, 1, 3)}, words("2")...))
			return err
		},
		`"9" axes, want 0 to 3`: func() error { _, _, err := point(append([]argument{w}, words("9")...)); return err },
		"want a kernel and ε":   func() error { _, err := standardized(append([]argument{w}, words("1e-6x")...)); return err },
		"row 0 is one number everywhere, and ε is 0": func() error {
			s, err := standardized(append([]argument{given("w", false, 2, 2)}, words("0")...))
			if err == nil {
				_, err = s.tensor().Floats()
			}
			return err
		},
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
