// Package pth reads and writes the checkpoints of PyTorch: .pth, .pt, .ckpt and .bin
// files, zipped as since 1.6 or not, of state dicts or of whole pickled modules; and
// reads the .pdparams of Paddle, which are pickled dicts of numpy arrays.
//
// The pickle within is read as data by package pickle, which calls nothing. Of what
// it describes, only tensors, containers and modules are understood here; all else
// stays a name. The elements lie in the file until they are read, and every view of
// them is checked against the record that it looks into.
package pth

import (
	"errors"
	"fmt"
	"io"

	"repfuse/internal/disk"
	"repfuse/internal/facts"
	"repfuse/internal/pth/pickle"
	"repfuse/internal/tensor"
)

// Options say what to take from a file. The zero value takes what the projects' own
// loaders take: the averaged weights, where there are any.
type Options struct {
	// State is the path of the state dict to take, such as "params" or "ema.module";
	// "." is the outermost. "" leaves the choice to Open.
	State string
}

// File is an open checkpoint.
type File struct {
	// Tensors is the chosen state dict in its own order, its keys as they are.
	Tensors []tensor.Named
	// Chosen is the path of that dict within the file, "." for the outermost.
	Chosen string
	// Others is the paths of the other state dicts of the file.
	Others []string
	// Notes say why the dict was chosen, how others differ from it, and what was left out.
	Notes []string
	// Wrapper is "model." in a checkpoint of Lightning, which keeps a network so in a module
	// of its own; else "".
	Wrapper string
	// Facts is what the modules say of themselves, if the state was a pickled module.
	Facts *facts.Model

	file *disk.File
}

// Close closes the file. Data that is still open cannot be read after it.
func (f *File) Close() error { return f.file.Close() }

// archive is the two parts of a checkpoint: the pickle and the storages.
type archive struct {
	value any         // of the pickle
	text  io.ReaderAt // where the pickle's Blobs lie
	// record finds the bytes of a storage.
	record func(key string) (record, error)
	big    bool // the storages are big-endian
}

// record is a run of bytes of the file.
type record struct {
	r      io.ReaderAt
	off, n int64
}

// Open reads what a checkpoint holds. The elements are read when they are asked for,
// through Tensor.Open, which is good until Close.
func Open(path string, o Options) (*File, error) {
	f, _, err := disk.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	out, err := Take(f, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

// Take is Open for a regular file that is open, and is closed with the File or after an error.
func Take(f *disk.File, o Options) (*File, error) {
	identity, err := f.Identity()
	var out *File
	if err == nil {
		out, err = Read(f, identity.Bytes(), o)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	out.file = f
	return out, nil
}

// Read is Open of a file that lies in another, which the caller closes.
func Read(r io.ReaderAt, size int64, o Options) (*File, error) {
	a, err := open(r, size)
	if err != nil {
		return nil, err
	}
	out, err := a.choose(o)
	if err != nil {
		return nil, err
	}
	return out, tensor.Weigh(out.Tensors, size)
}

// open tells the kinds of files apart by how they begin.
func open(r io.ReaderAt, size int64) (*archive, error) {
	head := make([]byte, min(size, 512))
	if err := tensor.ReadFull(r, head, 0); err != nil {
		return nil, err
	}
	at := func(off int, magic string) bool {
		return len(head) >= off+len(magic) && string(head[off:off+len(magic)]) == magic
	}
	switch {
	case at(0, "PK\x03\x04"):
		return openZip(r, size)
	case at(257, "ustar"):
		return nil, errors.New("a tar file as PyTorch wrote before 0.1.10, want one saved by a later version")
	case at(0, "\x80"):
		return openPickle(r, size)
	case at(0, "\x89HDF"):
		return nil, errors.New("an HDF5 file, want one saved by torch.save")
	}
	return nil, errors.New("neither a zip archive nor a pickle, want a file saved by torch.save")
}

// openPickle opens a file that begins with a pickle: one of PyTorch's before 1.6,
// which are several pickles and the storages after them, or a pickle alone.
func openPickle(r io.ReaderAt, size int64) (*archive, error) {
	p, err := pickle.Load(r, 0, size)
	if err != nil {
		return nil, err
	}
	if isMagic(p.Value) {
		return openLegacy(r, p.Next, size)
	}
	if p.Next != size {
		return nil, fmt.Errorf("%d bytes after the pickle, want none", size-p.Next)
	}
	none := func(key string) (record, error) {
		return record{}, fmt.Errorf("storage %q, which a bare pickle cannot hold", key)
	}
	return &archive{value: p.Value, text: r, record: none}, nil
}
