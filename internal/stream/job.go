package stream

import (
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"sync/atomic"

	"repfuse/internal/fuse"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// job is what one goroutine works with: its buffers.
type job struct {
	*run
	in, out []byte
	floats  []float64
	space   fuse.Workspace

	sum sum // of the part so far
}

func (j *job) do(t task) error {
	if err := j.ctx.Err(); err != nil {
		return err
	}
	if it := &j.items[t.item]; it.Kept != nil {
		return j.copy(it, t)
	}
	return j.fuse(t)
}

// buffer is b with n bytes, kept for the next time: at once as large as a piece.
func (j *job) buffer(b *[]byte, n int) []byte {
	if cap(*b) < n {
		*b = make([]byte, max(n, j.o.Piece))
	}
	return (*b)[:n]
}

// put writes the next bytes of a part, the item's from byte off on.
func (j *job) put(item int, b []byte, off int64) error {
	if len(b) > 0 {
		if err := j.w.WriteAt(item, b, off); err != nil {
			return fmt.Errorf("%s: %w", j.items[item].Key, err)
		}
	}
	j.sum = sum{crc32.Update(j.sum.crc, crc32.IEEETable, b), j.sum.bytes + int64(len(b))}
	total := j.written.Add(int64(len(b)))
	if j.o.Progress != nil {
		j.o.Progress(total)
	}
	return j.ctx.Err()
}

// finish ends a part.
func (j *job) finish(item, part int) error {
	s := j.sum
	j.sum = sum{}
	return j.done(item, part, s)
}

// copy moves elements of a kept tensor, changing their type where that is asked for.
func (j *job) copy(it *plan.Item, t task) error {
	d, err := it.Kept.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", it.Kept.Key, err)
	}
	defer d.Close()
	from, to := it.Kept.Type.Size(), it.Type.Size()
	step := max(1, j.o.Piece/max(from, to))
	for at := t.from; at < t.to; at += step {
		n := min(step, t.to-at)
		b := j.buffer(&j.in, n*from)
		if err := tensor.ReadFull(d, b, int64(at)*int64(from)); err != nil {
			return fmt.Errorf("%s: %w", it.Kept.Key, err)
		}
		if it.Type != it.Kept.Type {
			if b, err = j.convert(b, it.Kept.Type, it.Type, at); err != nil {
				return fmt.Errorf("%s%w", it.Kept.Key, err)
			}
		}
		if err := j.put(t.item, b, int64(at)*int64(to)); err != nil {
			return err
		}
	}
	return j.finish(t.item, t.part)
}

// convert rounds elements to another type. A finite element that becomes infinite
// is an error.
func (j *job) convert(b []byte, from, to tensor.Type, first int) ([]byte, error) {
	n := len(b) / from.Size()
	j.floats = slices.Grow(j.floats[:0], n)
	v := j.floats[:n]
	tensor.Decode(v, b, from)
	out := j.buffer(&j.out, n*to.Size())
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

// fuse makes rows of a kernel, a bias, or both.
func (j *job) fuse(t task) (err error) {
	it := &j.items[t.item]
	f, err := j.fused(t.item)
	if err != nil {
		return err
	}
	w := f.NewWorker(&j.space)
	defer w.Close() // what was only read
	if it.IsBias {
		return j.bias(w, t.item)
	}
	rows, size := f.RowsPerBlock(j.o.Piece), f.RowBytes()
	for at := t.from; at < t.to; at += rows {
		end := min(at+rows, t.to)
		b := j.buffer(&j.out, (end-at)*size)
		small, err := w.Kernel(b, at, end)
		if err != nil {
			return fmt.Errorf("%s: %w", it.Key, err)
		}
		atomic.AddInt64(&j.result.Small[t.item], int64(small))
		if err := j.put(t.item, b, int64(at)*int64(size)); err != nil {
			return err
		}
	}
	if err := j.finish(t.item, t.part); err != nil || !t.withBias {
		return err
	}
	return j.bias(w, t.item+1)
}

func (j *job) bias(w *fuse.Worker, item int) error {
	it := &j.items[item]
	b := j.buffer(&j.out, int(it.Bytes()))
	small, err := w.Bias(b)
	if err != nil {
		return fmt.Errorf("%s: %w", it.Key, err)
	}
	j.result.Small[item] = int64(small)
	if err := j.put(item, b, 0); err != nil {
		return err
	}
	return j.finish(item, 0)
}
