package tensor

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

// The checksum of pieces, put together, is the checksum of the whole.
func TestCombineCRC(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 100_003)
	for k := range b {
		b[k] = byte(rng.Uint32())
	}
	for range 200 {
		cut := rng.IntN(len(b) + 1)
		got := CombineCRC(crc32.ChecksumIEEE(b[:cut]), crc32.ChecksumIEEE(b[cut:]), int64(len(b)-cut))
		if want := crc32.ChecksumIEEE(b); got != want {
			t.Fatalf("cut at %d: %08x, want %08x", cut, got, want)
		}
	}
}
