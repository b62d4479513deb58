package fuse

import (
	"errors"
	"math"
	"math/big"

	"repfuse/internal/tensor"
)

// Worker computes rows of the kernel, some at a time. Each goroutine has its own. It
// opens the stored kernels when it first needs them; Close closes them. Its memory is
// used again when it goes on to another expression.
type Worker struct {
	// Small counts the elements that were not zero and became subnormal or zero when
	// they were stored, over all calls of Kernel.
	Small int

	f       *Fused
	sources []*source // by conv.id, nil before they are needed
	idle    []*source // closed; their memory waits for another kernel
	floats  arena[float64]
	twofold careful[dd, doubles]
	exact   careful[*big.Float, reals]
	row     []float64 // a stored row, decoded
	strips  []float64 // columns of one, see careful.gather
	lo, hi  []byte    // a row of bounds, stored; see doubtful
}

// NewWorker makes a worker. It takes no memory before it is used.
func (f *Fused) NewWorker() *Worker {
	w := &Worker{}
	w.twofold.w, w.exact.w = w, w
	w.begin(f)
	return w
}

func (w *Worker) begin(f *Fused) {
	w.f, w.Small = f, 0
	w.sources = append(w.sources[:0], make([]*source, len(f.convs))...)
}

// Next has the worker go on to another expression.
func (w *Worker) Next(f *Fused) error {
	err := w.Close()
	w.begin(f)
	return err
}

// Close closes the stored kernels.
func (w *Worker) Close() error {
	var all []error
	for i, s := range w.sources {
		if s != nil {
			all = append(all, s.close())
			w.idle = append(w.idle, s)
		}
		w.sources[i] = nil
	}
	return errors.Join(all...)
}

func (w *Worker) source(n *conv) (*source, error) {
	if w.sources[n.id] == nil {
		s := &source{}
		if last := len(w.idle) - 1; last >= 0 {
			s, w.idle = w.idle[last], w.idle[:last]
		}
		if err := s.open(n); err != nil {
			return nil, err
		}
		w.sources[n.id] = s
	}
	return w.sources[n.id], nil
}

// Kernel stores rows a to b-1 of the fused kernel in dst, as they lie on disk. The
// bytes of a row are the same whatever block it is asked for in. A NaN or an infinity
// in a kernel that is read is an error that names the key and the flat index, and a
// value that the element type cannot hold is an *OverflowError.
func (w *Worker) Kernel(dst []byte, a, b int) error {
	size := w.f.RowBytes()
	for ; a < b; a += w.f.tileRows {
		n := min(w.f.tileRows, b-a)
		if err := w.tile(dst[:n*size], a, n); err != nil {
			return err
		}
		dst = dst[n*size:]
	}
	return nil
}

// tile is Kernel for the n rows from a on that are computed together.
func (w *Worker) tile(dst []byte, a, n int) error {
	t, err := w.rows(a, n)
	if err != nil {
		return err
	}
	typ := w.f.Type
	seen := encode(dst, t.val, typ)
	if seen.infinite {
		if err := w.f.finite(); err != nil {
			return err
		}
	}
	var one [1]float64
	err = w.settle(t, a, func(at int, v dd, _ float64) {
		t.val[at], one[0] = v.hi, rounded(v, typ)
		cell := dst[at*typ.Size():][:typ.Size()]
		now := encode(cell, one[:], typ)
		seen.infinite, seen.small = seen.infinite || now.infinite, seen.small || now.small
	})
	switch {
	case err != nil:
		return err
	case seen.infinite && scan(dst, typ).infinite:
		return w.overflow(t, a)
	case seen.small:
		w.Small += countSmall(t.val, typ)
	}
	return nil
}

// rounded is v as a float64 that storing rounds as it would v.
func rounded(v dd, t tensor.Type) float64 {
	if t == tensor.F64 {
		return v.hi
	}
	return v.odd()
}

// rows is the n rows of the kernel from a on, in float64.
func (w *Worker) rows(a, n int) (*tile, error) {
	f := w.f
	w.floats.begin(max(f.numbers, streamBytes/8))
	t := &tile{layout: f.root, at: f.places(a, n), fresh: make([]bool, n)}
	for o := range t.fresh {
		t.fresh[o] = true
	}
	t.channelMajor()
	if t.slots < t.taps() {
		t.val = w.floats.alloc(n * t.rs)
	}
	t.sum = w.floats.alloc(n * t.slots * t.width)
	t.mag = w.floats.alloc(n * t.slots * t.width)
	mark := w.floats.used
	r := &tile{layout: f.units, at: unitPlaces(a, n), val: w.floats.alloc(n), owned: true}
	for o := range r.val {
		r.val[o] = 1
	}
	r.tapMajor()
	if err := w.pull(f.pulled, r, t); err != nil {
		return nil, err
	}
	if t.val == nil {
		w.floats.used = mark
		t.val = w.floats.alloc(n * t.rs)
	}
	t.settle()
	return t, nil
}

// places is where the rows of the kernel from a on lie.
func (f *Fused) places(a, n int) []place {
	at := make([]place, n)
	for o := range at {
		s := f.span(a + o)
		at[o] = place{row: o, src: o, base: s.lo, width: s.width()}
	}
	return at
}

// unitPlaces is the rows that pulling starts with: each touches its own channel.
func unitPlaces(a, n int) []place {
	at := make([]place, n)
	for o := range at {
		at[o] = place{row: o, src: o, base: a + o, width: 1}
	}
	return at
}

// finite reports the first element of a stored kernel that is no finite number.
func (f *Fused) finite() error {
	for _, c := range f.convs {
		if err := c.finite(); err != nil {
			return err
		}
	}
	return nil
}

// overflow finds which element of the tile is too large.
func (w *Worker) overflow(t *tile, a int) error {
	typ := w.f.Type
	b := make([]byte, typ.Size())
	for i, v := range t.val {
		tensor.Encode(b, []float64{v}, typ)
		if !scan(b, typ).infinite {
			continue
		}
		channel := a + i/t.rs
		if w.f.Form.Transposed {
			channel = t.at[i/t.rs].base + i%t.rs/t.cs
		}
		return &OverflowError{Channel: channel, Value: v, Type: typ}
	}
	return errors.New("an infinite element that is not there")
}

// Reals gives rows a to b-1 of the kernel, in the stored order, as the numbers that
// Kernel rounds: hi+lo is within bound of the real value. All three have one place for
// each element.
func (w *Worker) Reals(hi, lo, bound []float64, a, b int) error {
	size := w.f.root.taps() * w.f.root.width
	for ; a < b; a += w.f.tileRows {
		n := min(w.f.tileRows, b-a)
		if err := w.reals(hi[:n*size], lo[:n*size], bound[:n*size], a, n); err != nil {
			return err
		}
		hi, lo, bound = hi[n*size:], lo[n*size:], bound[n*size:]
	}
	return nil
}

func (w *Worker) reals(hi, lo, bound []float64, a, n int) error {
	t, err := w.rows(a, n)
	if err != nil {
		return err
	}
	copy(hi, t.val)
	clear(lo)
	for i, v := range hi {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			if err := w.f.finite(); err != nil {
				return err
			}
			return w.overflow(t, a)
		}
		bound[i] = t.bound(unit64) * t.magnitude(i)
	}
	return w.settle(t, a, func(at int, v dd, unit float64) {
		hi[at], lo[at], bound[at] = v.hi, v.lo, t.bound(unit)*t.magnitude(at)
	})
}
