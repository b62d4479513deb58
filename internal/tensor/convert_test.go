package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

var halves = []struct {
	t              Type
	bits, minimum  int // of the significand; exponent of the smallest normal
	infinity, nans uint16
}{
	{F16, 11, -14, 0x7c00, 0x7c01},
	{BF16, 8, -126, 0x7f80, 0x7f81},
}

// Every value of a type decodes and encodes to itself, NaNs to NaNs.
func TestHalvesRoundTrip(t *testing.T) {
	for _, h := range halves {
		for bits := range 1 << 16 {
			var b, back [2]byte
			binary.LittleEndian.PutUint16(b[:], uint16(bits))
			v := make([]float64, 1)
			Decode(v, b[:], h.t)
			Encode(back[:], v, h.t)
			if isNaN := uint16(bits)&0x7fff >= h.nans; isNaN != math.IsNaN(v[0]) {
				t.Fatalf("%s %04x decodes to %g", h.t, bits, v[0])
			} else if !isNaN && back != b {
				t.Fatalf("%s %04x decodes to %g, which encodes to %x", h.t, bits, v[0], back)
			}
		}
	}
}

// A float64 is rounded to a half type once, to nearest even: what a float32 on the
// way would spoil lies next to the middle of two neighbours.
func TestHalvesRoundOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	for _, h := range halves {
		for n := range 200_000 {
			bits := uint16(rng.Uint32()) & 0x7fff
			if bits >= h.infinity-1 {
				continue
			}
			low, high := decode16(bits, h.t), decode16(bits+1, h.t)
			middle := (low + high) / 2 // exact: one bit more
			for _, v := range []float64{middle, math.Nextafter(middle, low), math.Nextafter(middle, high), low + (high-low)*rng.Float64()} {
				want := bits
				if v > middle || (v == middle && bits&1 == 1) {
					want = bits + 1
				}
				if n%2 == 1 {
					v, want = -v, want|0x8000
				}
				if got := encode16(v, h.t); got != want {
					t.Fatalf("%s of %g (%x): %04x, want %04x", h.t, v, v, got, want)
				}
			}
		}
	}
}

func decode16(bits uint16, t Type) float64 {
	v := make([]float64, 1)
	Decode(v, binary.LittleEndian.AppendUint16(nil, bits), t)
	return v[0]
}

func encode16(v float64, t Type) uint16 {
	var b [2]byte
	Encode(b[:], []float64{v}, t)
	return binary.LittleEndian.Uint16(b[:])
}

// Beyond the largest value and half a step there is infinity; below half of the
// smallest there is zero, with its sign.
func TestHalvesEnds(t *testing.T) {
	for _, h := range halves {
		largest := Max(h.t)
		edge := largest + Ulp(largest, h.t)/2
		smallest := Ulp(0, h.t)
		for v, want := range map[float64]uint16{
			largest:                               h.infinity - 1,
			math.Nextafter(edge, 0):               h.infinity - 1,
			edge:                                  h.infinity,
			math.Inf(1):                           h.infinity,
			smallest:                              1,
			smallest / 2:                          0,
			math.Nextafter(smallest/2, 1):         1,
			-math.SmallestNonzeroFloat64:          0x8000,
			math.Copysign(0, -1):                  0x8000,
			-math.Nextafter(smallest/2, smallest): 0x8001,
		} {
			if got := encode16(v, h.t); got != want {
				t.Errorf("%s of %g: %04x, want %04x", h.t, v, got, want)
			}
		}
	}
}

// Ulp is the distance to the next value away from zero.
func TestUlp(t *testing.T) {
	for _, v := range []float64{0, 1, 1.5, 3, 1e-3, 1e30, math.SmallestNonzeroFloat32, 1.1754943508222875e-38} {
		next := float64(math.Nextafter32(float32(v), float32(math.Inf(1))))
		if got, want := Ulp(v, F32), next-float64(float32(v)); got != want {
			t.Errorf("float32 at %g: %g, want %g", v, got, want)
		}
	}
	for _, h := range halves {
		for bits := uint16(0); bits < h.infinity-1; bits += 7 {
			low := decode16(bits, h.t)
			if got, want := Ulp(low, h.t), decode16(bits+1, h.t)-low; got != want {
				t.Fatalf("%s at %g: %g, want %g", h.t, low, got, want)
			}
		}
	}
	for _, v := range []float64{0, 1, math.Pi, 5e-324, 1e300} {
		if got, want := Ulp(v, F64), math.Nextafter(v, math.Inf(1))-v; got != want {
			t.Errorf("float64 at %g: %g, want %g", v, got, want)
		}
	}
}

// Float32 is rounded as math/big rounds it.
func TestFloat32(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for range 100_000 {
		v := math.Ldexp(rng.Float64()*2-1, rng.IntN(280)-150)
		var b [4]byte
		Encode(b[:], []float64{v}, F32)
		want, _ := new(big.Float).SetFloat64(v).Float32()
		if got := math.Float32frombits(binary.LittleEndian.Uint32(b[:])); got != want {
			t.Fatalf("%g: %g, want %g", v, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for _, test := range []struct {
		shape []int
		want  int
		fails bool
	}{
		{nil, 1, false},
		{[]int{2, 3}, 6, false},
		{[]int{2, 0, 7}, 0, false},
		{[]int{1 << 31, 1 << 31}, 0, true},
		{[]int{1 << 61}, 0, true}, // its bytes, of four each, are too many
		{[]int{2, -1}, 0, true},
	} {
		got, err := Count(test.shape, F32)
		if got != test.want || (err != nil) != test.fails {
			t.Errorf("%v: %d, %v; want %d, an error %t", test.shape, got, err, test.want, test.fails)
		}
	}
}

// A slice shares the bytes: rows of the first axis.
func TestSlice(t *testing.T) {
	whole := Of(F64, []int{3, 2}, []float64{1, 2, 3, 4, 5, 6})
	rows, err := whole.Slice(1, 3)
	if err != nil {
		t.Fatal(err)
	}
	got, err := rows.Floats()
	if want := "[3 4 5 6]"; err != nil || fmt.Sprint(got) != want || fmt.Sprint(rows.Shape) != "[2 2]" {
		t.Errorf("rows 1 to 3: %v %v, %v; want %s", rows.Shape, got, err, want)
	}
	if _, err := whole.Slice(2, 4); err == nil {
		t.Error("rows 2 to 4 of 3: no error")
	}
	if _, err := FromBytes(I64, nil, make([]byte, 8)).Floats(); err == nil {
		t.Error("integers as floats: no error")
	}
}

func TestParseType(t *testing.T) {
	for typ := Bool; typ <= F8E8M0; typ++ {
		if got, err := ParseType(typ.String()); got != typ || err != nil {
			t.Errorf("%s: %v, %v", typ, got, err)
		}
	}
	if _, err := ParseType("invalid"); err == nil {
		t.Error("invalid: no error")
	}
}
