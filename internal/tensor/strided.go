package tensor

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
)

// Strided is how the elements of a tensor lie in a file: element i, j, … is at
// Offset + i·Strides[0] + j·Strides[1] + …, counted in elements.
type Strided struct {
	Type           Type
	Shape, Strides []int
	Offset         int64
	Big            bool // big-endian
}

// InOrder is the strides of elements without gaps, of which those along the last axis are
// neighbours, or with fortran those along the first.
func InOrder(shape []int, fortran bool) []int {
	strides, step := make([]int, len(shape)), 1
	for k := range shape {
		i := len(shape) - 1 - k
		if fortran {
			i = k
		}
		strides[i] = step
		step *= max(shape[i], 1)
	}
	return strides
}

// Within is an error where an element does not lie among the count that there are.
func (l Strided) Within(count int64) error {
	n, err := Count(l.Shape, l.Type)
	if err != nil {
		return err
	}
	if len(l.Strides) != len(l.Shape) {
		return fmt.Errorf("%d strides, want the %d of shape %v", len(l.Strides), len(l.Shape), l.Shape)
	}
	if l.Offset < 0 {
		return fmt.Errorf("offset %d is negative", l.Offset)
	}
	last := l.Offset
	for i, s := range l.Strides {
		if s < 0 {
			return fmt.Errorf("stride %d is negative", s)
		}
		if n == 0 || l.Shape[i] == 1 || s == 0 {
			continue
		}
		if int64(l.Shape[i]-1) > (math.MaxInt64-last)/int64(s) {
			return fmt.Errorf("shape %v with strides %v reaches beyond 2⁶³", l.Shape, l.Strides)
		}
		last += int64(l.Shape[i]-1) * int64(s)
	}
	if n > 0 && last >= count {
		return fmt.Errorf("shape %v with strides %v from %d on reaches element %d of a storage of %d", l.Shape, l.Strides, l.Offset, last, count)
	}
	return nil
}

// Data is the tensor's bytes, whose element 0 is at byte base of r: those of r where they are in order
// there, else through a translation. Closing it closes c, if there is one.
func (l Strided) Data(r io.ReaderAt, base int64, c io.Closer) Data {
	return l.data(r, base, c, bandBytes)
}

func (l Strided) data(r io.ReaderAt, base int64, c io.Closer, most int) Data {
	size := l.Type.Size()
	n := int64(Elems(l.Shape)) * int64(size)
	l = l.merged()
	inOrder := len(l.Shape) == 0 || len(l.Shape) == 1 && l.Strides[0] == 1
	if n == 0 || inOrder && (!l.Big || size == 1) {
		return OwnedSection(r, base+l.Offset*int64(size), n, c)
	}
	if inOrder { // a band reads no more than itself
		most = min(most, windowBytes)
	}
	if len(l.Shape) == 0 {
		l.Shape, l.Strides = []int{1}, []int{1}
	}
	return OwnedSection(&translated{Strided: l, r: io.NewSectionReader(r, base, math.MaxInt64-base), size: size, most: most}, 0, n, c)
}

// merged is the layout with as few axes as say the same: those of one element left
// out, those that continue the next joined with it.
func (l Strided) merged() Strided {
	var shape, strides []int
	for i := len(l.Shape) - 1; i >= 0; i-- {
		n, s := l.Shape[i], l.Strides[i]
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
	l.Shape, l.Strides = shape, strides
	return l
}

const (
	// bandBytes is how much is translated at a time: each band goes once through what it lies among.
	bandBytes = 4 << 20
	// windowBytes is how much of the file is read at a time.
	windowBytes = 1 << 18
	// farBytes is how much between two elements is read over rather than passed over.
	farBytes = 1 << 13
)

// translated reads elements that lie out of order as if they were in order. It holds one band of
// them, so that reading them from the first to the last translates each once.
type translated struct {
	Strided
	r    io.ReaderAt
	size int // of an element
	most int // bytes of a band

	mu    sync.Mutex // of what follows
	from  int        // the first element in band
	band  []byte
	ahead []byte // of the file, from the element at on
	at    int64
}

// ReadAt fills p, which lies within the tensor, from byte off of the elements in order.
func (t *translated) ReadAt(p []byte, off int64) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for done := 0; done < len(p); {
		at := off + int64(done) - int64(t.from*t.size)
		if at < 0 || at >= int64(len(t.band)) {
			if err := t.translate(int((off + int64(done)) / int64(t.size))); err != nil {
				t.band = nil
				return done, err
			}
			continue
		}
		done += copy(p[done:], t.band[at:])
	}
	return len(p), nil
}

// translate makes the band that begins with element e, or with one before it in the same row of an axis.
func (t *translated) translate(e int) error {
	shape, strides, at := t.Shape, t.Strides, t.Offset
	row := Elems(shape[1:])
	for t.from = 0; ; row = Elems(shape[1:]) {
		k := e / row
		at, t.from, e = at+int64(k)*int64(strides[0]), t.from+k*row, e%row
		if len(shape) == 1 || row*t.size <= t.most {
			shape = slices.Concat([]int{min(max(1, t.most/(row*t.size)), shape[0]-k)}, shape[1:])
			break
		}
		shape, strides = shape[1:], strides[1:]
	}
	t.band = Sized(t.band, Elems(shape)*t.size)
	err := t.gather(axes(shape, strides), at)
	if t.Big {
		swap(t.band, t.Type)
	}
	return err
}

// axis is one axis of a band: its extent, and how far its elements are apart in the file and in the band.
type axis struct{ n, from, to, index int }

// axes are those of a band, in the order of the file.
func axes(shape, strides []int) []axis {
	all := make([]axis, len(shape))
	for k, to := range InOrder(shape, false) {
		all[k] = axis{n: shape[k], from: strides[k], to: to}
	}
	slices.SortStableFunc(all, func(a, b axis) int { return cmp.Compare(b.from, a.from) })
	return all
}

// gather fills the band with elements from the one at on, in the order of the file.
func (t *translated) gather(all []axis, at int64) error {
	span, end := 1, at+1 // the elements worth one read, and what is behind the last element of all
	for k := len(all) - 1; k >= 0; k-- {
		if a := all[k]; (a.from-span)*t.size <= farBytes {
			span += (a.n - 1) * a.from
		}
		end += int64(all[k].n-1) * int64(all[k].from)
	}
	span = min(span, max(1, windowBytes/t.size))
	t.ahead = t.ahead[:0]
	inner, outer := all[len(all)-1], all[:len(all)-1]
	for to := 0; ; {
		for k := 0; k < inner.n; {
			src, err := t.window(at+int64(k*inner.from), span, end)
			if err != nil {
				return err
			}
			n := min(inner.n-k, (len(src)/t.size-1)/max(inner.from, 1)+1)
			scatter(t.band[(to+k*inner.to)*t.size:], inner.to*t.size, src, inner.from*t.size, n, t.size)
			k += n
		}
		k := len(outer) - 1
		for ; k >= 0; k-- {
			a := &outer[k]
			a.index, to, at = a.index+1, to+a.to, at+int64(a.from)
			if a.index < a.n {
				break
			}
			a.index, to, at = 0, to-a.n*a.to, at-int64(a.n)*int64(a.from)
		}
		if k < 0 {
			return nil
		}
	}
}

// window is what is in memory of the file from an element on, one element at least. Where there is none it
// reads n elements, none behind the last, end - 1.
func (t *translated) window(from int64, n int, end int64) ([]byte, error) {
	k := int(from-t.at) * t.size
	if k < 0 || k >= len(t.ahead) {
		t.ahead, t.at, k = Sized(t.ahead, int(min(int64(n), end-from))*t.size), from, 0
		if err := ReadFull(t.r, t.ahead, from*int64(t.size)); err != nil {
			t.ahead = t.ahead[:0]
			return nil, err
		}
	}
	return t.ahead[k:], nil
}

// scatter copies n elements of src, so many bytes apart, to dst.
func scatter(dst []byte, to int, src []byte, from, n, size int) {
	for i := range n {
		copy(dst[i*to:i*to+size], src[i*from:i*from+size])
	}
}

// swap turns big-endian numbers round.
func swap(b []byte, t Type) {
	size := t.Size()
	if t == C64 || t == C128 { // two numbers
		size /= 2
	}
	for ; len(b) > 0; b = b[size:] {
		slices.Reverse(b[:size])
	}
}
