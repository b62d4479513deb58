package fuse

import (
	"math"
	"math/big"
	"slices"

	"repfuse/internal/exact"
	"repfuse/internal/micro"
	"repfuse/internal/tensor"
)

// Worker computes rows of the kernel, some at a time, and the bias. Each goroutine has its
// own. It opens the stored kernels when it first needs them; Close closes them.
type Worker struct {
	f       *Fused
	test    exact.Test
	space   *Workspace
	kernels *kernels
}

// NewWorker makes a worker that computes in space, which no other may use at the same time.
func (f *Fused) NewWorker(space *Workspace) *Worker {
	test := exact.Test{Type: f.Type, Kappa: f.root.kappa, Products: f.products}
	return &Worker{f, test, space, newKernels(len(f.convs), &space.window)}
}

// Close closes the stored kernels.
func (w *Worker) Close() error { return w.kernels.close() }

// Kernel stores rows a to b-1 of the fused kernel in dst, as they lie on disk, and tells
// how many elements were not zero and became subnormal or zero. The bytes of a row are the
// same whatever block it is asked for in. A NaN or an infinity in a kernel that is read is
// an error that names the key and the flat index, and a value that the element type cannot
// hold is an *OverflowError.
func (w *Worker) Kernel(dst []byte, a, b int) (small int, err error) {
	size := w.f.RowBytes()
	for ; a < b; a += w.f.tileRows {
		n := min(w.f.tileRows, b-a)
		s, err := w.rows(dst[:n*size], w.f.Type, a, n)
		if err == nil {
			err = w.refine(s, func(at int, v exact.DD, _ float64) { s.set(at, v) })
		}
		if err == nil {
			err = s.finish()
		}
		if err != nil {
			return 0, err
		}
		small += s.small
		dst = dst[n*size:]
	}
	return small, nil
}

// Reals gives rows a to b-1 of the kernel, in the stored order, as the numbers that
// Kernel rounds: hi+lo is within bound + 2⁻¹⁰⁷⁴ of the real value. All three have one place for each
// element.
func (w *Worker) Reals(hi, lo, bound []float64, a, b int) error {
	size := w.f.root.cells()
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
	s.bounds(bound, hi, w.test.Bound64())
	err = w.refine(s, func(at int, v exact.DD, unit float64) {
		bound[at] = float64(w.test.Bound(unit)*s.magnitude(at)) + float64(0x1p-106*math.Abs(v.Hi)) // as two float64 are all it is handed on in
		s.set(at, v)
		hi[at], lo[at] = v.Hi, v.Lo
	})
	if err != nil {
		return err
	}
	return s.finish()
}

// Bias stores the bias of all output channels in dst, and tells how many of them were not
// zero and became subnormal or zero. It is zero where the form has none. Kernels that a
// constant meets are read; a value that the element type cannot hold is an *OverflowError.
func (w *Worker) Bias(dst []byte) (small int, err error) { return w.f.storeBias(dst, w.kernels) }

// Constant is the bias as double-double numbers, one for each output channel.
// Of n terms it errs by less than n·2⁻¹⁰⁰ of the sum of their magnitudes.
func (f *Fused) Constant() ([]exact.DD, error) {
	k := newKernels(len(f.convs), new(window))
	defer k.close()
	return f.bias(k)
}

// rows is the n rows of the kernel from a on, stored in out as float64 gives them. An
// element of a stored kernel that is no finite number is an error.
func (w *Worker) rows(out []byte, typ tensor.Type, a, n int) (*output, error) {
	f := w.f
	floats := &w.space.floats
	floats.begin(max(f.numbers, f.budget()/8))
	s := &output{block: newBlock(f.root, floats, n), Workspace: w.space, typ: typ, bytes: out,
		first: a, transposed: f.Form.Transposed, copied: make([]bool, n)}
	r := newBlock(f.units, floats, n)
	for o := range n { // the rows that pulling starts with: each touches its own channel
		own := f.channels(a + o)
		s.at[o] = place{row: o, src: o, base: own.lo, width: own.width()}
		r.at[o] = place{row: o, src: o, base: a + o, width: 1}
		r.sum[o] = 1
	}
	if err := f.step.pull(&puller{w.space, w.kernels, s}, r, s.block); err != nil {
		return nil, err
	}
	s.round()
	s.lost = s.lost || f.raised
	if s.seen.infinite || s.over != nil {
		s.lost, s.over = true, nil
		return s, f.finite(w.kernels) // nothing that follows could say as much
	}
	return s, nil
}

// refine computes the elements of s that float64 does not decide in double-double numbers,
// and those that cancel too far for these, or are too small, at 256 bits. Each goes to set with the error of an
// operation. Of a float64 result that is every element.
func (w *Worker) refine(s *output, set func(at int, v exact.DD, unit float64)) error {
	list := s.doubtful(w.test)
	for len(list) > 0 {
		n, o := 1, list[0]/s.cells()
		for n < len(list) && list[n]/s.cells() == o {
			n++
		}
		slices.Sort(list[:n])
		var hard []int
		low := false
		double := &refiner[exact.DD, exact.Doubles]{field: exact.Doubles{Low: &low}, numbers: &w.space.twofold, kernels: w.kernels}
		unit := double.field.Unit()
		err := elements(double, w.f, s, list[:n], func(at int, v exact.DD) {
			if !low && !w.f.raised && w.test.Enough(v, s.magnitude(at), unit) {
				set(at, v, unit)
			} else {
				hard = append(hard, at)
			}
		})
		if err == nil && len(hard) > 0 {
			real := &refiner[*big.Float, exact.Reals]{numbers: &w.space.reals, kernels: w.kernels}
			err = elements(real, w.f, s, hard, func(at int, v exact.DD) { set(at, v, real.field.Unit()) })
		}
		if err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// elements computes the listed elements of s, which lie in one row: a few of many by
// themselves, else all that lie between.
func elements[T any, F exact.Field[T]](e *refiner[T, F], f *Fused, s *output, list []int, set func(at int, v exact.DD)) error {
	if few := 1 + s.cells()/128; len(list) > 1 && len(list) <= few {
		for k := range list {
			if err := elements(e, f, s, list[k:][:1], set); err != nil {
				return err
			}
		}
		return nil
	}
	o, taps := list[0]/s.cells(), s.taps()
	first, last := list[0]%s.cells()/taps, list[len(list)-1]%s.cells()/taps
	asked := make([]bool, taps)
	for _, at := range list {
		asked[at%taps] = true
	}
	r, err := e.kernelRow(f, s.first+o, channels{first, last + 1}.shifted(s.at[o].base), asked)
	if err != nil {
		return err
	}
	for _, at := range list {
		set(at, e.field.DD(r.at(at % taps)[at%s.cells()/taps-first]))
	}
	return nil
}
