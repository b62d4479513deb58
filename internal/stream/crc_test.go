package stream

import (
	"hash/crc32"
	"testing"
)

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
