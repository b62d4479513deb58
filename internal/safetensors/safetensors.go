// Package safetensors reads and writes .safetensors files, single and sharded:
// a little-endian u64 N, N bytes of JSON that say of every tensor its type, shape
// and span, then the spans.
//
// What the format demands is demanded in both directions: the spans follow each
// other from the first byte of the data to the last byte of the file, without
// holes or overlap, each as long as its shape and type make it, and no key is
// there twice. A file that departs from this is refused whole.
package safetensors

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// Ext is the extension of a file of tensors.
const Ext = ".safetensors"

// File is an open checkpoint: one .safetensors file, or an index with its shards.
type File struct {
	// Tensors in the order in which they lie on disk, shard by shard.
	Tensors []tensor.Named
	// Metadata is the header's __metadata__; of shards, the pairs that no two of them
	// disagree on.
	Metadata map[string]string
	// Names is the names of the files, without their directory, sorted.
	Names []string

	files []*disk.File
}

// Open reads the header of the file, or, where path ends in .index.json, the index
// and the headers of its shards. The elements stay on disk until they are read
// through Tensor.Open, which is good until Close.
func Open(path string) (*File, error) {
	if strings.HasSuffix(path, ".json") {
		return openIndex(path)
	}
	f, _, err := disk.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	return single(path, f)
}

// single reads the header of a file that is a whole checkpoint.
func single(path string, f *disk.File) (*File, error) {
	h, err := readFile(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &File{Tensors: h.tensors(f), Metadata: h.metadata, Names: []string{filepath.Base(path)}, files: []*disk.File{f}}, nil
}

// Close closes the files. Data that is still open cannot be read after it.
func (f *File) Close() error {
	var all error
	for _, file := range f.files {
		all = errors.Join(all, file.Close())
	}
	f.files = nil
	return all
}

func readFile(f *disk.File) (*header, error) {
	file, err := f.Identity()
	if err != nil {
		return nil, err
	}
	return readHeader(f, file.Bytes())
}

// tensors binds the spans of a header to the file that they lie in.
func (h *header) tensors(r io.ReaderAt) []tensor.Named {
	out := make([]tensor.Named, len(h.entries))
	for i, e := range h.entries {
		off, n := h.start+e.begin, e.end-e.begin
		open := func() (tensor.Data, error) { return tensor.Section(r, off, n), nil }
		out[i] = tensor.Named{Key: e.key, Tensor: tensor.Tensor{Type: e.typ, Shape: e.shape, Open: open}}
	}
	return out
}
