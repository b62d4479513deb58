package onnx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/hint"
	"repfuse/internal/tensor"
)

// reference says where elements lie outside of the file (TensorProto.external_data).
type reference struct {
	location       string  // relative to the model's folder, with slashes
	offset, length int64   // length is -1 where the file does not say
	pairs          []pair  // all of them, as they are
	fields         []span  // that hold the pairs
	in             *holder // the tensor
}

type pair struct{ key, value string }

// read takes one more of the pairs.
func (r *reference) read(m message, f field) error {
	if r.pairs == nil {
		r.length = -1
	}
	p, err := readPair(m, f)
	if err != nil {
		return err
	}
	r.pairs, r.fields = append(r.pairs, p), append(r.fields, span{f.start, f.end})
	switch p.key {
	case "location":
		r.location = p.value
	case "offset":
		r.offset, err = decimal(p.value)
	case "length":
		r.length, err = decimal(p.value)
	}
	return named(err, "external data's", p.key)
}

// readPair reads a StringStringEntryProto.
func readPair(m message, f field) (p pair, err error) {
	err = m.fields(f, func(m message, f field) (err error) {
		switch f.number {
		case 1:
			p.key, err = m.text(f)
		case 2:
			p.value, err = m.text(f)
		}
		return err
	})
	return p, err
}

func decimal(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q, want a number", s)
	}
	return n, nil
}

// outside checks and binds elements that lie in another file, which must be in the
// model's folder and reached through no link.
func (f *file) outside(t *Tensor, want int64) error {
	e := t.external
	if e.length >= 0 && e.length != want {
		return fmt.Errorf("%d bytes of external data, want the %d of %s %v", e.length, want, t.Type, t.Shape)
	}
	e.length = want
	size, err := f.beside(e.location)
	if err != nil {
		return fmt.Errorf("external data %q: %w", e.location, err)
	}
	if e.offset > size-want {
		return fmt.Errorf("external data %q: bytes %d to %d of a file of %d", e.location, e.offset, e.offset+want, size)
	}
	t.data = span{e.offset, e.offset + want}
	t.Open = func() (tensor.Data, error) {
		in, err := f.folder.Open(e.location)
		if err != nil {
			return nil, err
		}
		d, err := disk.Take(in)
		if err != nil {
			return nil, err
		}
		return tensor.OwnedSection(d, e.offset, want, d), nil
	}
	return nil
}

// beside is the size of a file in the model's folder.
func (f *file) beside(location string) (int64, error) {
	if size, known := f.sizes[location]; known {
		return size, nil
	}
	if !filepath.IsLocal(location) {
		return 0, errors.New("want a path within the model's folder")
	}
	if f.folder == nil {
		var err error
		if f.folder, err = os.OpenRoot(filepath.Dir(f.path)); err != nil {
			return 0, err
		}
	}
	for k := range len(location) + 1 {
		if k < len(location) && location[k] != '/' {
			continue
		}
		info, err := f.folder.Lstat(location[:k])
		switch {
		case err != nil:
			return 0, disk.Cause(err)
		case info.Mode()&fs.ModeSymlink != 0:
			return 0, hint.Add(fmt.Errorf("%s is a link", location[:k]), "cp -rL copies the folder without its links")
		case k == len(location) && !info.Mode().IsRegular():
			return 0, errors.New("want a regular file")
		case k == len(location):
			f.sizes[location] = info.Size()
		}
	}
	return f.sizes[location], nil
}

// text is the pairs as they are written where the elements are at offset of location:
// with the same keys, except for a checksum, which nobody has computed.
func (r *reference) text(location string, offset int64) []byte {
	var b []byte
	written := func(key string, value string) {
		b = appendText(b, 13, appendText(appendText(nil, 1, key), 2, value))
	}
	written("location", location)
	written("offset", strconv.FormatInt(offset, 10))
	written("length", strconv.FormatInt(r.length, 10))
	for _, p := range r.pairs {
		if !strings.Contains("location offset length checksum", p.key) {
			written(p.key, p.value)
		}
	}
	return b
}
