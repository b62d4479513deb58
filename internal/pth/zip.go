package pth

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"sync"

	"repfuse/internal/pth/pickle"
	"repfuse/internal/tensor"
)

// maxInflated bounds a compressed pickle, in bytes as it was; PyTorch compresses
// nothing, but a file may have been packed anew.
const maxInflated = 64 << 20

// zipped is a zip archive whose records lie in the file as they are.
type zipped struct {
	r     io.ReaderAt
	size  int64
	root  string // the folder that all records are in, with a slash, "" for none
	list  []*zip.File
	files map[string]*zip.File
	held  map[string]*checked
}

// listZip lists an archive's records, of which root is not known yet.
func listZip(r io.ReaderAt, size int64) (*zipped, error) {
	list, err := zip.NewReader(r, size)
	if err != nil {
		return nil, err
	}
	z := &zipped{r: r, size: size, list: list.File, files: make(map[string]*zip.File, len(list.File)), held: map[string]*checked{}}
	for _, f := range z.list {
		if z.files[f.Name] != nil {
			return nil, fmt.Errorf("record %s is there twice", f.Name)
		}
		z.files[f.Name] = f
	}
	return z, nil
}

func openZip(r io.ReaderAt, size int64) (*archive, error) {
	z, err := listZip(r, size)
	if err != nil {
		return nil, err
	}
	if err := z.findRoot(); err != nil {
		return nil, err
	}
	a := &archive{record: func(key string) (record, error) { return z.checked("data/" + key) }}
	if a.big, err = z.byteOrder(); err != nil {
		return nil, err
	}
	text, n, err := z.pickle()
	if err != nil {
		return nil, fmt.Errorf("data.pkl: %w", err)
	}
	p, err := pickle.Load(text, 0, n)
	if err != nil {
		return nil, fmt.Errorf("data.pkl: %w", err)
	}
	a.value, a.text = p.Value, text
	return a, nil
}

// ErrScript says that a file is a program with its weights.
var ErrScript = errors.New("a TorchScript archive, which is a program, want a state dict saved by torch.save")

// findRoot finds the one folder that holds a data.pkl, and tells programs from data.
func (z *zipped) findRoot() error {
	found := false
	for _, f := range z.list {
		if root, ok := strings.CutSuffix(f.Name, "data.pkl"); ok && strings.Count(root, "/") == 1 && strings.HasSuffix(root, "/") {
			if found {
				return fmt.Errorf("%s and %sdata.pkl are there, want one data.pkl", f.Name, z.root)
			}
			z.root, found = root, true
		}
	}
	if !found {
		return errors.New("a zip archive without a data.pkl, want one written by torch.save")
	}
	for _, f := range z.list {
		name, _ := strings.CutPrefix(f.Name, z.root)
		if name == "constants.pkl" || strings.HasPrefix(name, "code/") {
			return ErrScript
		}
	}
	return nil
}

// checked finds a record that was not compressed, which is held to its CRC when it is first read.
func (z *zipped) checked(name string) (record, error) {
	rec, err := z.stored(name)
	if err != nil {
		return record{}, err
	}
	crc := z.files[z.root+name].CRC32
	if crc == 0 { // as in pickle
		return rec, nil
	}
	if z.held[name] == nil {
		z.held[name] = &checked{record: rec, name: name, crc: crc}
	}
	rec.r = z.held[name]
	return rec, nil
}

// checked reads a record that is held to its CRC when it is first read.
type checked struct {
	record
	name string
	crc  uint32
	once sync.Once
	err  error
}

// ReadAt reads the record once more the first time, except where it is asked for all of it.
func (c *checked) ReadAt(p []byte, off int64) (int, error) {
	whole := false
	c.once.Do(func() {
		if err := tensor.CheckCRC(io.NewSectionReader(c.r, c.off, c.n), c.crc, p); err != nil {
			c.err = fmt.Errorf("record %s: %w", c.name, err)
		}
		whole = off == c.off && int64(len(p)) == c.n
	})
	switch {
	case c.err != nil:
		return 0, c.err
	case whole:
		return len(p), nil
	}
	return c.r.ReadAt(p, off)
}

// stored finds a record that was not compressed.
func (z *zipped) stored(name string) (record, error) {
	f := z.files[z.root+name]
	if f == nil {
		return record{}, fmt.Errorf("record %s is missing", name)
	}
	if f.Flags&1 != 0 {
		return record{}, fmt.Errorf("record %s is encrypted", name)
	}
	if f.Method != zip.Store || f.CompressedSize64 != f.UncompressedSize64 {
		return record{}, fmt.Errorf("record %s is compressed, want it stored as torch.save does", name)
	}
	return z.span(f, name)
}

// span is where the bytes of a record lie.
func (z *zipped) span(f *zip.File, name string) (record, error) {
	off, err := f.DataOffset()
	if err != nil {
		return record{}, fmt.Errorf("record %s: %w", name, err)
	}
	n := f.CompressedSize64
	if off < 0 || off > z.size || n > uint64(z.size-off) {
		return record{}, fmt.Errorf("record %s: %d bytes from byte %d on, beyond the end of the file at %d", name, n, off, z.size)
	}
	return record{z.r, off, int64(n)}, nil
}

// pickle is the bytes of data.pkl: those of the file, or inflated in memory.
func (z *zipped) pickle() (io.ReaderAt, int64, error) {
	f := z.files[z.root+"data.pkl"]
	if f.Method == zip.Deflate && f.Flags&1 == 0 {
		return z.inflate(f)
	}
	rec, err := z.stored("data.pkl")
	if err != nil {
		return nil, 0, err
	}
	text := io.NewSectionReader(rec.r, rec.off, rec.n)
	if f.CRC32 != 0 { // 0 is written where PyTorch was told to compute none
		if err := tensor.CheckCRC(text, f.CRC32, nil); err != nil {
			return nil, 0, err
		}
	}
	return text, rec.n, nil
}

func (z *zipped) inflate(f *zip.File) (io.ReaderAt, int64, error) {
	rec, err := z.span(f, "data.pkl")
	if err != nil {
		return nil, 0, err
	}
	if f.UncompressedSize64 > maxInflated {
		return nil, 0, fmt.Errorf("inflates to %d bytes, want at most %d", f.UncompressedSize64, maxInflated)
	}
	d := flate.NewReader(io.NewSectionReader(rec.r, rec.off, rec.n))
	b, err := io.ReadAll(io.LimitReader(d, int64(f.UncompressedSize64)+1))
	switch {
	case err != nil:
		return nil, 0, err
	case uint64(len(b)) != f.UncompressedSize64:
		return nil, 0, fmt.Errorf("does not inflate to the %d bytes that it announces", f.UncompressedSize64)
	case f.CRC32 != 0 && crc32.ChecksumIEEE(b) != f.CRC32:
		return nil, 0, fmt.Errorf("CRC-32 is %08x, want %08x", crc32.ChecksumIEEE(b), f.CRC32)
	}
	return bytes.NewReader(b), int64(len(b)), nil
}

// byteOrder says whether the storages are big-endian. Files from before PyTorch 2
// do not say and are little-endian.
func (z *zipped) byteOrder() (big bool, err error) {
	if z.files[z.root+"byteorder"] == nil {
		return false, nil
	}
	rec, err := z.stored("byteorder")
	if err != nil {
		return false, err
	}
	b := make([]byte, min(rec.n, 16))
	if err := tensor.ReadFull(rec.r, b, rec.off); err != nil {
		return false, err
	}
	switch string(b) {
	case "little":
		return false, nil
	case "big":
		return true, nil
	}
	return false, fmt.Errorf("byteorder %q, want little or big", b)
}
