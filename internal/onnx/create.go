package onnx

import (
	"errors"
	"fmt"
	"io"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

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
	out := &disk.Writer{Tally: tally, Places: make([]disk.Place, len(specs))}
	for i, s := range specs {
		p, ok := r.places[s.Key]
		if !ok || p.size != s.Bytes() {
			return nil, fmt.Errorf("%s: %s: %d bytes, want %d", path, s.Key, s.Bytes(), p.size)
		}
		out.Places[i] = p.Place
	}
	files := []string{path}
	if r.External {
		files = append(files, data)
	}
	out.Begin = func(k int) (*disk.File, error) {
		f, err := create(files[k])
		if err != nil {
			return nil, err
		}
		if err := r.begin(f, k); err != nil {
			f.Close()
			return nil, err
		}
		return f, nil
	}
	return out.StartOpen(len(files))
}

// begin writes what is not streamed into the model's file, or into that of its external data.
func (r *Rewrite) begin(f *disk.File, k int) error {
	if k == modelFile {
		return copyPieces(f, r.m.file.in, r.pieces)
	}
	if len(r.between) == 0 {
		return nil
	}
	old, err := r.m.file.folder.Open(r.old)
	if err != nil {
		return err
	}
	return errors.Join(copyPieces(f, old, r.between), old.Close())
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
