package conv

import (
	"math/bits"
	"math/rand/v2"
	"slices"

	"repfuse/internal/tensor"
)

// Noise is an image of independent values, uniform in [-Limit, Limit] and exact in
// float32. The same Seed gives the same image, and any rows of it can be made without the rest.
type Noise struct {
	Channels int
	Size     []int
	Limit    float64
	Seed     uint64
}

// Random is all of a Noise.
func Random(channels int, size []int, limit float64, seed uint64) Map {
	n := Noise{channels, size, limit, seed}
	if len(size) == 0 {
		return n.Rows(0, 1, nil)
	}
	return n.Rows(0, size[0], nil)
}

// Rows is rows a to b-1 along the first axis, in the memory of data where that is large
// enough. An image without axes is one row.
func (n Noise) Rows(a, b int, data []float64) Map {
	m := Map{Channels: n.Channels, Lo: make([]int, len(n.Size)), Size: slices.Clone(n.Size)}
	rows, row := 1, 1
	if len(n.Size) > 0 {
		rows, row = n.Size[0], tensor.Elems(n.Size[1:])
		m.Lo[0], m.Size[0] = a, b-a
	}
	each := (b - a) * row
	m.Data = tensor.Sized(data, n.Channels*each)
	for i := range n.Channels {
		r := rand.New(rand.NewPCG(ahead(n.Seed, 0x7265706675736521, uint64((i*rows+a)*row))))
		for k := range each {
			m.Data[i*each+k] = float64(float32((2*r.Float64() - 1) * n.Limit))
		}
	}
	return m
}

// ahead is the state (hi, lo) of a rand.PCG after n numbers: n times x·m + c is once x·mⁿ + …,
// by squaring (Brown, "Random Number Generation with Arbitrary Strides", 1994). m and c are
// those of math/rand/v2, whose sequences are part of its promise.
func ahead(hi, lo, n uint64) (uint64, uint64) {
	m := [2]uint64{2549297995355413924, 4865540595714422341}
	c := [2]uint64{6364136223846793005, 1442695040888963407}
	x := [2]uint64{hi, lo}
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			x = stepped(x, m, c)
		}
		m, c = stepped(m, m, [2]uint64{}), stepped(c, m, c)
	}
	return x[0], x[1]
}

// stepped is x·m + c of numbers of 128 bits, the high half first.
func stepped(x, m, c [2]uint64) [2]uint64 {
	hi, lo := bits.Mul64(x[1], m[1])
	lo, carry := bits.Add64(lo, c[1], 0)
	return [2]uint64{hi + x[0]*m[1] + x[1]*m[0] + c[0] + carry, lo}
}
