package pth

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"

	"repfuse/internal/tensor"
)

// layout is how the elements of a tensor lie in a run of bytes: element i, j, … is
// at offset + i·strides[0] + j·strides[1] + …, counted in elements.
type layout struct {
	typ     tensor.Type
	shape   []int
	strides []int
	offset  int64
	big     bool // big-endian
}

// within says whether every element lies among the count that there are.
func (l layout) within(count int64) error {
	n, err := tensor.Count(l.shape, l.typ)
	if err != nil {
		return err
	}
	if len(l.strides) != len(l.shape) {
		return fmt.Errorf("%d strides, want the %d of shape %v", len(l.strides), len(l.shape), l.shape)
	}
	if l.offset < 0 {
		return fmt.Errorf("offset %d is negative", l.offset)
	}
	last := l.offset
	for i, s := range l.strides {
		if s < 0 {
			return fmt.Errorf("stride %d is negative", s)
		}
		if n == 0 || l.shape[i] == 1 || s == 0 {
			continue
		}
		if int64(l.shape[i]-1) > (math.MaxInt64-last)/int64(s) {
			return fmt.Errorf("shape %v with strides %v reaches beyond 2⁶³", l.shape, l.strides)
		}
		last += int64(l.shape[i]-1) * int64(s)
	}
	if n > 0 && last >= count {
		return fmt.Errorf("shape %v with strides %v from %d on reaches element %d of a storage of %d", l.shape, l.strides, l.offset, last, count)
	}
	return nil
}

// merged is the layout with as few axes as say the same: those of one element left
// out, those that continue the next joined with it.
func (l layout) merged() layout {
	var shape, strides []int
	for i := len(l.shape) - 1; i >= 0; i-- {
		n, s := l.shape[i], l.strides[i]
		if n == 1 {
			continue
		}
		if k := len(shape) - 1; k >= 0 && s == strides[k]*shape[k] {
			shape[k] *= n
			continue
		}
		shape, strides = append(shape, n), append(strides, s)
	}
	slices.Reverse(shape)
	slices.Reverse(strides)
	l.shape, l.strides = shape, strides
	return l
}

// data is the bytes of a tensor: those of the file where they are in order there,
// else through a translation.
func (l layout) data(rec record) tensor.Data {
	size := int64(l.typ.Size())
	m := l.merged()
	n := int64(tensor.Elems(m.shape))
	if n == 0 {
		return tensor.Section(rec.r, rec.off, 0)
	}
	inOrder := len(m.shape) == 0 || len(m.shape) == 1 && m.strides[0] == 1
	if inOrder && (!m.big || size == 1) {
		return tensor.Section(rec.r, rec.off+m.offset*size, n*size)
	}
	if len(m.shape) == 0 {
		m.shape, m.strides = []int{1}, []int{1}
	}
	return &translated{layout: m, rec: rec, n: n}
}

// The translation holds at most this much of the file and of places in it at a time.
const (
	blockBytes = 1 << 18
	batchElems = 1 << 14
	gapBytes   = 1 << 12 // that it reads over rather than read twice
)

// translated reads elements that lie out of order as if they were in order.
type translated struct {
	layout
	rec record
	n   int64
}

func (t *translated) Close() error { return nil }

// ReadAt fills p with the bytes from off on of the elements in order.
func (t *translated) ReadAt(p []byte, off int64) (int, error) {
	size := int64(t.typ.Size())
	if off < 0 {
		return 0, fmt.Errorf("byte %d of a tensor", off)
	}
	done := 0
	for done < len(p) {
		e, skip := (off+int64(done))/size, (off+int64(done))%size
		if e >= t.n {
			return done, io.EOF
		}
		rest := int64(len(p) - done)
		if skip == 0 && rest >= size {
			n := min(rest/size, t.n-e)
			if err := t.elements(p[done:done+int(n*size)], e); err != nil {
				return done, err
			}
			done += int(n * size)
			continue
		}
		var one [16]byte // the part of an element at either end of p
		if err := t.elements(one[:size], e); err != nil {
			return done, err
		}
		done += copy(p[done:], one[skip:size])
	}
	return done, nil
}

// elements fills dst with whole elements from the e-th on.
func (t *translated) elements(dst []byte, e int64) error {
	size := t.typ.Size()
	axis, span, per := t.block()
	read := t.scattered
	if per >= 256 && int64(span) <= 8*per { // a block is worth being read whole
		read = func(dst []byte, e int64) error { return t.dense(dst, e, axis, span, per) }
	} else {
		per = batchElems
	}
	for len(dst) > 0 {
		n := min(int64(len(dst)/size), per-e%per)
		if err := read(dst[:n*int64(size)], e); err != nil {
			return err
		}
		dst, e = dst[n*int64(size):], e+n
	}
	return nil
}

// block is the most of the last axes, from axis on, whose elements lie within
// blockBytes: span is how many elements from the first to the last, per how many of
// the tensor.
func (t *translated) block() (axis, span int, per int64) {
	limit := blockBytes / t.typ.Size()
	axis, span, per = len(t.shape), 1, 1
	for axis > 0 {
		n, s := t.shape[axis-1], t.strides[axis-1]
		if s > 0 && n-1 > (limit-span)/s {
			break
		}
		axis, span, per = axis-1, span+(n-1)*s, per*int64(n)
	}
	return axis, span, per
}

var buffers = sync.Pool{New: func() any { b := make([]byte, blockBytes); return &b }}

// dense gathers elements of one block, which it reads whole.
func (t *translated) dense(dst []byte, e int64, axis, span int, per int64) error {
	held := buffers.Get().(*[]byte)
	defer buffers.Put(held)
	size := t.typ.Size()
	buf := (*held)[:span*size]
	w := t.walk(e - e%per)
	first := w.at
	if err := tensor.ReadFull(t.rec.r, buf, t.rec.off+first*int64(size)); err != nil {
		return err
	}
	w = t.walk(e)
	for ; len(dst) > 0; dst = dst[size:] {
		t.put(dst, buf[int(w.at-first)*size:])
		w.next(t)
	}
	return nil
}

// place is where an element lies and where it goes, both counted in elements.
type place struct {
	from int64
	to   int
}

// scattered reads elements that lie far from each other in the order in which they
// lie, so that neighbours in the file are read together.
func (t *translated) scattered(dst []byte, e int64) error {
	size := t.typ.Size()
	places := make([]place, len(dst)/size)
	w := t.walk(e)
	for i := range places {
		places[i] = place{w.at, i}
		w.next(t)
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.from, b.from) })
	held := buffers.Get().(*[]byte)
	defer buffers.Put(held)
	for len(places) > 0 {
		n := t.run(places, size)
		first := places[0].from
		buf := (*held)[:int(places[n-1].from-first+1)*size]
		if err := tensor.ReadFull(t.rec.r, buf, t.rec.off+first*int64(size)); err != nil {
			return err
		}
		for _, p := range places[:n] {
			t.put(dst[p.to*size:], buf[int(p.from-first)*size:])
		}
		places = places[n:]
	}
	return nil
}

// run is how many of the first places are worth one read.
func (t *translated) run(places []place, size int) int {
	n := 1
	for n < len(places) &&
		(places[n].from-places[n-1].from)*int64(size) <= gapBytes &&
		(places[n].from-places[0].from+1)*int64(size) <= blockBytes {
		n++
	}
	return n
}

// put copies one element, little-endian.
func (t *translated) put(dst, src []byte) {
	size := t.typ.Size()
	copy(dst[:size], src[:size])
	if !t.big {
		return
	}
	part := size
	if t.typ == tensor.C64 || t.typ == tensor.C128 { // two numbers
		part /= 2
	}
	for i := 0; i < size; i += part {
		slices.Reverse(dst[i : i+part])
	}
}

// walker goes through the elements in order.
type walker struct {
	index []int
	at    int64 // of the element, in the storage
}

// walk begins at the e-th element.
func (t *translated) walk(e int64) walker {
	w := walker{index: make([]int, len(t.shape)), at: t.offset}
	for i := len(t.shape) - 1; i >= 0; i-- {
		w.index[i] = int(e % int64(t.shape[i]))
		e /= int64(t.shape[i])
		w.at += int64(w.index[i]) * int64(t.strides[i])
	}
	return w
}

func (w *walker) next(t *translated) {
	for i := len(w.index) - 1; i >= 0; i-- {
		w.index[i]++
		w.at += int64(t.strides[i])
		if w.index[i] < t.shape[i] {
			return
		}
		w.at -= int64(t.shape[i]) * int64(t.strides[i])
		w.index[i] = 0
	}
}
