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

// random is an argument of values spread over 40 powers of two, of a type.
func random(r *rand.Rand, key string, typ tensor.Type, shape ...int) argument {
	v := make([]float64, tensor.Elems(shape))
	for k := range v {
		v[k] = math.Ldexp(r.NormFloat64(), r.IntN(10)-5)
	}
	return argument{word: key, tensor: &op.Param{Key: key, Tensor: tensor.Of(typ, shape, v)}}
}

func floats(t *testing.T, of tensor.Tensor) []float64 {
	t.Helper()
	v, err := of.Floats()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// exactly is a float64 in 300 bits.
func exactly(v float64) *big.Float { return new(big.Float).SetPrec(300).SetFloat64(v) }

func times300(a, b *big.Float) *big.Float { return new(big.Float).SetPrec(300).Mul(a, b) }

// rounded wants got to be the nearest float64 of the real value, or, where that is
// within 2⁻²⁰ of half an ulp, the second nearest; of what is stored in fewer bits it wants
// it to be within 2⁻⁴².
func rounded(t *testing.T, what string, got float64, real *big.Float, stored tensor.Type) {
	t.Helper()
	off := exactly(got)
	off.Sub(off, real)
	most := (math.Nextafter(math.Abs(got), math.Inf(1)) - math.Abs(got)) * (0.5 + math.Ldexp(1, -20))
	if stored != tensor.F64 {
		most = math.Ldexp(math.Abs(got), -42)
	}
	if d, _ := off.Float64(); math.Abs(d) > most {
		t.Errorf("%s of %s is %g from the real value %g, want at most %g", what, stored, math.Abs(d), got, most)
	}
}

// g·v/‖v‖ along each axis that g may lie along, and with one g for all, held to 300-bit
// arithmetic element by element: float64 as well as float32 come out rounded once.
func TestNormed(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	shape := []int{3, 5, 7}
	for _, c := range []struct {
		g    []int
		axis int
	}{{[]int{3, 1, 1}, 0}, {[]int{1, 5, 1}, 1}, {[]int{1, 1, 7}, 2}, {[]int{3}, 0}, {[]int{1, 1, 1}, noAxis}, {[]int{}, noAxis}, {nil, 0}} {
		for _, typ := range []tensor.Type{tensor.F32, tensor.F64} {
			args := []argument{random(r, "v", typ, shape...)}
			g := []float64{1, 1, 1}
			if c.g != nil {
				args = append(args, random(r, "g", typ, c.g...))
				g = floats(t, args[1].tensor.Tensor)
			}
			s, err := normed(args)
			if err != nil {
				t.Fatalf("%v: %v", c.g, err)
			}
			index := func(k int) int {
				if c.axis == noAxis {
					return 0
				}
				return tensor.Place(k, shape)[c.axis]
			}
			v, got := floats(t, args[0].tensor.Tensor), floats(t, s.tensor())
			squares := make([]*big.Float, 7)
			for k, x := range v {
				if squares[index(k)] == nil {
					squares[index(k)] = exactly(0)
				}
				squares[index(k)].Add(squares[index(k)], times300(exactly(x), exactly(x)))
			}
			for k, x := range v {
				want := times300(exactly(g[index(k)]), exactly(x))
				want.Quo(want, new(big.Float).SetPrec(300).Sqrt(squares[index(k)]))
				rounded(t, "normed", got[k], want, typ)
			}
		}
	}
}

// Factors that float64 does not hold, or not with all digits, lose none.
func TestNormedFarFactors(t *testing.T) {
	for _, c := range []struct {
		v, g float64
		typ  tensor.Type // of v
	}{{1e150, 1e-300, tensor.F64}, {1e110, 1.1e-200, tensor.F64}, {7e120, -3e-201, tensor.F64}, {3, 1e-312, tensor.F64}, {1e-100, 1e250, tensor.F64},
		{1e-140, 1e200, tensor.F64}, {1e150, 0, tensor.F64}, {0x1p100, 1e-308, tensor.F32}} {
		v := []float64{c.v, -c.v / 4, c.v / 8}
		s, err := normed([]argument{
			{tensor: &op.Param{Key: "v", Tensor: tensor.Of(c.typ, []int{1, 3}, v)}},
			{tensor: &op.Param{Key: "g", Tensor: tensor.Of(tensor.F64, []int{1, 1}, []float64{c.g})}},
		})
		if err != nil {
			t.Fatal(err)
		}
		squares := exactly(0)
		for _, x := range v {
			squares.Add(squares, times300(exactly(x), exactly(x)))
		}
		for k, got := range floats(t, s.tensor()) {
			want, _ := new(big.Float).Quo(times300(exactly(c.g), exactly(v[k])), new(big.Float).SetPrec(300).Sqrt(squares)).Float64()
			if math.Abs(got-want) > math.Abs(want)*0x1p-42 || got != want && c.typ == tensor.F64 { // as scaled has it
				t.Errorf("%g of a norm of about %g: %g, want %g", c.g, c.v, got, want)
			}
		}
	}
}

// w/(uᵀ·W·v) with the rows along the first and along the second axis; where the lengths
// fit both, it is the first that is taken.
func TestSpectral(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for k, c := range []struct {
		shape []int
		axis  int
		extra []argument
	}{{[]int{4, 3, 2}, 0, nil}, {[]int{4, 3, 2}, 1, nil}, {[]int{4, 3, 2}, 1, nil}, {[]int{4, 3, 2}, 0, nil}, {[]int{3, 3, 2}, 0, nil}, {[]int{3, 3, 2}, 1, []argument{{word: "1"}}}} {
		rows := c.shape[c.axis]
		columns := tensor.Elems(c.shape) / rows
		typ := []tensor.Type{tensor.F32, tensor.F64}[k%2]
		w, u, v := random(r, "w", typ, c.shape...), random(r, "u", typ, rows), random(r, "v", typ, columns)
		s, err := spectral(append([]argument{w, u, v}, c.extra...))
		if err != nil {
			t.Fatalf("%v: %v", c.shape, err)
		}
		values, left, right := floats(t, w.tensor.Tensor), floats(t, u.tensor.Tensor), floats(t, v.tensor.Tensor)
		sigma := exactly(0)
		for k, x := range values {
			at := tensor.Place(k, c.shape)
			column := at[1-c.axis]*c.shape[2] + at[2]
			sigma.Add(sigma, times300(times300(exactly(left[at[c.axis]]), exactly(x)), exactly(right[column])))
		}
		for k, got := range floats(t, s.tensor()) {
			rounded(t, "spectral", got, new(big.Float).SetPrec(300).Quo(exactly(values[k]), sigma), typ)
		}
	}
}

// A kernel of more elements than are read at a time is the same in pieces of any size.
func TestScaledInPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	s, err := normed([]argument{random(r, "v", tensor.F32, 3, 5000), random(r, "g", tensor.F32, 3, 1)})
	if err != nil {
		t.Fatal(err)
	}
	whole := s.tensor()
	want := floats(t, whole)
	d, err := whole.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for at := 0; at < len(want); at += 999 {
		n := min(999, len(want)-at)
		b, got := make([]byte, 8*n), make([]float64, n)
		if err := tensor.ReadFull(d, b, int64(8*at)); err != nil {
			t.Fatal(err)
		}
		tensor.Decode(got, b, tensor.F64)
		for k := range got {
			if got[k] != want[at+k] {
				t.Fatalf("element %d is %g by itself and %g in the whole", at+k, got[k], want[at+k])
			}
		}
	}
	if n, err := d.ReadAt(make([]byte, 16), int64(8*len(want)-8)); n != 8 || err == nil {
		t.Errorf("reading past the end gives %d bytes and %v", n, err)
	}
	odd, got := make([]byte, 8*5000+1)[1:], make([]float64, 5000) // memory that float64 cannot lie in
	if err := tensor.ReadFull(d, odd, 8*5000); err != nil {
		t.Fatal(err)
	}
	if tensor.Decode(got, odd, tensor.F64); !slices.Equal(got, want[5000:10000]) {
		t.Error("a row read into an odd place is another")
	}
}

// Of a kernel whose rows have factors of their own, each byte is read once by who reads rows.
func TestRowsReadOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	v := random(r, "v", tensor.F32, 4, 30, 5)
	read, open := 0, v.tensor.Open
	v.tensor.Open = func() (tensor.Data, error) {
		d, err := open()
		return counted{d, &read}, err
	}
	for _, args := range [][]argument{{v}, {v, random(r, "g", tensor.F32, 4, 1, 1)}} {
		read = 0
		s, err := normed(args)
		if err != nil {
			t.Fatal(err)
		}
		floats(t, s.tensor())
		if want := int(v.tensor.Bytes()); read != want {
			t.Errorf("%d bytes were read, want %d", read, want)
		}
	}
}

// counted is data of which is counted what is read.
type counted struct {
	tensor.Data
	read *int
}

func (d counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := d.Data.ReadAt(p, off)
	*d.read += n
	return n, err
}

// Where a convolution has no weight, what its weight is computed of is taken, of a
// transposed one along the second axis.
func TestForms(t *testing.T) {
	keys := listed{}
	for key, shape := range map[string][]int{
		"a.weight_v": {2, 3, 1}, "a.weight_g": {2, 1, 1}, "b.parametrizations.weight.original0": {2, 1, 1},
		"b.parametrizations.weight.original1": {2, 3, 1}, "c.weight_orig": {3, 3, 1}, "c.weight_u": {3}, "c.weight_v": {3},
		"d.theta": {2, 3}, "d.r": {2, 1},
	} {
		keys[key] = given(key, true, shape...).tensor
	}
	for text, want := range map[string]string{
		"conv(a)":  "normed(a.weight_v, a.weight_g)",
		"conv(b)":  "normed(b.parametrizations.weight.original1, b.parametrizations.weight.original0)",
		"conv(c)":  "spectral(c.weight_orig, c.weight_u, c.weight_v)",
		"convt(c)": "spectral(c.weight_orig, c.weight_u, c.weight_v, 1)",
		"conv(d)":  "normed(d.theta, d.r)",
	} {
		n, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		f := &Family{Name: "form", Make: []Output{{Key: "out", Expr: n}}}
		m := f.Match(Site{Keys: keys, Said: func(string) (string, bool) { return "", false }})
		if m.Err != nil || len(m.Made) != 1 {
			t.Errorf("%s: %v, lacks %v", text, m.Err, m.Missing)
			continue
		}
		if c, ok := m.Made[0].Expr.(op.Conv); !ok || c.Weight.Key != want {
			t.Errorf("%s is of %s, want %s", text, m.Made[0].Expr, want)
		}
	}
}

// What does not fit is one line that names the key.
func TestScaledMistakes(t *testing.T) {
	v := given("v", true, 4, 3)
	for want, args := range map[string][]argument{
		"g has shape [3], want one number":   {v, given("g", true, 3)},
		"g has shape [2 1], want one number": {v, given("g", true, 2, 1)},
		"g has shape [4 3], want one number": {v, given("g", true, 4, 3)},
		"want the norms under a key":         {v, {word: "g"}},
		"zeros: what lies at 0 has norm 0":   {given("zeros", false, 2, 2), given("g", true, 2, 1)},
		"what lies at 1 has norm 0":          {zeroRow("v"), given("g", true, 2, 1)},
		"norm 1e-160, whose square":          {twoRows("v", 1e-160), given("g", true, 2, 1)},
		"big: what lies at 0 has norm NaN":   {twoRows("big", 1e160), given("g", true, 2, 1)},
		"nan: what lies at 0 has norm NaN":   {twoRows("nan", math.NaN()), given("g", true, 2, 1)},
		"g[0] is +Inf, want a finite number": {twoRows("v", 1), twoRows("g", math.Inf(1))},
	} {
		s, err := normed(args)
		if err == nil {
			_, err = s.tensor().Floats()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	w := given("w", true, 4, 3)
	for want, args := range map[string][]argument{
		"u [2] and v [3], want as many as the rows": {w, given("u", true, 2), given("v", true, 3)},
		"u [4] and v [4], want as many":             {w, given("u", true, 4), given("v", true, 4)},
		"w: σ is 0":                                 {w, given("u", false, 4), given("v", true, 3)},
		"and perhaps 1, the second axis":            {w, given("u", true, 4), given("v", true, 3), {word: "0"}},
		"u [4] and v [3], want as many as the rows": {w, given("u", true, 4), given("v", true, 3), {word: "1"}},
	} {
		s, err := spectral(args)
		if err == nil {
			_, err = s.tensor().Floats()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// twoRows is one number in each of two rows.
func twoRows(key string, v float64) argument {
	return argument{word: key, tensor: &op.Param{Key: key, Tensor: tensor.Of(tensor.F64, []int{2, 1}, []float64{v, v})}}
}

// zeroRow is a kernel of two rows, the second of which is zero.
func zeroRow(key string) argument {
	return argument{word: key, tensor: &op.Param{Key: key, Tensor: tensor.Of(tensor.F64, []int{2, 2}, []float64{1, 2, 0, 0})}}
}
