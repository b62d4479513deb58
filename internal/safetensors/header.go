package safetensors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"repfuse/internal/tensor"
)

// maxHeader is the format's own bound on the length of a header, in bytes.
const maxHeader = 100_000_000

// maxRank bounds the number of dimensions; numpy and PyTorch stop at 64.
const maxRank = 64

const metadataKey = "__metadata__"

// header is what is written before the data.
type header struct {
	start    int64 // of the data, in the file
	metadata map[string]string
	entries  []entry // by offset
}

// entry is one tensor: its bytes are begin to end-1 of the data.
type entry struct {
	key        string
	typ        tensor.Type
	shape      []int
	begin, end int64
}

// readHeader reads and checks the header of a file of size bytes.
func readHeader(r io.ReaderAt, size int64) (*header, error) {
	var length [8]byte
	if size < int64(len(length)) {
		return nil, fmt.Errorf("%d bytes, want at least the 8 of the header's length", size)
	}
	if err := tensor.ReadFull(r, length[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader {
		return nil, fmt.Errorf("a header of %d bytes, want at most %d", n, maxHeader)
	}
	if int64(n) > size-8 {
		return nil, fmt.Errorf("a header of %d bytes in a file of %d", n, size)
	}
	text := make([]byte, n)
	if err := tensor.ReadFull(r, text, 8); err != nil {
		return nil, err
	}
	h := &header{start: 8 + int64(n)}
	if err := h.parse(text); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	return h, h.check(size - h.start)
}

func (h *header) parse(text []byte) error {
	return scan(text, func(s *scanner, key string) error {
		if key == metadataKey {
			h.metadata = map[string]string{}
			return wrap(key, s.object(func(name string) (err error) {
				h.metadata[name], err = s.str()
				return wrap(name, err)
			}))
		}
		e, err := parseEntry(s, key)
		h.entries = append(h.entries, e)
		return cmp.Or(wrap(key, err), tensor.Few(len(h.entries)))
	})
}

func wrap(key string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func parseEntry(s *scanner, key string) (entry, error) {
	e := entry{key: key}
	var offsets []int
	seen := 0
	err := s.object(func(name string) (err error) {
		seen++
		switch name {
		case "dtype":
			var dtype string
			if dtype, err = s.str(); err == nil {
				e.typ, err = parseDtype(dtype)
			}
		case "shape":
			e.shape, err = s.numbers(maxRank)
		case "data_offsets":
			offsets, err = s.numbers(2)
		default:
			err = fmt.Errorf("field %q, want dtype, shape and data_offsets only", name)
		}
		return err
	})
	switch {
	case err != nil:
		return e, err
	case seen != 3:
		return e, errors.New("a field is missing, want dtype, shape and data_offsets")
	case len(offsets) != 2 || offsets[0] > offsets[1]:
		return e, fmt.Errorf("data_offsets %v, want a begin and an end not before it", offsets)
	}
	e.begin, e.end = int64(offsets[0]), int64(offsets[1])
	return e, e.fits()
}

// fits says whether the span is as long as type and shape make it.
func (e *entry) fits() error {
	n, err := tensor.Count(e.shape, e.typ)
	if err != nil {
		return err
	}
	if want := int64(n) * int64(e.typ.Size()); e.end-e.begin != want {
		return fmt.Errorf("data_offsets span %d bytes, want the %d of %s %v", e.end-e.begin, want, e.typ, e.shape)
	}
	return nil
}

// check puts the entries in the order of their offsets and says whether they fill
// the data: no hole, no overlap, and the last ends where the file does.
func (h *header) check(data int64) error {
	slices.SortStableFunc(h.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	var at int64
	for _, e := range h.entries {
		switch {
		case e.begin < at:
			return fmt.Errorf("%s: begins at byte %d of the data, inside the tensor before it, which ends at %d", e.key, e.begin, at)
		case e.begin > at:
			return fmt.Errorf("%s: begins at byte %d of the data, want %d where the tensor before it ends", e.key, e.begin, at)
		}
		at = e.end
	}
	if at != data {
		return fmt.Errorf("tensors end at byte %d of the data, want %d where the file ends", at, data)
	}
	return nil
}
