package stream

import (
	"cmp"
	"hash/crc32"
	"slices"
	"sync"
	"sync/atomic"
)

// parts collects the checksums of an item's pieces, which come in any order.
type parts struct {
	left  atomic.Int64
	block *block // that the item is made of, or nil
	mu    sync.Mutex
	list  []piece
}

type piece struct {
	off, len int64
	crc      uint32
}

func (p *parts) add(b []byte, off int64) {
	c := piece{off, int64(len(b)), crc32.ChecksumIEEE(b)}
	p.mu.Lock()
	p.list = append(p.list, c)
	p.mu.Unlock()
}

// crc is the checksum of the whole.
func (p *parts) crc() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.SortFunc(p.list, func(a, b piece) int { return cmp.Compare(a.off, b.off) })
	var crc uint32
	for _, c := range p.list {
		crc = combine(crc, c.crc, c.len)
	}
	p.list = nil
	return crc
}

// combine is the CRC-32 of a followed by b of n bytes, from the checksums of both.
// A checksum is a polynomial over GF(2), modulo that of the CRC; n bytes behind it
// multiply it by x⁸ⁿ.
func combine(a, b uint32, n int64) uint32 {
	if a == 0 {
		return b
	}
	for power := uint32(1) << (31 - 8); n > 0; n >>= 1 { // x⁸, and its square each time
		if n&1 != 0 {
			a = times(power, a)
		}
		power = times(power, power)
	}
	return a ^ b
}

// times is the product of two polynomials modulo the CRC's; the highest bit is x⁰.
func times(a, b uint32) uint32 {
	var product uint32
	for ; a != 0; a <<= 1 {
		product ^= b & -(a >> 31)
		b = b>>1 ^ crc32.IEEE&-(b&1)
	}
	return product
}
