package npy

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
	"repfuse/internal/zipfile"
)

// maxRatio is how many bytes deflate can make of one at most (RFC 1951: a match of
// 258 bytes in two bits). A member that claims more lies about its size.
const maxRatio = 1032

// OpenZip finds the arrays in a .npz file: member KEY.npy has the key KEY, slashes
// and all. Headers alone are read. Stored members are read where they lie, after
// their CRC was checked once; deflated ones are inflated once, into a temporary file. Both
// files stay open until Close.
func OpenZip(path string, o Options) (*Set, error) {
	f, size, err := disk.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	inflated := &scratch{}
	set := &Set{close: func() error { return errors.Join(f.Close(), inflated.Close()) }}
	if err := set.readZip(f, size, inflated, o); err != nil {
		f.Close()
		return nil, err
	}
	return set, nil
}

func (s *Set) readZip(f *disk.File, size int64, inflated *scratch, o Options) error {
	r, err := zip.NewReader(f, size)
	if err != nil {
		return err
	}
	if err := tensor.Few(len(r.File)); err != nil {
		return err
	}
	if err := zipfile.Apart(f, r.File); err != nil {
		return err
	}
	m, met := newHeaders(o), map[string]bool{}
	for _, z := range r.File {
		key, ok := strings.CutSuffix(z.Name, Ext)
		switch {
		case strings.HasSuffix(z.Name, "/"):
			continue
		case !ok:
			s.Others = append(s.Others, z.Name)
			continue
		case met[key]:
			return fmt.Errorf("member %s twice", z.Name)
		}
		met[key] = true
		t, err := openMember(f, size, z, m, inflated)
		if err != nil {
			return fmt.Errorf("%s: %w", z.Name, err)
		}
		s.Tensors = append(s.Tensors, tensor.Named{Key: key, Tensor: t})
	}
	slices.Sort(s.Others)
	return tensor.Weigh(s.Tensors, size)
}

// openMember reads the header of one member of a file of the given size.
func openMember(f *disk.File, size int64, z *zip.File, m *headers, inflated *scratch) (tensor.Tensor, error) {
	const encrypted = 1
	switch {
	case z.Flags&encrypted != 0:
		return tensor.Tensor{}, fmt.Errorf("encrypted, want stored or deflated")
	case z.Method == zip.Store:
		return openStored(f, size, z, m)
	case z.Method == zip.Deflate:
		return openDeflated(z, m, inflated)
	}
	return tensor.Tensor{}, fmt.Errorf("compressed by method %d, want stored (0) or deflated (8)", z.Method)
}

func openStored(f *disk.File, size int64, z *zip.File, m *headers) (tensor.Tensor, error) {
	if z.CompressedSize64 != z.UncompressedSize64 {
		return tensor.Tensor{}, fmt.Errorf("stored in %d bytes, want its size %d", z.CompressedSize64, z.UncompressedSize64)
	}
	off, err := z.DataOffset()
	if err != nil {
		return tensor.Tensor{}, err
	}
	if z.UncompressedSize64 > uint64(size-off) {
		return tensor.Tensor{}, fmt.Errorf("%d bytes at %d, want them within the file's %d", z.UncompressedSize64, off, size)
	}
	n := int64(z.UncompressedSize64)
	h, err := m.read(io.NewSectionReader(f, off, n), n)
	if err != nil {
		return tensor.Tensor{}, err
	}
	h.Offset += off
	check := sync.OnceValue(func() error { return tensor.CheckCRC(io.NewSectionReader(f, off, n), z.CRC32, nil) })
	return tensor.Tensor{Type: h.Type, Shape: h.Shape, Open: func() (tensor.Data, error) {
		if err := check(); err != nil {
			return nil, fmt.Errorf("%s: %w", z.Name, err)
		}
		return h.elements(f, nil), nil
	}}, nil
}

func openDeflated(z *zip.File, m *headers, inflated *scratch) (tensor.Tensor, error) {
	if z.UncompressedSize64/maxRatio > z.CompressedSize64 {
		return tensor.Tensor{}, fmt.Errorf("%d bytes deflated to %d, want at least one for %d", z.UncompressedSize64, z.CompressedSize64, maxRatio)
	}
	r, err := z.Open()
	if err != nil {
		return tensor.Tensor{}, err
	}
	defer r.Close()
	h, err := m.read(&prefix{r: r}, int64(z.UncompressedSize64))
	if err != nil {
		return tensor.Tensor{}, err
	}
	bytes := sync.OnceValues(func() (io.ReaderAt, error) { return inflated.inflate(z) })
	return tensor.Tensor{Type: h.Type, Shape: h.Shape, Open: func() (tensor.Data, error) {
		b, err := bytes()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", z.Name, err)
		}
		return h.elements(b, nil), nil
	}}, nil
}

// prefix gives random access to the beginning of a stream, as far as it is asked for.
type prefix struct {
	r   io.Reader
	buf []byte
}

// ReadAt reads the stream up to the end of p, if it was not read that far.
func (p *prefix) ReadAt(b []byte, off int64) (int, error) {
	if more := off + int64(len(b)) - int64(len(p.buf)); more > 0 {
		next := make([]byte, more)
		n, err := io.ReadFull(p.r, next)
		p.buf = append(p.buf, next[:n]...)
		if err != nil {
			return 0, fmt.Errorf("inflating its header: %w", err)
		}
	}
	return copy(b, p.buf[off:]), nil
}
