package npy

import (
	"io"
	"slices"

	"repfuse/internal/tensor"
)

// elements opens the elements behind header h in r, in tensor order. Closing them
// closes c, if there is one.
func (h Header) elements(r io.ReaderAt, c io.Closer) tensor.Data {
	n := int64(tensor.Elems(h.Shape)) * int64(h.Type.Size())
	d := tensor.OwnedSection(r, h.Offset, n, c)
	if shape := withoutOnes(h.Shape); h.Fortran && len(shape) > 1 && n > 0 {
		d = newTransposed(d, shape, h.Type.Size())
	}
	if h.BigEndian { // last: each band goes through the whole file, and this only once
		d = &swapped{d, n, wordSize(h.Type)}
	}
	return d
}

// wordSize is the number of bytes that byte order turns round: complex numbers
// are two words.
func wordSize(t tensor.Type) int {
	if t == tensor.C64 || t == tensor.C128 {
		return t.Size() / 2
	}
	return t.Size()
}

// withoutOnes leaves out the dimensions of size 1: they move nothing in memory.
func withoutOnes(shape []int) []int {
	return slices.DeleteFunc(slices.Clone(shape), func(n int) bool { return n == 1 })
}

// swapped turns the words of big-endian data round.
type swapped struct {
	tensor.Data
	size int64 // of the data, in bytes
	word int
}

// ReadAt reads whole words: into p where p is made of such, else by way of a
// buffer of as many words as p touches.
func (s *swapped) ReadAt(p []byte, off int64) (int, error) {
	w := int64(s.word)
	from, to := off/w*w, min((off+int64(len(p))+w-1)/w*w, s.size)
	if off < 0 || from >= to || off == from && to-from == int64(len(p)) {
		n, err := s.Data.ReadAt(p, off)
		reverse(p[:n], s.word)
		return n, err
	}
	b := make([]byte, to-from)
	n, err := s.Data.ReadAt(b, from)
	reverse(b[:n], s.word)
	n = copy(p, b[min(off-from, int64(n)):n])
	switch {
	case n == len(p):
		err = nil
	case err == nil:
		err = io.EOF
	}
	return n, err
}

// reverse turns every whole word of b round.
func reverse(b []byte, word int) {
	for ; len(b) >= word; b = b[word:] {
		slices.Reverse(b[:word])
	}
}
