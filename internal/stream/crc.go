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
	left atomic.Int64
	mu   sync.Mutex
	list []piece
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
// Appending a zero bit is a linear map over GF(2); n·8 of them are its power, by
// repeated squaring.
func combine(a, b uint32, n int64) uint32 {
	var odd, even [32]uint32
	odd[0] = crc32.IEEE // one zero bit
	for k := 1; k < 32; k++ {
		odd[k] = 1 << (k - 1)
	}
	square(&even, &odd) // two
	square(&odd, &even) // four
	for from, to := &odd, &even; n > 0; n >>= 1 {
		square(to, from) // a byte, and twice as many each time
		if n&1 != 0 {
			a = times(to, a)
		}
		from, to = to, from
	}
	return a ^ b
}

func times(m *[32]uint32, v uint32) uint32 {
	var sum uint32
	for k := 0; v != 0; v >>= 1 {
		if v&1 != 0 {
			sum ^= m[k]
		}
		k++
	}
	return sum
}

func square(dst, m *[32]uint32) {
	for k := range dst {
		dst[k] = times(m, m[k])
	}
}
