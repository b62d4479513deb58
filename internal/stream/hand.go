package stream

import (
	"fmt"
	"math"

	"repfuse/internal/fuse"
	"repfuse/internal/tensor"
)

// hand is what one goroutine works with: its buffers, and what it has open.
type hand struct {
	run    *run
	job    *job // that pieces are taken of, nil before the first
	in     []byte
	out    []byte
	floats []float64

	item int // of data
	data tensor.Data

	fused  *fuse.Fused // of worker, nil where it is closed
	worker fuse.Worker

	scratch fuse.Scratch
}

// close closes what is open; errors of closing what was only read change nothing.
func (h *hand) close() {
	if h.data != nil {
		h.data.Close()
		h.data = nil
	}
	if h.fused != nil {
		h.worker.Close()
		h.fused = nil
	}
}

// work does pieces until there are none, or one fails, or the context ends.
func (h *hand) work() error {
	for h.run.ctx.Err() == nil {
		t, ok, err := h.next()
		if err == nil && ok {
			err = h.do(t)
		}
		if err != nil || !ok {
			return err
		}
	}
	return nil
}

// goOn has the worker go on to f.
func (h *hand) goOn(f *fuse.Fused) {
	if h.fused == f {
		return
	}
	h.close()
	h.worker.Next(f)
	h.fused = f
}

// next is the next piece to do: of the same job, of the next item, or of a job that
// another is at; ok reports whether there is any.
func (h *hand) next() (t task, ok bool, err error) {
	for {
		if t, ok := h.run.jobs.begin(h.job); ok {
			return t, true, nil
		}
		if h.job = h.run.jobs.crowded(cap(h.run.shelf)); h.job == nil {
			h.job, err = h.run.begin()
		}
		if err != nil {
			return task{}, false, err
		}
		if h.job == nil {
			h.job = h.run.jobs.longest(anyJob)
		}
		if h.job == nil {
			return task{}, false, nil
		}
	}
}

func (h *hand) do(t task) error {
	if t.block == nil {
		return h.copy(t)
	}
	return h.fuse(t)
}

// buffer is b with n bytes, kept for the next time: at once as large as a piece.
func (h *hand) buffer(b *[]byte, n int) []byte {
	if cap(*b) < n {
		*b = make([]byte, max(n, h.run.o.Piece))
	}
	return (*b)[:n]
}

// copy moves a piece of a kept tensor, changing its element type where that is
// asked for.
func (h *hand) copy(t task) error {
	it := &h.run.items[t.item]
	if h.data == nil || h.item != t.item {
		h.close()
		d, err := it.Kept.Open()
		if err != nil {
			return fmt.Errorf("%s: %w", it.Kept.Key, err)
		}
		h.data, h.item = d, t.item
	}
	to := &h.out
	if it.Type != it.Kept.Type {
		to = &h.in // and from there to out
	}
	b := h.buffer(to, t.to-t.from)
	if err := tensor.ReadFull(h.data, b, int64(t.from)); err != nil {
		return fmt.Errorf("%s: %w", it.Kept.Key, err)
	}
	off := int64(t.from)
	if it.Type != it.Kept.Type {
		first := t.from / it.Kept.Type.Size()
		var err error
		if b, err = h.convert(b, it.Kept.Type, it.Type, first); err != nil {
			return fmt.Errorf("%s%w", it.Kept.Key, err)
		}
		off = int64(first * it.Type.Size())
	}
	return h.run.put(t.item, b, off)
}

// convert rounds elements to another type. A finite element that becomes infinite
// is an error.
func (h *hand) convert(b []byte, from, to tensor.Type, first int) ([]byte, error) {
	n := len(b) / from.Size()
	if cap(h.floats) < n {
		h.floats = make([]float64, n)
	}
	v := h.floats[:n]
	tensor.Decode(v, b, from)
	out := h.buffer(&h.out, n*to.Size())
	tensor.Encode(out, v, to)
	if to.Size() >= from.Size() {
		return out, nil
	}
	limit := tensor.Max(to) + float64(tensor.Ulp(tensor.Max(to), to)/2)
	for k, x := range v {
		if math.Abs(x) >= limit && !math.IsInf(x, 0) {
			return nil, fmt.Errorf("[%d] is %g, want at most %g as %s holds", first+k, x, tensor.Max(to), to)
		}
	}
	return out, nil
}

// fuse makes rows of a kernel, or a bias.
func (h *hand) fuse(t task) error {
	it := &h.run.items[t.item]
	if it.IsBias {
		b := h.buffer(&h.out, int(it.Bytes()))
		small, err := t.block.Bias(b)
		if err != nil {
			return fmt.Errorf("%s: %w", it.Key, err)
		}
		h.run.small(t.item, small)
		return h.run.put(t.item, b, 0)
	}
	h.goOn(t.block.Fused)
	row := it.Bytes() / int64(it.Shape[0])
	b := h.buffer(&h.out, int(row)*(t.to-t.from))
	before := h.worker.Small
	if err := h.kernel(b, t); err != nil {
		return fmt.Errorf("%s: %w", it.Key, err)
	}
	h.run.small(t.item, h.worker.Small-before)
	return h.run.put(t.item, b, int64(t.from)*row)
}

// kernel computes rows, in memory of h's own unless they take much of both and others wait
// for a processor: then each processor has some, and no more would be of use.
func (h *hand) kernel(b []byte, t task) error {
	if h.run.scratch == nil || !t.block.Products() {
		h.worker.Use(&h.scratch)
		return h.worker.Kernel(b, t.from, t.to)
	}
	s := <-h.run.scratch
	defer func() { h.run.scratch <- s }()
	h.worker.Use(s)
	return h.worker.Kernel(b, t.from, t.to)
}
