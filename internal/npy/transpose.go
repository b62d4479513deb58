package npy

import (
	"encoding/binary"
	"io"
	"sync"

	"repfuse/internal/tensor"
)

const (
	// bandBytes bounds the piece that is transposed at a time.
	bandBytes = 4 << 20
	// bandsKept is how many pieces stay in memory: two, for two readers of
	// neighbouring rows.
	bandsKept = 2
	// windowBytes is how much of the file is read at a time.
	windowBytes = 256 << 10
	// farBytes is the distance between elements from which on it is cheaper to
	// read each run alone than all that lies between them.
	farBytes = 64 << 10
)

// transposed hands out an array in Fortran order as if it were row-major. It makes
// bands, pieces of the row-major bytes of at most bandBytes, by going once through
// the file for each, and keeps the last few: reading an array from its start to its
// end costs (its size / bandBytes) passes through the file, in bounded memory.
type transposed struct {
	tensor.Data
	shape []int // no dimension is 1; at least two
	item  int   // bytes of an element
	size  int64 // bytes
	most  int   // bytes of a band, bandBytes but in tests
	ahead int   // windowBytes but in tests

	mu    sync.Mutex
	bands []band // the last used is last
	buf   []byte // the window's
}

// band is the row-major bytes from off on.
type band struct {
	off   int64
	bytes []byte
}

func newTransposed(d tensor.Data, shape []int, item int) *transposed {
	return &transposed{Data: d, shape: shape, item: item, size: int64(tensor.Elems(shape)) * int64(item),
		most: bandBytes, ahead: windowBytes}
}

// ReadAt copies out of the bands that p lies in.
func (t *transposed) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= t.size {
		return 0, io.EOF
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for n < len(p) && off < t.size {
		b, err := t.band(off)
		if err != nil {
			return n, err
		}
		m := copy(p[n:], b.bytes[off-b.off:])
		n, off = n+m, off+int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// band finds or makes the band that byte off lies in.
func (t *transposed) band(off int64) (band, error) {
	for i, b := range t.bands {
		if b.off <= off && off < b.off+int64(len(b.bytes)) {
			t.bands = append(append(t.bands[:i:i], t.bands[i+1:]...), b)
			return b, nil
		}
	}
	c := t.cut(off)
	var old []byte
	if len(t.bands) == bandsKept {
		old = t.bands[0].bytes[:0]
		t.bands = append(t.bands[:0:0], t.bands[1:]...)
	}
	b, err := t.make(c, old)
	if err == nil {
		t.bands = append(t.bands, b)
	}
	return b, err
}

// cut is a piece of the array: the indices of the first len(fixed) dimensions are
// fixed, that of the next goes from..to-1, and those of the rest go all the way.
type cut struct {
	fixed    []int
	from, to int
}

// cut finds the piece of at most bandBytes that byte off lies in.
func (t *transposed) cut(off int64) cut {
	e := int(off / int64(t.item))
	var fixed []int
	for i := range t.shape {
		row := tensor.Elems(t.shape[i+1:]) // elements per index of dimension i
		n := t.most / (row * t.item)
		if n == 0 && i < len(t.shape)-1 {
			fixed = append(fixed, e/row)
			e %= row
			continue
		}
		from := e / row / n * n
		return cut{fixed, from, min(from+n, t.shape[i])}
	}
	panic("npy: an element larger than a band")
}

// make transposes a piece: it visits the elements in the order they have in the
// file and puts each where row-major order has it. old is memory to use again.
func (t *transposed) make(c cut, old []byte) (band, error) {
	k := len(c.fixed) // the dimension that is cut
	stride := 1       // of dimension k in the file, in elements
	base, start := 0, 0
	for i, x := range c.fixed {
		base += x * stride
		stride *= t.shape[i]
		start += x * tensor.Elems(t.shape[i+1:])
	}
	rest := t.shape[k+1:]
	row, n := tensor.Elems(rest), c.to-c.from
	start += c.from * row
	out := grow(old, n*row*t.item)
	w := &window{r: t.Data, size: t.size, item: t.item, buf: t.buf[:0]}
	defer func() { t.buf = w.buf }()
	step := stride * t.shape[k] * t.item // between neighbours along the rest
	w.ahead = t.ahead
	if step >= farBytes {
		w.ahead = min(((n-1)*stride+1)*t.item, t.ahead)
	}
	index := make([]int, len(rest))
	col := 0 // the row-major place of index among the rest
	for f := range row {
		pos := base + stride*(c.from+t.shape[k]*f)
		for j := 0; j < n; {
			src, err := w.from(int64(pos+j*stride) * int64(t.item))
			if err != nil {
				return band{}, err
			}
			m := min(n-j, (len(src)/t.item-1)/stride+1)
			scatter(out[(j*row+col)*t.item:], row, src, stride, m, t.item)
			j += m
		}
		col = next(index, rest, col)
	}
	return band{int64(start) * int64(t.item), out}, nil
}

// next steps index on in Fortran order and col, its row-major place, with it.
func next(index, shape []int, col int) int {
	for i, n := range shape {
		stride := tensor.Elems(shape[i+1:])
		if index[i]++; index[i] < n {
			return col + stride
		}
		index[i] = 0
		col -= (n - 1) * stride
	}
	return col
}

// scatter copies n elements of src, step from apart, to dst, step to apart.
func scatter(dst []byte, to int, src []byte, from, n, item int) {
	le := binary.LittleEndian
	switch item {
	case 2:
		for i := range n {
			le.PutUint16(dst[2*i*to:], le.Uint16(src[2*i*from:]))
		}
	case 4:
		for i := range n {
			le.PutUint32(dst[4*i*to:], le.Uint32(src[4*i*from:]))
		}
	case 8:
		for i := range n {
			le.PutUint64(dst[8*i*to:], le.Uint64(src[8*i*from:]))
		}
	default:
		for i := range n {
			copy(dst[i*to*item:][:item], src[i*from*item:])
		}
	}
}

func grow(b []byte, n int) []byte {
	if cap(b) >= n {
		return b[:n]
	}
	return make([]byte, n)
}

// window is the part of a file that was read last.
type window struct {
	r     io.ReaderAt
	size  int64 // of the file's elements, in bytes
	item  int
	ahead int // how much to read at a time

	buf []byte
	off int64
}

// from is the file from byte off on as far as it was read, one element at least,
// until the next call.
func (w *window) from(off int64) ([]byte, error) {
	i := off - w.off
	if i < 0 || i+int64(w.item) > int64(len(w.buf)) {
		n := min(int64(w.ahead), w.size-off)
		w.buf, w.off, i = grow(w.buf, int(n)), off, 0
		if err := tensor.ReadFull(w.r, w.buf, off); err != nil {
			w.buf = w.buf[:0]
			return nil, err
		}
	}
	return w.buf[i:], nil
}
