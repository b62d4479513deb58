// Package stream carries out a plan: tensors that are kept are copied, blocks are fused, in
// pieces through small buffers that are used again, so that what it takes does not grow with
// the tensors.
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
	"repfuse/internal/parallel"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// Options say how a plan is carried out.
type Options struct {
	// Jobs is how many goroutines work; 0 is one for each processor, two at least, as one of
	// them waits for a file now and then, and eight at most, so that memory does not grow with
	// the processors.
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

const (
	defaultPiece = 256 << 10
	usualJobs    = 8
)

// Run writes the items of a plan to w. The bytes do not depend on Jobs. It stops at the
// first error and when the context ends.
func Run(ctx context.Context, items []plan.Item, w tensor.Writer, o Options) (*Result, error) {
	if o.Jobs <= 0 {
		o.Jobs = min(usualJobs, max(2, runtime.GOMAXPROCS(0)))
	}
	if o.Piece <= 0 {
		o.Piece = defaultPiece
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r := &run{items: items, w: w, o: o, ctx: ctx, parts: make([]parts, len(items)),
		result: &Result{CRC: make([]uint32, len(items)), Small: make([]int64, len(items))}}
	tasks := split(items, o.Jobs, o.Piece)
	for _, t := range tasks {
		r.parts[t.item].expect()
		if t.withBias {
			r.parts[t.item+1].expect()
		}
	}
	failed := parallel.Each(ctx, o.Jobs, len(tasks), func() func(k int) error {
		j := &job{run: r}
		return func(k int) error {
			err := j.do(tasks[k])
			if err != nil {
				stop(err)
			}
			return err
		}
	})
	if err := cmp.Or(context.Cause(ctx), failed); err != nil {
		return nil, err
	}
	r.result.Bytes = r.written.Load()
	return r.result, nil
}

// task is some of an item, which one goroutine writes from its first byte to its last: rows
// of a kernel, elements of a tensor that is kept, or a bias. Where it is the first part of a
// kernel the bias that follows goes with it, as both are made of the same vectors.
type task struct {
	item, part, from, to int
	withBias             bool
}

// split makes the tasks: one for each item, in their own order, so that few files are open
// at a time, except for large items. These come first, in several parts of a piece at
// least, so that no goroutine is left alone with one in the end. What is less is not worth a
// part, and has one error that comes first.
func split(items []plan.Item, jobs, piece int) []task {
	total, order := int64(0), []int{}
	for k := range items {
		total += items[k].Bytes()
		if !follows(items, k) {
			order = append(order, k)
		}
	}
	large := func(k int) int64 {
		if n := items[k].Bytes(); n > total/16 {
			return n
		}
		return 0
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(large(b), large(a)) })
	var tasks []task
	for _, k := range order {
		units, n := unitsOf(&items[k]), 1
		if large(k) > 0 {
			n = max(1, min(units, int(items[k].Bytes()/int64(piece)), int(items[k].Bytes()*int64(4*jobs)/total)))
		}
		for part := range n {
			tasks = append(tasks, task{k, part, units * part / n, units * (part + 1) / n, part == 0 && follows(items, k+1)})
		}
	}
	return tasks
}

// follows reports whether item k is the bias that goes with the kernel before it.
func follows(items []plan.Item, k int) bool {
	return k > 0 && k < len(items) && items[k].IsBias && !items[k-1].IsBias && items[k].Output == items[k-1].Output
}

// unitsOf is what the tasks of an item divide: the rows of a kernel, the elements of a
// tensor that is kept; a bias is not divided.
func unitsOf(it *plan.Item) int {
	switch {
	case it.Kept != nil:
		return it.Kept.Len()
	case it.IsBias:
		return 1
	}
	return it.Shape[0]
}

type run struct {
	items   []plan.Item
	w       tensor.Writer
	o       Options
	ctx     context.Context
	parts   []parts // of each item
	written atomic.Int64
	result  *Result
}

// parts collects the checksums of an item's tasks.
type parts struct {
	left atomic.Int32
	sums []sum

	mu    sync.Mutex
	fused *fuse.Fused // while parts of a fused item are to be done
}

// sum is the checksum of some bytes.
type sum struct {
	crc   uint32
	bytes int64
}

func (p *parts) expect() {
	p.sums = append(p.sums, sum{})
	p.left.Add(1)
}

// fused is what item becomes, made for the first of its parts and shared by all.
func (r *run) fused(item int) (*fuse.Fused, error) {
	p, it := &r.parts[item], &r.items[item]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fused == nil {
		f, err := fuse.New(it.Expr, it.Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", it.Key, err)
		}
		p.fused = f
	}
	return p.fused, nil
}

// done notes the checksum of a part's bytes. The last one of an item finishes it.
func (r *run) done(item, part int, s sum) error {
	p := &r.parts[item]
	p.sums[part] = s
	if p.left.Add(-1) > 0 {
		return nil
	}
	p.fused = nil
	crc := uint32(0)
	for _, s := range p.sums {
		crc = tensor.CombineCRC(crc, s.crc, s.bytes)
	}
	r.result.CRC[item] = crc
	if err := r.w.Done(item, crc); err != nil {
		return fmt.Errorf("%s: %w", r.items[item].Key, err)
	}
	return nil
}
