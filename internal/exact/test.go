package exact

import (
	"encoding/binary"
	"math"

	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

// slack is how much of an ulp of the result, beyond the half that rounding takes, an
// error may be: a stored element is within 0.501 ulp of the real value.
const slack = 0x1p-10

// Test decides whether elements of a kernel are known well enough.
type Test struct {
	Type tensor.Type // that they are stored in
	// Kappa is the roundings on the longest way of a term into an element.
	Kappa int
	// Products says that sums go over channels, as products of matrices: processors add
	// them up in different orders, so only the correctly rounded element is the same
	// everywhere.
	Products bool
}

// Bound is the error of an element relative to Σ|terms|, operations erring by unit. A sum
// of products errs by at most κ·u/(1−κ·u)·Σ|terms| in whatever order it is done (Higham,
// "Accuracy and stability of numerical algorithms", §3.1). The four and the 2⁻¹⁰ are for
// Σ|terms| and its bounds, which are computed numbers themselves.
func (t Test) Bound(unit float64) float64 { return float64(t.Kappa+4) * unit * (1 + 0x1p-10) }

// Bound64 is Bound for float64.
func (t Test) Bound64() float64 { return t.Bound(0x1p-53) }

// Doubtful adds to list the index of every sum that float64 does not decide; mag is
// Σ|terms| of each.
//
// Without products a sum is decided when its error is at most 0.001 ulp: |Σ| ≥ θ·Σ|terms|,
// as an ulp of a type of p bits is at least 2⁻ᵖ·|Σ|. (For float32 and RepVGG's seven
// roundings θ is 2⁻¹⁶.) With products it is decided when all numbers within its error are
// stored alike (Ziv, "Fast evaluation of elementary mathematical functions with correctly
// rounded last bit", 1991).
func (t Test) Doubtful(list []int, sum, mag []float64) []int {
	e := t.Bound64()
	next := func(i int) int { return micro.Alike(sum[i:], mag[i:], e) }
	switch {
	case !t.Products:
		θ := e / (slack * math.Ldexp(1, -precision(t.Type)))
		next = func(i int) int { return micro.Settled(sum[i:], mag[i:], θ) }
	case t.Type != tensor.F32:
		return t.unlike(list, sum, mag)
	}
	for i := next(0); i < len(sum); i += 1 + next(i+1) {
		list = append(list, i)
	}
	return list
}

// unlike is Doubtful for products of the half-precision types.
func (t Test) unlike(list []int, sum, mag []float64) []int {
	const most, size, word = 256, 2, 4
	var ends [2][most]float64
	var stored [2][size * most]byte
	e := t.Bound64()
	for first := 0; first < len(sum); first += most {
		n := min(most, len(sum)-first)
		low, high, v, m := ends[0][:n], ends[1][:n], sum[first:first+n], mag[first:first+n]
		copy(low, v)
		copy(high, v)
		micro.AddScaled(low, high, m, m, -e, e)
		for k := range ends {
			micro.Round(stored[k][:n*size], ends[k][:n], t.Type)
		}
		for i := 0; i < n; i++ {
			a, b := stored[0][i*size:], stored[1][i*size:]
			if i%word == 0 && binary.LittleEndian.Uint64(a) == binary.LittleEndian.Uint64(b) {
				i += word - 1
			} else if m[i] > 0 && [size]byte(a) != [size]byte(b) {
				list = append(list, first+i)
			}
		}
	}
	return list
}

// Enough reports whether v, computed by operations that err by unit, is known to 0.001
// ulp; mag is Σ|terms| or a bound on it.
func (t Test) Enough(v DD, mag, unit float64) bool {
	return t.Bound(unit)*mag <= slack*tensor.Ulp(v.Hi, t.Type)
}

// precision is the length of the significand.
func precision(t tensor.Type) int {
	return [...]int{tensor.F16: 11, tensor.BF16: 8, tensor.F32: 24, tensor.F64: 53}[t]
}
