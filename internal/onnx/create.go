package onnx

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// writer takes the tensors of a model whose other bytes are written.
type writer struct {
	model, data *disk.File // data is that of external data, nil where there is none
	specs       []tensor.Spec
	places      []place
	wrote       []atomic.Int64
	done        []atomic.Bool
}

// Create makes the model's file at path and, where r.External, that of its external data
// at data; neither may be there. specs are r's tensors, in the order in which the writer will
// know them.
func (r *Rewrite) Create(path, data string, specs []tensor.Spec) (w tensor.Writer, err error) {
	if want := len(r.Kept) + len(r.Fresh); len(specs) != want {
		return nil, fmt.Errorf("%s: %d tensors, want %d", path, len(specs), want)
	}
	out := &writer{specs: specs, places: make([]place, len(specs)), wrote: make([]atomic.Int64, len(specs)), done: make([]atomic.Bool, len(specs))}
	for i, s := range specs {
		p, ok := r.places[s.Key]
		if !ok || p.size != s.Bytes() {
			return nil, fmt.Errorf("%s: %s: %d bytes, want %d", path, s.Key, s.Bytes(), p.size)
		}
		out.places[i] = p
	}
	if out.model, err = disk.Create(path); err != nil {
		return nil, err
	}
	if r.External {
		out.data, err = disk.Create(data)
	}
	if err == nil {
		err = copyPieces(out.model, r.m.file.in, r.pieces)
	}
	if err == nil && len(r.between) > 0 {
		var old *os.File
		if old, err = r.m.file.folder.Open(r.old); err == nil {
			err = errors.Join(copyPieces(out.data, old, r.between), old.Close())
		}
	}
	if err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

// copyPieces writes what is not streamed.
func copyPieces(to *disk.File, source io.ReaderAt, pieces []piece) error {
	buf := make([]byte, 256<<10)
	for _, p := range pieces {
		for from := p.from; from < p.to; {
			b := buf[:min(int64(len(buf)), p.to-from)]
			if err := tensor.ReadFull(source, b, from); err != nil {
				return err
			}
			if _, err := to.WriteAt(b, p.off+from-p.from); err != nil {
				return err
			}
			from += int64(len(b))
		}
		if len(p.text) > 0 {
			if _, err := to.WriteAt(p.text, p.off); err != nil {
				return err
			}
		}
	}
	return nil
}

// WriteAt stores p at byte off of tensor i.
func (w *writer) WriteAt(i int, p []byte, off int64) error {
	at := w.places[i]
	if off < 0 || off > at.size-int64(len(p)) {
		return fmt.Errorf("%s: bytes %d to %d of a tensor of %d", w.specs[i].Key, off, off+int64(len(p)), at.size)
	}
	n, err := len(p), error(nil)
	switch {
	case at.copied:
	case at.external:
		n, err = w.data.WriteAt(p, at.off+off)
	default:
		n, err = w.model.WriteAt(p, at.off+off)
	}
	w.wrote[i].Add(int64(n))
	return err
}

// Done says that tensor i is whole. The format has no place for its CRC.
func (w *writer) Done(i int, _ uint32) error {
	if n, want := w.wrote[i].Load(), w.places[i].size; n < want {
		return fmt.Errorf("%s: %d bytes written, want %d", w.specs[i].Key, n, want)
	}
	w.done[i].Store(true)
	return nil
}

// Close closes the files, which are whole if every tensor is.
func (w *writer) Close() error {
	err := w.model.Close()
	if w.data != nil {
		err = errors.Join(err, w.data.Close())
	}
	for i := range w.done {
		if !w.done[i].Load() && err == nil {
			err = fmt.Errorf("%s: not written", w.specs[i].Key)
		}
	}
	return err
}
