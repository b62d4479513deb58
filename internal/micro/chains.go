package micro

import (
	"encoding/binary"
	"math"
)

// Chains is how many parts a sum is added up in: element i of a row goes to part i mod
// Chains. A row may be taken in several pieces, all but the last of whole Chains.
const Chains = 8

// Sum is what the parts of a sum come to, added in an order that is always the same.
func Sum(parts *[Chains]float64) float64 {
	p := parts
	return ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]))
}

// AbsoluteF32 is Σ|w| of little-endian float32 elements.
func AbsoluteF32(src []byte) float64 {
	var parts [Chains]float64
	n := len(src) / 4
	for i := absolute(&parts, src, n); i < n; i++ {
		w := math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		parts[i%Chains] += math.Abs(float64(w))
	}
	return Sum(&parts)
}

// Loss is what the elements of a row are, and what rounding loses of them. Of elements
// from 2⁵¹² on, whose squares are infinite, it says only that.
type Loss struct {
	Low, High [Chains]float64 // the range of those that are numbers
	Square    [Chains]float64 // Σw²
	BFloat16  [Chains]float64 // Σ(w−q)², q of 8 bits, whatever its exponent
	Float16   [Chains]float64 // Σ(w−q)², q a float16, the largest for what is beyond
}

// NewLoss is that of no element.
func NewLoss() Loss {
	var l Loss
	for k := range Chains {
		l.Low[k], l.High[k] = math.Inf(1), math.Inf(-1)
	}
	return l
}

// Take takes a row in.
func (l *Loss) Take(row []float64) {
	for i := loss(l, row); i < len(row); i++ {
		l.add(i%Chains, row[i])
	}
}

// lossConstants are those of Loss. To round to b bits, add and take away 3·2⁵²⁻ᵇ times
// the power of two that is the exponent: the last bit of the sum is the last that stays.
type lossConstants struct {
	exponent          uint64  // the bits of it
	bfloat16, float16 float64 // what it is multiplied by
	least             float64 // of that product for float16: below 2⁻¹⁴ the last bit stays where it is
	largest           float64 // float16
}

var lossIs = lossConstants{exponentBits, 3 << 44, 3 << 41, 3 << 27, 65504}

func (l *Loss) add(k int, w float64) {
	c := &lossIs
	if w < l.Low[k] {
		l.Low[k] = w
	}
	if w > l.High[k] {
		l.High[k] = w
	}
	l.Square[k] += float64(w * w)
	size := math.Abs(w)
	exponent := math.Float64frombits(math.Float64bits(w) & c.exponent)
	round := float64(c.bfloat16 * exponent)
	d := size - ((size + round) - round)
	l.BFloat16[k] += float64(d * d)
	if round = float64(c.float16 * exponent); !(round > c.least) {
		round = c.least
	}
	near := (size + round) - round
	if !(near < c.largest) {
		near = c.largest
	}
	d = size - near
	l.Float16[k] += float64(d * d)
}

// Steps is what rounding a row to multiples of a step loses.
type Steps struct {
	Square [Chains]float64 // Σ(w−q)², in steps
	Zero   [Chains]int64   // how many are rounded to zero and are not
}

// Vanish is how many elements are rounded to zero and are not.
func (s *Steps) Vanish() int {
	n := int64(0)
	for _, k := range s.Zero {
		n += k
	}
	return int(n)
}

// Take takes a row in. inverse is how many steps a unit has.
func (s *Steps) Take(row []float64, inverse float64) {
	const whole = 3 << 51 // added and taken away, it rounds to an integer
	for i := steps(s, row, inverse, whole); i < len(row); i++ {
		q := float64(row[i] * inverse)
		level := (q + whole) - whole
		if level == 0 && row[i] != 0 {
			s.Zero[i%Chains]++
		}
		s.Square[i%Chains] += float64((q - level) * (q - level))
	}
}

// Ulps is the unit in the last place of a type: 2 to the exponent of a number, less
// Shift, and at least Least.
type Ulps struct {
	Shift uint64
	Least float64
}

// exponentBits are those of a float64.
const exponentBits = 0x7ff << 52

// At is the unit at v.
func (u Ulps) At(v float64) float64 {
	// Where the exponent is less than Shift, this is a negative number.
	if at := math.Float64frombits(math.Float64bits(v)&exponentBits - u.Shift<<52); at > u.Least {
		return at
	}
	return u.Least
}

// Errors is Σ|v − hi − lo| and Σbound.
type Errors struct{ Off, Own [Chains]float64 }

// Slack is what a sum of two errors is multiplied by, so that it is none too small.
const Slack = 1 + 0x1p-50

// Near takes elements in, eight at a time, until one of them is off by more than limit
// units, its bound included, or by more than worst units without, or there are less than
// eight. It returns how many it has taken. A unit is that at hi.
func (e *Errors) Near(v, hi, lo, bound []float64, u Ulps, limit, worst float64) int {
	n := len(v) - len(v)%Chains
	hi, lo, bound = hi[:len(v)], lo[:len(v)], bound[:len(v)]
	i := near(e, v[:n], hi, lo, bound, &nearConstants{exponentBits, u.Shift << 52, u.Least, Slack, limit, worst})
	for ; i < n; i += Chains {
		var off [Chains]float64
		for k := range Chains {
			d := math.Abs((v[i+k] - hi[i+k]) - lo[i+k])
			if ulp := u.At(hi[i+k]); !((d+bound[i+k])*Slack <= limit*ulp) || d > worst*ulp {
				return i
			}
			off[k] = d
		}
		for k, d := range off {
			e.Add(k, d, bound[i+k])
		}
	}
	return i
}

// Add takes element i in, which is off by d.
func (e *Errors) Add(i int, d, bound float64) {
	e.Off[i%Chains] += d
	e.Own[i%Chains] += bound
}

// nearConstants are those of Near.
type nearConstants struct {
	exponent, shift            uint64
	least, slack, limit, worst float64
}
