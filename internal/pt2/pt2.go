// Package pt2 reads archives of torch.export.save: a network as operators of ATen, and
// its weights. The graph becomes the text of a graph.json, which package trace reads.
package pt2

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/hint"
	"repfuse/internal/pth"
	"repfuse/internal/tensor"
)

// Ext is what a file's name ends in.
const Ext = ".pt2"

// The entries of an archive, as PyTorch 2.5 to 2.7 write it.
const (
	program = "serialized_exported_program.json"
	weights = "serialized_state_dict.pt"
)

// maxProgram bounds the program's text.
const maxProgram = 128 << 20

// File is an open archive.
type File struct {
	// Tensors are under the network's own keys; their elements are good until Close.
	Tensors []tensor.Named
	// Graph is the text of a graph.json.
	Graph []byte
	file  *disk.File
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// Open reads an archive's graph and the headers of its tensors.
func Open(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	file, err := disk.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{file: file}
	if err := f.read(file, info.Size()); err != nil {
		file.Close()
		return nil, hint.Add(fmt.Errorf("%s: %w", path, err), "torch.save(model.state_dict(), \"model.pth\") and export.graph(model, \"graph.json\", x) say the same")
	}
	return f, nil
}

func (f *File) read(r io.ReaderAt, size int64) error {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return err
	}
	text, err := entry(z, program)
	if err != nil {
		return err
	}
	t, err := text.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	b, err := io.ReadAll(io.LimitReader(t, maxProgram+1))
	switch {
	case err != nil:
		return err
	case len(b) > maxProgram:
		return fmt.Errorf("%s has more than %d bytes", program, maxProgram)
	}
	if f.Graph, err = textOf(b); err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	state, err := entry(z, weights)
	if err != nil {
		return err
	}
	at, err := state.DataOffset()
	n := int64(state.CompressedSize64)
	if err == nil && (state.Method != zip.Store || n < 0 || at+n > size) {
		err = errors.New("is compressed or cut off")
	}
	if err == nil {
		var inner *pth.File
		if inner, err = pth.Read(io.NewSectionReader(r, at, n), n, pth.Options{}); err == nil {
			f.Tensors = inner.Tensors
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", weights, err)
	}
	return nil
}

// entry finds the one entry of a name.
func entry(z *zip.Reader, name string) (*zip.File, error) {
	at := slices.IndexFunc(z.File, func(f *zip.File) bool { return f.Name == name })
	if at >= 0 {
		return z.File[at], nil
	}
	if slices.ContainsFunc(z.File, func(f *zip.File) bool { return strings.Contains(f.Name, "models/") }) {
		return nil, errors.New("an archive in the form of PyTorch 2.8, want one of 2.5 to 2.7")
	}
	return nil, fmt.Errorf("no archive of torch.export: it has no %s", name)
}
