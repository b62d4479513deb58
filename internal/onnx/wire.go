package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"repfuse/internal/tensor"
)

// The wire types of protobuf (protobuf.dev/programming-guides/encoding).
const (
	wireVarint = 0
	wireI64    = 1
	wireLen    = 2
	wireI32    = 5
)

// maxDepth bounds how deep messages are nested, as protobuf's own readers do.
const maxDepth = 100

// maxText bounds the strings that are read: names, types, keys. Longer ones are an
// error where a name is meant; what repfuse does not ask for has no bound, since it
// is passed over.
const maxText = 64 << 10

// source is a file, seen through a window, so that what is passed over costs nothing.
type source struct {
	r      io.ReaderAt
	size   int64
	window [16 << 10]byte
	from   int64 // of the window in the file
	n      int   // bytes in it
}

// view is n bytes of the file, good until the next call.
func (s *source) view(at int64, n int) ([]byte, error) {
	if n > len(s.window) {
		b := make([]byte, n)
		return b, tensor.ReadFull(s.r, b, at)
	}
	if at < s.from || at+int64(n) > s.from+int64(s.n) {
		s.from, s.n = at, int(min(int64(len(s.window)), s.size-at))
		if s.n < n {
			return nil, tensor.ErrShort
		}
		if err := tensor.ReadFull(s.r, s.window[:s.n], at); err != nil {
			s.n = 0
			return nil, err
		}
	}
	return s.window[at-s.from:][:n], nil
}

// message is a protobuf message in the file, or what is left of it.
type message struct {
	src     *source
	at, end int64
	in      *holder // the field that it is the content of
}

// holder is a field that holds a message: its bytes from the tag on are from to to-1, its
// content begins at at. Those around it follow.
type holder struct {
	from, at, to int64
	around       *holder
	depth        int
}

// field is one field of a message: its bytes from the tag on are start to end-1, its
// content at to end-1. Of a varint or a fixed number, value is the content.
type field struct {
	number, wire   int
	start, at, end int64
	value          uint64
}

// next takes the next field; ok is false at the message's end.
func (m *message) next() (f field, ok bool, err error) {
	if m.at == m.end {
		return f, false, nil
	}
	f.start = m.at
	tag, err := m.varint()
	if err != nil {
		return f, false, err
	}
	f.number, f.wire, f.at = int(tag>>3), int(tag&7), m.at
	if f.number == 0 || tag>>32 != 0 {
		return f, false, fmt.Errorf("byte %d: field number %d, which protobuf has not", f.start, tag>>3)
	}
	n := uint64(0) // bytes to pass over
	switch f.wire {
	case wireVarint:
		f.value, err = m.varint()
	case wireI64:
		n = 8
	case wireI32:
		n = 4
	case wireLen:
		n, err = m.varint()
		f.at = m.at
	default:
		err = fmt.Errorf("byte %d: wire type %d, want 0, 1, 2 or 5", f.start, f.wire)
	}
	if err != nil {
		return f, false, err
	}
	if n > uint64(m.end-m.at) {
		return f, false, fmt.Errorf("byte %d: a field of %d bytes, where what holds it has %d left", f.start, n, m.end-m.at)
	}
	if f.wire == wireI32 || f.wire == wireI64 {
		f.value, err = m.fixed(int(n))
	}
	m.at += int64(n)
	f.end = m.at
	return f, true, err
}

// fixed is the little-endian number of n bytes that is next.
func (m *message) fixed(n int) (uint64, error) {
	b, err := m.src.view(m.at, n)
	switch {
	case err != nil:
		return 0, err
	case n == 4:
		return uint64(binary.LittleEndian.Uint32(b)), nil
	default:
		return binary.LittleEndian.Uint64(b), nil
	}
}

// varint takes a number of seven bits a byte.
func (m *message) varint() (uint64, error) {
	b, err := m.src.view(m.at, int(min(binary.MaxVarintLen64, m.end-m.at)))
	if err != nil {
		return 0, err
	}
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, fmt.Errorf("byte %d: a number that does not end", m.at)
	}
	m.at += int64(n)
	return v, nil
}

// each calls visit for every field of the message.
func (m message) each(visit func(f field) error) error {
	for {
		f, ok, err := m.next()
		if err != nil || !ok {
			return err
		}
		if err := visit(f); err != nil {
			return err
		}
	}
}

// fields calls visit for every field of the message that is the content of f.
func (m message) fields(f field, visit func(m message, f field) error) error {
	if f.wire != wireLen {
		return fmt.Errorf("byte %d: wire type %d, want a message", f.start, f.wire)
	}
	if m.in.depth == maxDepth {
		return fmt.Errorf("byte %d: messages nested more than %d deep", f.start, maxDepth)
	}
	in := message{m.src, f.at, f.end, &holder{f.start, f.at, f.end, m.in, m.in.depth + 1}}
	return in.each(func(f field) error { return visit(in, f) })
}

// text is the content of f as a string.
func (m message) text(f field) (string, error) {
	n := f.end - f.at
	if f.wire != wireLen || n > maxText {
		return "", fmt.Errorf("byte %d: a name of %d bytes and wire type %d, want at most %d and wire type 2", f.start, n, f.wire, maxText)
	}
	b, err := m.src.view(f.at, int(n))
	return string(b), err
}

// numbers appends the content of f, a repeated number of the wire type given, packed or not.
func (m message) numbers(to []uint64, f field, wire int) ([]uint64, error) {
	if f.wire == wire {
		return append(to, f.value), nil
	}
	if f.wire != wireLen {
		return nil, fmt.Errorf("byte %d: wire type %d, want numbers", f.start, f.wire)
	}
	in := message{m.src, f.at, f.end, m.in}
	for in.at < in.end {
		v, err := in.number(wire)
		if err != nil {
			return nil, err
		}
		to = append(to, v)
	}
	return to, nil
}

// number takes one number of a packed field.
func (m *message) number(wire int) (v uint64, err error) {
	n := 4
	switch wire {
	case wireVarint:
		return m.varint()
	case wireI64:
		n = 8
	}
	if int64(n) > m.end-m.at {
		return 0, errors.New("a packed field that ends within a number")
	}
	v, err = m.fixed(n)
	m.at += int64(n)
	return v, err
}

// The encoding of what is written.

func appendTag(b []byte, number, wire int) []byte {
	return binary.AppendUvarint(b, uint64(number)<<3|uint64(wire))
}

func appendInt(b []byte, number int, v int64) []byte {
	return binary.AppendUvarint(appendTag(b, number, wireVarint), uint64(v))
}

func appendText[T string | []byte](b []byte, number int, s T) []byte {
	b = binary.AppendUvarint(appendTag(b, number, wireLen), uint64(len(s)))
	return append(b, s...)
}

func appendLen(b []byte, n int64) []byte { return binary.AppendUvarint(b, uint64(n)) }
