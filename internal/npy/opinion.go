package npy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/sbinet/npyio/npy"
)

// secondOpinion asks npyio what the header says. It finds the entries by their
// place in the text, so it is asked only about headers that are, but for the white
// space at the end, what numpy itself writes; of others it misreads some and
// panics over some. It never sees the elements: it would take a truncated file.
func secondOpinion(text []byte, d dict) error {
	canonical := appendDict(nil, d)
	if !bytes.HasPrefix(text, canonical) {
		return nil
	}
	h, err := npyioHeader(canonical)
	if err == nil {
		err = agree(h, d)
	}
	if err != nil {
		return fmt.Errorf("header %q: npyio: %w", canonical, err)
	}
	return nil
}

// agree is an error where the two readings differ.
func agree(h npy.Header, d dict) error {
	if h.Descr.Type != d.descr || h.Descr.Fortran != d.fortran || !slices.Equal(h.Descr.Shape, d.shape) {
		return fmt.Errorf("reads %+v, want %+v", h.Descr, d)
	}
	return nil
}

// npyioHeader is npyio's reading of a dict, as version 2, with its panics caught.
func npyioHeader(text []byte) (h npy.Header, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	file := append([]byte(magic), 2, 0)
	file = binary.LittleEndian.AppendUint32(file, uint32(len(text)+1))
	file = append(append(file, text...), '\n')
	r, err := npy.NewReader(bytes.NewReader(file))
	if err != nil {
		return npy.Header{}, err
	}
	return r.Header, nil
}
