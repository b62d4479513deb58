package conv

import (
	"fmt"

	"repfuse/internal/micro"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// kernel is a convolution's weight, open for reading some output channels at a
// time: it is never held whole.
type kernel[T element] struct {
	of   op.Param
	data tensor.Data
	// An output channel has inner input channels of taps elements; outer output
	// channels make a group.
	inner, outer, taps int
	transposed         bool
}

// rows reads the kernels of output channels a to b-1 of one group, [b-a, inner,
// taps], and leaves their bytes in w.raw, which has place for a multiple of micro.Rows.
func (k *kernel[T]) rows(w *worker[T], a, b int) error {
	size := k.of.Type.Size()
	row := k.inner * k.taps * size
	w.raw = tensor.Sized(w.raw, upTo(b-a, micro.Rows)*row)
	if !k.transposed {
		return k.failed(tensor.ReadFull(k.data, w.raw[:(b-a)*row], int64(a)*int64(row)))
	}
	// [I, O/g, taps]: what an input channel has of these rows lies together.
	tap := k.taps * size
	part := make([]byte, (b-a)*tap)
	group := a / k.outer
	for i := range k.inner {
		at := int64((group*k.inner+i)*k.outer+a%k.outer) * int64(tap)
		if err := tensor.ReadFull(k.data, part, at); err != nil {
			return k.failed(err)
		}
		for o := range b - a {
			copy(w.raw[o*row+i*tap:][:tap], part[o*tap:])
		}
	}
	return nil
}

func (k *kernel[T]) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", k.of.Key, err)
}

// decode turns elements of what rows read, from element at on, into T.
func (k *kernel[T]) decode(w *worker[T], dst []T, at int) {
	size := k.of.Type.Size()
	src := w.raw[at*size : (at+len(dst))*size]
	switch dst := any(dst).(type) {
	case []float64:
		micro.Decode(dst, src, k.of.Type)
	case []float32:
		if k.of.Type == tensor.F32 {
			micro.LoadF32(dst, src)
			return
		}
		w.wide = tensor.Sized(w.wide, len(dst))
		micro.Decode(w.wide, src, k.of.Type)
		for i, v := range w.wide {
			dst[i] = float32(v)
		}
	}
}

// inPlace is what rows read as T, where it is stored so.
func (k *kernel[T]) inPlace(w *worker[T]) (v []T, ok bool) {
	if k.of.Type != w.typ {
		return nil, false
	}
	return w.arithmetic.inPlace(w.raw)
}

// dense is a convolution whose output channels look at several input channels.
type dense[T element] struct {
	k    *kernel[T]
	bias []T
	in   *stored[T]
	f    frame
	// The output is n elements from first on; n is a whole number of vectors. Tap t
	// looks off[t] further than low.
	first, n, low int
	off           []int
}

// rows computes each group's rows together, several groups one after another.
func (s *dense[T]) rows(w *worker[T], a, b int, dst []T) error {
	return byGroup(s.k, a, b, func(from, to int) error { return s.group(w, from, to, dst[(from-a)*s.f.plane:]) })
}

// byGroup calls do for what output channels a to b-1 have of each group of k.
func byGroup[T element](k *kernel[T], a, b int, do func(from, to int) error) error {
	for a < b {
		end := min(b, (a/k.outer+1)*k.outer)
		if err := do(a, end); err != nil {
			return err
		}
		a = end
	}
	return nil
}

// group computes output channels a to b-1 of one group. The kernel is a matrix, taken
// some input channels at a time: few enough for the first cache, and for short chains of
// additions. What its rows past b hold goes into rows that are dropped.
func (s *dense[T]) group(w *worker[T], a, b int, dst []T) error {
	if err := s.k.rows(w, a, b); err != nil {
		return err
	}
	rows := upTo(b-a, micro.Rows)
	all := dst
	if rows > b-a {
		all = w.take(rows * s.f.plane)
		defer w.give(all)
	}
	c := all[s.first:]
	for o := range rows {
		clear(c[o*s.f.plane:][:s.n])
	}
	taps, width := len(s.off), min(s.k.inner, max(1, min(64, 288/len(s.off))))
	m, whole := s.k.inPlace(w)
	lda := s.k.inner * taps
	if !whole {
		lda = width * taps
		m = w.take(rows * lda)
		defer w.give(m)
	}
	begin := a / s.k.outer * s.k.inner
	for i := 0; i < s.k.inner; i += width {
		first, channels := i*taps, min(width, s.k.inner-i)
		if !whole {
			for o := range b - a {
				s.k.decode(w, m[o*lda:][:channels*taps], (o*s.k.inner+i)*taps)
			}
			first = 0
		}
		x := s.in.data[(begin+i)*s.f.plane+s.first+s.low:]
		w.taps(c, s.f.plane, m, first, lda, x, s.f.plane, s.off, rows, channels, s.n)
	}
	for o := range b - a {
		to := dst[o*s.f.plane+s.first:][:s.n]
		if rows > b-a {
			copy(to, c[o*s.f.plane:])
		}
		if s.bias != nil {
			for k := range to {
				to[k] += s.bias[a+o]
			}
		}
	}
	return nil
}
