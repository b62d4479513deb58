// Package npy reads and writes numpy's .npy and .npz files: a short header, which
// is a Python dict, and the elements of one array after it.
//
// A header is believed only where it and the file agree to the byte: the product
// of the shape times the element's size is what follows the header, neither less
// nor more. Whatever order the elements lie in (Fortran order, big-endian), they
// are handed out as package tensor promises: row-major, little-endian.
package npy

import (
	"encoding/binary"
	"fmt"
	"io"

	"repfuse/internal/tensor"
)

// maxHeader is the longest header that is read, in bytes: numpy's own limit.
const maxHeader = 10000

// maxRank is the most dimensions that numpy (since 2.0) gives an array.
const maxRank = 64

const magic = "\x93NUMPY"

// Header is what stands before the elements of a .npy file.
type Header struct {
	Type  tensor.Type
	Shape []int
	// Fortran says that the first index varies fastest.
	Fortran bool
	// BigEndian says that elements of more than one byte have the high one first.
	BigEndian bool
	// Offset is where the elements begin, in bytes from the start of the file.
	Offset int64
}

// Options are the choices that a .npy file leaves open.
type Options struct {
	// BFloat16 says that elements of two bytes and no type ("|V2", "<V2") are
	// bfloat16: numpy has no such type and forgets what they were.
	BFloat16 bool
}

// headers reads headers one after the other. It remembers the dicts that it found good: a
// model has few, and each many times.
type headers struct {
	o     Options
	first [firstRead]byte
	met   map[dictText]dict // their shapes are not to be written to
}

type dictText struct {
	version byte
	text    string
}

func newHeaders(o Options) *headers { return &headers{o: o, met: map[dictText]dict{}} }

// read reads the header of a .npy file of size bytes, and holds it against that size. It
// allocates no more than the header's own length.
func (m *headers) read(r io.ReaderAt, size int64) (Header, error) {
	version, text, offset, err := readDict(r, size, &m.first)
	if err != nil {
		return Header{}, err
	}
	d, met := m.met[dictText{version, string(text)}]
	if !met {
		if d, err = parseDict(text, version); err != nil {
			return Header{}, fmt.Errorf("header: %w", err)
		}
	}
	h := Header{Shape: d.shape, Fortran: d.fortran, Offset: offset}
	if h.Type, h.BigEndian, err = parseDescr(d.descr, m.o); err != nil {
		return Header{}, err
	}
	if !met {
		if err := secondOpinion(text, d); err != nil {
			return Header{}, err
		}
		m.met[dictText{version, string(text)}] = d
	}
	return h, h.check(size)
}

// check holds the header against the size of its file.
func (h Header) check(size int64) error {
	n, err := tensor.Count(h.Shape, h.Type)
	if err != nil {
		return err
	}
	if got, want := size-h.Offset, int64(n)*int64(h.Type.Size()); got != want {
		return fmt.Errorf("%d bytes after the header, want %d for shape %v of %s", got, want, h.Shape, h.Type)
	}
	return nil
}

// elements opens the elements behind the header in r, in tensor order. Closing them
// closes c, if there is one.
func (h Header) elements(r io.ReaderAt, c io.Closer) tensor.Data {
	l := tensor.Strided{Type: h.Type, Shape: h.Shape, Strides: tensor.InOrder(h.Shape, h.Fortran), Big: h.BigEndian}
	return l.Data(r, h.Offset, c)
}

// prefixes is the length of magic, version and header length by version.
var prefixes = [...]int{1: 10, 2: 12, 3: 12}

// firstRead is longer than nearly every header: one read.
const firstRead = 256

// readDict gives the version, the text of the dict, which may lie in first, and where the
// elements begin.
func readDict(r io.ReaderAt, size int64, first *[firstRead]byte) (version byte, text []byte, offset int64, err error) {
	head := first[:min(size, int64(len(first)))]
	if err := tensor.ReadFull(r, head, 0); err != nil {
		return 0, nil, 0, err
	}
	if len(head) < len(magic)+2 || string(head[:len(magic)]) != magic {
		return 0, nil, 0, fmt.Errorf("begins with %q, want %q: not a .npy file", head[:min(len(head), len(magic))], magic)
	}
	version = head[len(magic)]
	if minor := head[len(magic)+1]; version < 1 || version > 3 || minor != 0 {
		return 0, nil, 0, fmt.Errorf("version %d.%d, want 1.0, 2.0 or 3.0", version, minor)
	}
	prefix := prefixes[version]
	if len(head) < prefix {
		return 0, nil, 0, fmt.Errorf("%d bytes, want at least %d for the header's length", len(head), prefix)
	}
	n := int64(binary.LittleEndian.Uint16(head[8:]))
	if version > 1 {
		n = int64(binary.LittleEndian.Uint32(head[8:]))
	}
	offset = int64(prefix) + n
	if n > maxHeader {
		return 0, nil, 0, fmt.Errorf("header of %d bytes, want at most %d", n, maxHeader)
	}
	if offset > size {
		return 0, nil, 0, fmt.Errorf("header of %d bytes, want at most the %d that the file has left", n, size-int64(prefix))
	}
	if offset <= int64(len(head)) {
		return version, head[prefix:offset], offset, nil
	}
	text = make([]byte, n)
	got := copy(text, head[prefix:])
	return version, text, offset, tensor.ReadFull(r, text[got:], int64(len(head)))
}
