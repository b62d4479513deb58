package stream

import (
	"cmp"
	"hash/crc32"
	"slices"
	"sync"
	"sync/atomic"

	"repfuse/internal/tensor"
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
		crc = tensor.CombineCRC(crc, c.crc, c.len)
	}
	p.list = nil
	return crc
}
