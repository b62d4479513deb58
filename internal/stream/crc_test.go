package stream

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

// The checksum of pieces, put together, is the checksum of the whole.
func TestCombine(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 100_003)
	for k := range b {
		b[k] = byte(rng.Uint32())
	}
	for range 200 {
		cut := rng.IntN(len(b) + 1)
		got := combine(crc32.ChecksumIEEE(b[:cut]), crc32.ChecksumIEEE(b[cut:]), int64(len(b)-cut))
		if want := crc32.ChecksumIEEE(b); got != want {
			t.Fatalf("cut at %d: %08x, want %08x", cut, got, want)
		}
	}
}

// Pieces may come in any order.
func TestPartsInAnyOrder(t *testing.T) {
	b := []byte("the quick brown fox jumps over the lazy dog")
	var p parts
	for _, cut := range [][2]int{{20, 43}, {0, 7}, {7, 20}} {
		p.add(b[cut[0]:cut[1]], int64(cut[0]))
	}
	if got, want := p.crc(), crc32.ChecksumIEEE(b); got != want {
		t.Errorf("checksum %08x, want %08x", got, want)
	}
}
