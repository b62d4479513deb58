// Package checkpoint is a set of named tensors on disk, whatever the format.
//
// Open and Create each consult one table, which says what a path looks like and
// who reads and writes it. What Create makes comes into being whole or not at all:
// it is written beside its destination under a name of our own and renamed at the end.
package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/facts"
	"repfuse/internal/hint"
	"repfuse/internal/onnx"
	"repfuse/internal/pt2"
	"repfuse/internal/pth"
	"repfuse/internal/tensor"
)

// ErrNoKey says that a checkpoint has no tensor of a key.
var ErrNoKey = errors.New("not found")

// Checkpoint is an open checkpoint. Data opened from its tensors must be closed
// before it is.
type Checkpoint struct {
	// Path is what was opened, as it was given.
	Path string
	// Format is the name of the format, such as "npy".
	Format string
	// Tensors is in the order of the state dict where the format has one (.pth, .npz),
	// else sorted by key. No key is there twice.
	Tensors []tensor.Named
	// Shards says that the tensors lie in .safetensors files of a directory, which was
	// opened by its own name or its index's, or in pickles that an index there names.
	Shards bool
	// Files is the paths of the files that Path names and that hold its tensors: shards, external data.
	Files []string
	// Companions is the names of files beside the shards that their library needs.
	Companions []string
	// Notes are remarks on what was found, for the user to read.
	Notes []string
	// Metadata is the pairs of strings that a .safetensors file holds beside its tensors.
	Metadata map[string]string
	// State is the path of the state dict that was taken from a pickle, States those of
	// the others in it.
	State  string
	States []string
	// Wrapper is what the keys begin with where the program that wrote the checkpoint wraps each
	// model so: "model." of Lightning; else "".
	Wrapper string
	// Facts is what the checkpoint says of its modules, or nil.
	Facts *facts.Model
	// Graph is the text of a graph.json that an archive holds beside the tensors, or nil.
	Graph []byte
	// Model is the network that holds the tensors, nil where they lie by themselves.
	Model *onnx.Model

	close func() error
}

// Options are the choices that the formats leave open.
type Options struct {
	// BFloat16 says that .npy elements of two bytes and no type are bfloat16.
	BFloat16 bool
	// State names the dict to read of a file that holds several; "" takes the one that
	// the project's own loader would.
	State string
}

// Open opens the checkpoint at a path. Tensors are described, not read.
func Open(path string, o Options) (*Checkpoint, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing(path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, disk.Cause(err))
	}
	f, err := reader(path, info)
	if err != nil {
		return nil, err
	}
	c, err := f.open(path, o)
	if err != nil {
		return nil, wrap(path, err)
	}
	c.Path = path
	if c.Format == "" {
		c.Format = f.name
	}
	if part := partOf(path); part != "" && !info.IsDir() {
		c.Notes = append(c.Notes, part)
	}
	err = c.check()
	if err == nil && o.State != "" && c.Format != pthName {
		err = wrap(path, pth.NoDict(o.State))
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// check is an error for a key that is there twice and for a checkpoint without any.
func (c *Checkpoint) check() error {
	if len(c.Tensors) == 0 {
		return empty(c)
	}
	met := make(map[string]bool, len(c.Tensors))
	for _, t := range c.Tensors {
		if met[t.Key] {
			return fmt.Errorf("%s: %s is there twice", c.Path, t.Key)
		}
		met[t.Key] = true
	}
	return nil
}

func sortByKey(tensors []tensor.Named) {
	slices.SortFunc(tensors, func(a, b tensor.Named) int { return strings.Compare(a.Key, b.Key) })
}

// missing is the error for a path where nothing is. A checkpoint of that name with
// an extension is the likely one that was meant.
func missing(path string) error {
	err := fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	for _, f := range formats {
		for _, suffix := range f.suffixes {
			if _, e := os.Stat(filepath.Clean(path) + suffix); e == nil {
				return hint.Add(err, "%s is there", filepath.Clean(path)+suffix)
			}
		}
	}
	return err
}

// empty is the error for a checkpoint without tensors. In a directory, a file that
// is a checkpoint is the likely one that was meant.
func empty(c *Checkpoint) error {
	err := fmt.Errorf("%s: no tensor in it", c.Path)
	if c.Format == formats[0].name {
		err = fmt.Errorf("%s: no .npy and no .safetensors file in it", c.Path)
	}
	entries, _ := os.ReadDir(c.Path)
	for _, e := range entries {
		if filepath.Ext(e.Name()) == distributed {
			return sharded(c.Path)
		}
		if _, ok := bySuffix(e.Name()); ok && partOf(e.Name()) == "" {
			return hint.Add(err, "%s is a checkpoint", filepath.Join(c.Path, e.Name()))
		}
	}
	return err
}

// Lookup finds the tensor of a key.
func (c *Checkpoint) Lookup(key string) (tensor.Tensor, error) {
	i := slices.IndexFunc(c.Tensors, func(t tensor.Named) bool { return t.Key == key })
	if i < 0 {
		return tensor.Tensor{}, fmt.Errorf("%s: %w in %s", key, ErrNoKey, c.Path)
	}
	return c.Tensors[i].Tensor, nil
}

// Close closes what the checkpoint keeps open.
func (c *Checkpoint) Close() error {
	if c.close == nil {
		return nil
	}
	return c.close()
}

// wrap puts the path before an error that does not begin with it, or with that of a
// file in it.
func wrap(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) && p.Path == path {
		err = p.Err
	}
	clean := filepath.Clean(path)
	if text := err.Error(); strings.HasPrefix(text, path+":") || strings.HasPrefix(text, clean+string(filepath.Separator)) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// Ordered reports whether the tensors come in the order in which the model registered its
// modules: a .pth holds an ordered dict, and .npz files of one are as it was. How tensors lie in a
// .safetensors file follows from their types, and a directory has no order.
func (c *Checkpoint) Ordered() bool {
	return c.Format != npyName && c.Format != safetensorsName && !c.Shards
}

// GraphOf is the text of a graph.json of an archive of torch.export, whatever its name; nil of
// any other file, and where there is none.
func GraphOf(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil
	}
	if f, err := reader(path, info); err != nil || f.name != pt2Name {
		return nil, nil
	}
	f, err := pt2.Open(path)
	if err != nil {
		return nil, err
	}
	return f.Graph, f.Close()
}

// IsModel reports whether a path is that of a network with its tensors, by its name.
func IsModel(path string) bool {
	f, ok := bySuffix(path)
	return ok && f.name == onnxName
}
