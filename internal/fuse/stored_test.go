package fuse

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"repfuse/internal/tensor"
)

// TestScan: a single odd element is found wherever it stands among ordinary ones,
// and no other is reported, for every pattern of a 16-bit type and many of the rest.
func TestScan(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, typ := range types {
		exponent := map[tensor.Type][2]uint{tensor.F16: {10, 5}, tensor.BF16: {7, 8}, tensor.F32: {23, 8}, tensor.F64: {52, 11}}[typ]
		size := typ.Size()
		plain := make([]byte, 3*stretch)
		tensor.Encode(plain, slices.Repeat([]float64{0.75}, len(plain)/size), typ)
		for trial := range 1 << 16 {
			bits := uint64(trial)
			if size > 2 {
				bits = r.Uint64()<<16 | uint64(trial)
				if trial%2 == 0 { // exponents of all ones and all zeros are rare otherwise
					bits |= (1<<exponent[1] - 1) << exponent[0]
				} else if trial%4 == 1 {
					bits &^= (1<<exponent[1] - 1) << exponent[0]
				}
			}
			e := bits >> exponent[0] & (1<<exponent[1] - 1)
			n := 1 + r.IntN(len(plain)/size)
			b := append([]byte(nil), plain[:n*size]...)
			var cell [8]byte
			binary.LittleEndian.PutUint64(cell[:], bits)
			copy(b[r.IntN(n)*size:], cell[:size])
			got, want := scan(b, typ), found{e == 1<<exponent[1]-1, e == 0}
			if got != want {
				t.Fatalf("%s: %#x among %d elements: found %v, want %v", typ, bits, n, got, want)
			}
		}
	}
}
