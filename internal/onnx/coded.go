package onnx

import (
	"encoding/binary"
	"errors"
	"io"
)

var errTwoFields = errors.New("its elements are in fields of two kinds")

// coded is the elements of a tensor as numbers of protobuf: varints, or fixed numbers
// with a tag before each. It reads them as the little-endian bytes that they stand
// for, from the nearest mark on, so that no more is in memory than is asked for.
type coded struct {
	m      message // the tensor's, from the first of the fields on
	number int     // of the fields
	n      int64   // numbers in all
	size   int     // bytes that each stands for
	run    span    // the one packed field that holds all of them, if one does
	marks  []mark  // where number k·every is
}

// every is how many numbers lie between two marks.
const every = 4096

// mark is a place in the file where a number begins; packed is the end of the packed
// field that it lies in, 0 where it has a tag of its own.
type mark struct{ at, packed int64 }

// count takes note of one more field of numbers.
func (c *coded) count(m message, f field) error {
	if f.number != c.number {
		return errTwoFields
	}
	if c.run = (span{f.at, f.end}); c.n > 0 || f.wire != wireLen {
		c.run = span{}
	}
	w := walk{m: message{m.src, f.start, f.end, m.in}, c: c}
	for {
		at := w.place()
		_, ok, err := w.next()
		if err != nil || !ok {
			return err
		}
		if c.n%every == 0 {
			c.marks = append(c.marks, at)
		}
		c.n++
	}
}

// walk goes over the numbers of a tensor.
type walk struct {
	m      message // in the packed field, or between fields
	end    int64   // of the tensor, where m is in a packed field
	packed bool
	c      *coded
}

func (w *walk) place() mark {
	if w.packed && w.m.at < w.m.end {
		return mark{w.m.at, w.m.end}
	}
	return mark{w.m.at, 0}
}

// next is the next number; ok is false at the end.
func (w *walk) next() (v uint64, ok bool, err error) {
	wire := numberFields[w.c.number].wire
	for {
		if w.packed && w.m.at < w.m.end {
			v, err := w.m.number(wire)
			return v, err == nil, err
		}
		if w.packed {
			w.packed, w.m.end = false, w.end
		}
		f, ok, err := w.m.next()
		switch {
		case err != nil || !ok:
			return 0, false, err
		case f.number != w.c.number:
		case f.wire == wire:
			return f.value, true, nil
		case f.wire == wireLen:
			w.packed, w.end = true, w.m.end
			w.m.at, w.m.end = f.at, f.end
		default:
			return 0, false, errTwoFields
		}
	}
}

// ReadAt fills p, which lies among the elements, from byte off of them on.
func (c *coded) ReadAt(p []byte, off int64) (int, error) {
	k := off / int64(c.size)
	at := c.marks[k/every]
	w := walk{m: message{&source{r: c.m.src.r, size: c.m.src.size}, at.at, c.m.end, c.m.in}, end: c.m.end, c: c}
	if at.packed > 0 {
		w.packed, w.m.end = true, at.packed
	}
	for range k % every {
		if _, _, err := w.next(); err != nil {
			return 0, err
		}
	}
	skip, done := int(off%int64(c.size)), 0
	for done < len(p) {
		v, ok, err := w.next()
		if err != nil {
			return done, err
		}
		if !ok {
			return done, io.EOF
		}
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], v)
		done += copy(p[done:], b[skip:c.size])
		skip = 0
	}
	return done, nil
}
