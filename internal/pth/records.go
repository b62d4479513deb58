package pth

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"repfuse/internal/tensor"
	"repfuse/internal/zipfile"
)

// Records is an archive of PyTorch's without a data.pkl: of a format that keeps tensors, or
// whole files of torch.save, in records of their own.
type Records struct {
	z   *zipped
	big bool
}

// ReadRecords lists an archive. Its records are in the folder in which one of marks is, or in
// none; where no mark is, it is an error.
func ReadRecords(r io.ReaderAt, size int64, marks ...string) (*Records, error) {
	z, err := listZip(r, size)
	if err != nil {
		return nil, err
	}
	for _, f := range z.list {
		at := strings.IndexByte(f.Name, '/') + 1
		if slices.Contains(marks, f.Name[at:]) {
			z.root = f.Name[:at]
			if err := zipfile.Apart(r, z.list); err != nil {
				return nil, fmt.Errorf("record %w", err)
			}
			big, err := z.byteOrder()
			return &Records{z, big}, err
		}
	}
	return nil, fmt.Errorf("a zip archive without %s", strings.Join(marks, " or "))
}

// Names lists the records below a folder of the archive's, without the folder.
func (r *Records) Names(folder string) (names []string) {
	for _, f := range r.z.list {
		if name, ok := strings.CutPrefix(f.Name, r.z.root+folder); ok && name != "" {
			names = append(names, name)
		}
	}
	return names
}

// Has reports whether there is a record.
func (r *Records) Has(name string) bool { return r.z.files[r.z.root+name] != nil }

// Text is a whole record of at most most bytes, held to its CRC. A compressed one is an error, as a few bytes
// could make very many.
func (r *Records) Text(name string, most int64) ([]byte, error) {
	rec, err := r.z.checked(name)
	if err == nil && rec.n > most {
		err = fmt.Errorf("record %s: %d bytes, want at most %d", name, rec.n, most)
	}
	if err != nil {
		return nil, err
	}
	b := make([]byte, rec.n)
	if err := tensor.ReadFull(rec.r, b, rec.off); err != nil {
		return nil, err
	}
	return b, nil
}

// State is the tensors of a record that torch.save wrote.
func (r *Records) State(name string) ([]tensor.Named, error) {
	rec, err := r.z.stored(name)
	if err != nil {
		return nil, err
	}
	f, err := Read(io.NewSectionReader(rec.r, rec.off, rec.n), rec.n, Options{})
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", name, err)
	}
	return f.Tensors, nil
}

// Tensor is a tensor whose storage is a record.
func (r *Records) Tensor(name string, l tensor.Strided) (tensor.Tensor, error) {
	rec, err := r.z.checked(name)
	if err != nil {
		return tensor.Tensor{}, err
	}
	l.Big = r.big
	if err := l.Within(rec.n / int64(l.Type.Size())); err != nil {
		return tensor.Tensor{}, fmt.Errorf("record %s: %w", name, err)
	}
	return stored{Strided: l, rec: rec}.tensor(), nil
}
