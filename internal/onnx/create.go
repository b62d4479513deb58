package onnx

import (
	"errors"
	"fmt"
	"io"
	"os"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// writer takes the tensors of a model whose other bytes are written.
type writer struct {
	model, data *disk.File // data is that of external data, nil where there is none
	places      []place
	tally       *tensor.Tally
}

// Create makes, by create, the model's file at path and, where r.External, that of its external data
// at data. specs are r's tensors, in the order in which the writer will
// know them.
func (r *Rewrite) Create(path, data string, specs []tensor.Spec, create disk.Maker) (w tensor.Writer, err error) {
	if want := len(r.Kept) + len(r.Fresh); len(specs) != want {
		return nil, fmt.Errorf("%s: %d tensors, want %d", path, len(specs), want)
	}
	tally, err := tensor.NewTally(specs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	out := &writer{places: make([]place, len(specs)), tally: tally}
	for i, s := range specs {
		p, ok := r.places[s.Key]
		if !ok || p.size != s.Bytes() {
			return nil, fmt.Errorf("%s: %s: %d bytes, want %d", path, s.Key, s.Bytes(), p.size)
		}
		out.places[i] = p
	}
	if out.model, err = create(path); err != nil {
		return nil, err
	}
	if r.External {
		out.data, err = create(data)
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
	err := w.tally.Take(i, len(p), off)
	switch {
	case err != nil || at.copied:
	case at.external:
		_, err = w.data.WriteAt(p, at.off+off)
	default:
		_, err = w.model.WriteAt(p, at.off+off)
	}
	return err
}

// Done says that tensor i is whole. The format has no place for its CRC.
func (w *writer) Done(i int, _ uint32) error { return w.tally.Done(i) }

// Close closes the files, which are whole if every tensor is.
func (w *writer) Close() error {
	err := errors.Join(w.tally.Whole(), w.model.Close())
	if w.data != nil {
		err = errors.Join(err, w.data.Close())
	}
	return err
}
