package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"repfuse/internal/disk"
	"repfuse/internal/pth"
	"repfuse/internal/safetensors"
)

// binIndex is the file that says in which pickled shard a tensor is.
const binIndex = "pytorch_model.bin.index.json"

// openBins opens the pickled shards that the index in a directory names, and gives the names of
// all these files. Without an index there is no tensor.
func openBins(dir string, o Options) (*Checkpoint, []string, error) {
	c := &Checkpoint{}
	shards, err := safetensors.ReadIndex(filepath.Join(dir, binIndex))
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", binIndex, err)
	}
	folder, err := disk.OpenFolder(dir)
	if err != nil {
		return nil, nil, err
	}
	defer folder.Close()
	var open []*pth.File
	c.Format, c.Shards = "pth", true
	c.close = func() (err error) {
		for _, f := range open {
			err = errors.Join(err, f.Close())
		}
		return err
	}
	names := slices.Sorted(maps.Keys(shards))
	for _, name := range names {
		f, err := openBin(folder, name, shards[name], o)
		if err != nil {
			c.Close()
			return nil, nil, fmt.Errorf("%s: shard %w", binIndex, err)
		}
		open = append(open, f)
		c.Tensors = append(c.Tensors, f.Tensors...)
		c.Notes = append(c.Notes, f.Notes...)
	}
	return c, append(names, binIndex), nil
}

// openBin opens one shard, which must hold the tensors that the index puts there.
func openBin(folder *disk.Folder, name string, want map[string]bool, o Options) (*pth.File, error) {
	file, err := safetensors.OpenWithin(folder, name)
	if err != nil {
		return nil, err
	}
	f, err := pth.Take(file, pth.Options{State: o.State})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := safetensors.Holds(f.Tensors, want); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}
