package fuse

import (
	"errors"
	"math/big"

	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

// Worker computes rows of the kernel, some at a time. Each goroutine has its own. It
// opens the stored kernels when it first needs them; Close closes them.
type Worker struct {
	// Small counts the elements that were not zero and became subnormal or zero when
	// they were stored, over all calls of Kernel.
	Small int

	f       *Fused
	sources []*source // by conv.id, nil before they are needed
	*Scratch
}

// Scratch is the memory that a worker computes in, and needs nothing of afterwards.
// Workers that take turns may share one. The zero Scratch takes no memory before it is used.
type Scratch struct {
	window  window // of all sources
	floats  arena[float64]
	places  arena[place]
	tiles   arena[tile]
	bools   arena[bool]
	sheet   sheet
	twofold careful[dd, doubles]
	exact   careful[*big.Float, reals]
	row     []float64                        // a stored row, decoded
	panel   [gemmBlock * micro.Panel]float64 // the part of a stored kernel that a product works on, decoded
	strips  []float64                        // columns of one, see careful.gather
	values  []float64                        // elements of a sheet, and as they are stored
	stored  []byte
	lo, hi  []byte // a row of bounds, stored; see unlike
}

// NewWorker makes a worker with memory of its own.
func (f *Fused) NewWorker() *Worker {
	w := &Worker{}
	w.Use(&Scratch{})
	w.begin(f)
	return w
}

// Use has the worker compute in s, which no other uses before this one is done.
func (w *Worker) Use(s *Scratch) {
	w.Scratch = s
	s.twofold.w, s.exact.w = w, w
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
		}
		w.sources[i] = nil
	}
	return errors.Join(all...)
}

func (w *Worker) source(n *conv) *source {
	if w.sources[n.id] == nil {
		w.sources[n.id] = sourceOf(n)
	}
	s := w.sources[n.id]
	s.window = &w.window
	return s
}

// Kernel stores rows a to b-1 of the fused kernel in dst, as they lie on disk. The
// bytes of a row are the same whatever block it is asked for in. A NaN or an infinity
// in a kernel that is read is an error that names the key and the flat index, and a
// value that the element type cannot hold is an *OverflowError.
func (w *Worker) Kernel(dst []byte, a, b int) error {
	size := w.f.RowBytes()
	for ; a < b; a += w.f.tileRows {
		n := min(w.f.tileRows, b-a)
		if err := w.some(dst[:n*size], a, n); err != nil {
			return err
		}
		dst = dst[n*size:]
	}
	return nil
}

// some is Kernel for the n rows from a on that are computed together.
func (w *Worker) some(dst []byte, a, n int) error {
	s, err := w.rows(dst, w.f.Type, a, n)
	if err != nil {
		return err
	}
	if err := w.settle(s, func(at int, v dd, _ float64) { s.set(at, v) }); err != nil {
		return err
	}
	s.lookAll()
	w.Small += s.small
	return s.overflow()
}

// rounded is v as a float64 that storing rounds as it would v.
func rounded(v dd, t tensor.Type) float64 {
	if t == tensor.F64 {
		return v.hi
	}
	return v.odd()
}

// rows is the n rows of the kernel from a on, stored in out as float64 gives them. An
// element of a stored kernel that is no finite number is an error.
func (w *Worker) rows(out []byte, typ tensor.Type, a, n int) (*sheet, error) {
	w.floats.begin(w.f.numbers, w.f.budget()/8)
	w.places.begin(2*n, 0)
	w.tiles.begin(1, 0)
	w.bools.begin(n, 0)
	s := w.newSheet(out, typ, a, n)
	r := &tile{layout: w.f.units, at: w.places.alloc(n), val: w.floats.alloc(n), owned: true}
	for o := range r.val { // the rows that pulling starts with: each touches its own channel
		r.at[o] = place{row: o, src: o, base: a + o, width: 1}
		r.val[o] = 1
	}
	if err := w.pull(w.f.pulled, r, s); err != nil {
		return nil, err
	}
	s.round()
	if s.seen.infinite || s.over != nil {
		return s, w.f.finite() // nothing that follows could say as much
	}
	return s, nil
}

// place sets at to where the rows of the kernel from a on lie.
func (f *Fused) place(at []place, a int) {
	for o := range at {
		s := f.span(a + o)
		at[o] = place{row: o, src: o, base: s.lo, width: s.width()}
	}
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
	out, inPlace := micro.Bytes(hi)
	if !inPlace {
		out = make([]byte, 8*len(hi))
	}
	s, err := w.rows(out, tensor.F64, a, n)
	if err != nil {
		return err
	}
	if !inPlace {
		tensor.Decode(hi, out, tensor.F64)
	}
	clear(lo)
	s.bounds(bound, hi)
	s.lookAll()
	if err := s.overflow(); err != nil {
		return err
	}
	return w.settle(s, func(at int, v dd, unit float64) {
		hi[at], lo[at], bound[at] = v.hi, v.lo, s.bound(unit)*s.magnitude(at)
	})
}

// bounds sets bound to those of the errors of all elements, which are v.
func (s *sheet) bounds(bound, v []float64) {
	e := s.bound(unit64)
	bound = bound[:len(v)]
	micro.Magnify(bound, v, e)
	for o := range s.at {
		for _, t := range s.strands(o) {
			at := t.first
			for _, m := range t.mag {
				bound[at] = e * m
				at += t.step
			}
		}
	}
}
