// Package stream carries out a plan: tensors that are kept are copied, blocks are
// fused, in pieces through small buffers that are used again, so that memory does not
// grow with the model and every byte is read once and written once.
package stream

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"repfuse/internal/fuse"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// Options say how a plan is carried out.
type Options struct {
	// Jobs is how many goroutines work; 0 is one for each processor, and two at least, as
	// one of them waits for a file now and then. Each has buffers of its own.
	Jobs int
	// Piece is how many bytes are moved at a time; 0 is 256 KiB, which stays in a
	// processor's own cache together with what it is made of.
	Piece int
	// Progress is told the bytes written so far, by any of the goroutines.
	Progress func(bytes int64)
}

// Result is what was written.
type Result struct {
	Bytes int64
	// CRC is the CRC-32 (IEEE) of each item's bytes.
	CRC []uint32
	// Small is how many fused elements of each item became subnormal, or zero, though
	// the real value is not.
	Small []int64
}

const defaultPiece = 256 << 10

// Run writes the items of a plan to w, one after the other as the goroutines come to
// them. The bytes do not depend on Jobs. It stops at the first error and when the
// context ends.
func Run(ctx context.Context, items []plan.Item, w tensor.Writer, o Options) (*Result, error) {
	if o.Jobs <= 0 {
		o.Jobs = max(2, runtime.GOMAXPROCS(0))
	}
	if o.Piece <= 0 {
		o.Piece = defaultPiece
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r := &run{items: items, w: w, o: o, ctx: ctx, parts: make([]parts, len(items)), order: order(items),
		shelf:  fuse.NewShelf(max(1, runtime.GOMAXPROCS(0)/2)),
		result: &Result{CRC: make([]uint32, len(items)), Small: make([]int64, len(items))}}
	r.share()
	if n := runtime.GOMAXPROCS(0); o.Jobs > n {
		r.scratch = make(chan *fuse.Scratch, n)
		for range n {
			r.scratch <- &fuse.Scratch{}
		}
	}
	var workers sync.WaitGroup
	for range o.Jobs {
		workers.Go(func() {
			h := &hand{run: r}
			defer h.close()
			if err := h.work(); err != nil {
				stop(err)
			}
		})
	}
	workers.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	r.result.Bytes = r.written.Load()
	return r.result, nil
}

type run struct {
	items   []plan.Item
	w       tensor.Writer
	o       Options
	ctx     context.Context
	order   []int              // the items as they are begun
	begun   atomic.Int64       // how many of them are
	scratch chan *fuse.Scratch // for products of matrices; nil where each has its own
	shelf   fuse.Shelf         // of the kernels that products need again and again
	jobs    jobs
	parts   []parts
	written atomic.Int64
	result  *Result
}

// share notes the block that each item is made of.
func (r *run) share() {
	var b *block
	for k := range r.items {
		it := &r.items[k]
		if it.Output == nil {
			continue
		}
		if b == nil || b.of != it.Output {
			b = &block{of: it.Output}
		}
		b.holders.Add(1)
		r.parts[k].block = b
	}
}

// begin takes the next item up; nil where there is none.
func (r *run) begin() (*job, error) {
	next := int(r.begun.Add(1)) - 1
	if next >= len(r.order) {
		return nil, nil
	}
	j := &job{item: r.order[next], n: 1, piece: 1}
	it, p := &r.items[j.item], &r.parts[j.item]
	if it.Kept != nil {
		j.n, j.piece = int(it.Kept.Bytes()), r.keptPiece(it)
	} else {
		if err := p.block.ready(it.Type, r.shelf); err != nil {
			return nil, fmt.Errorf("%s: %w", it.Key, err)
		}
		if j.block = p.block; !it.IsBias {
			j.n, j.piece = it.Shape[0], j.block.RowsPerBlock(r.o.Piece)
		}
	}
	p.left.Store(int64(max(1, j.pieces())))
	r.jobs.add(j)
	return j, nil
}

// order is the order that items are begun in: their own, so that few blocks and few files
// are open at a time, but for what is so large that it would be left over for all to
// write to at once, where the kernel lets only one.
func order(items []plan.Item) []int {
	list, large := make([]int, len(items)), make([]int64, len(items))
	total := int64(0)
	for k := range items {
		total += items[k].Bytes()
	}
	for k := range items {
		if n := items[k].Bytes(); n > total/16 {
			large[k] = n
		}
		if k > 0 && items[k].Output != nil && items[k].Output == items[k-1].Output {
			large[k] = large[k-1] // so that the block is soon done
		}
		list[k] = k
	}
	slices.SortStableFunc(list, func(a, b int) int { return cmp.Compare(large[b], large[a]) })
	return list
}

// keptPiece is how many source bytes of a kept tensor make a piece: whole elements.
func (r *run) keptPiece(it *plan.Item) int {
	size := max(it.Kept.Type.Size(), it.Type.Size())
	return r.o.Piece / size * it.Kept.Type.Size()
}

// small counts elements that lost bits below the smallest normal number.
func (r *run) small(item, n int) { atomic.AddInt64(&r.result.Small[item], int64(n)) }

// put writes a finished piece and, where it was the item's last, says so.
func (r *run) put(item int, b []byte, off int64) error {
	if len(b) > 0 {
		if err := r.w.WriteAt(item, b, off); err != nil {
			return fmt.Errorf("%s: %w", r.items[item].Key, err)
		}
	}
	total := r.written.Add(int64(len(b)))
	if r.o.Progress != nil {
		r.o.Progress(total)
	}
	p := &r.parts[item]
	p.add(b, off)
	if p.left.Add(-1) > 0 {
		return nil
	}
	p.block.release()
	crc := p.crc()
	r.result.CRC[item] = crc
	if err := r.w.Done(item, crc); err != nil {
		return fmt.Errorf("%s: %w", r.items[item].Key, err)
	}
	return nil
}
