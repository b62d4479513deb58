package safetensors

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// IndexSuffix ends the name of the file that says in which shard a tensor is.
const IndexSuffix = ".safetensors.index.json"

// openIndex opens the shards that an index names, from the directory it is in.
func openIndex(path string) (*File, error) {
	shards, err := ReadIndex(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	root, err := disk.OpenFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f := &File{Metadata: map[string]string{}, Names: slices.Sorted(maps.Keys(shards))}
	dropped := map[string]bool{}
	for _, name := range f.Names {
		h, err := f.openShard(root, name, shards[name])
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		f.agree(h.metadata, dropped)
	}
	return f, nil
}

// ReadIndex reads an index, of files of any format, and gives the keys of every shard.
func ReadIndex(path string) (map[string]map[string]bool, error) {
	text, err := disk.SmallBeside(path)
	if err != nil {
		return nil, err
	}
	return parseIndex(text)
}

func parseIndex(text []byte) (map[string]map[string]bool, error) {
	var shards map[string]map[string]bool
	err := scan(text, func(s *scanner, field string) error {
		if field != "weight_map" {
			return wrap(field, s.skip(0))
		}
		shards = map[string]map[string]bool{}
		return wrap(field, s.object(func(key string) error {
			name, err := s.str()
			if err == nil && !plain(name) {
				err = fmt.Errorf("shard %q, want the plain name of a file beside the index", name)
			}
			if err != nil {
				return wrap(key, err)
			}
			if shards[name] == nil {
				shards[name] = map[string]bool{}
			}
			shards[name][key] = true
			return nil
		}))
	})
	if err == nil && shards == nil {
		err = errors.New("no weight_map")
	}
	return shards, err
}

// plain says whether a name has no path in it, on any system.
func plain(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\\:\x00") && filepath.IsLocal(name)
}

// openShard adds the tensors of one shard, which must be the ones that the index
// puts there.
func (f *File) openShard(root *disk.Folder, name string, want map[string]bool) (*header, error) {
	file, err := OpenWithin(root, name)
	if err != nil {
		return nil, fmt.Errorf("shard %w", err)
	}
	f.files = append(f.files, file)
	h, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("shard %s: %w", name, err)
	}
	tensors := h.tensors(file)
	if err := Holds(tensors, want); err != nil {
		return nil, fmt.Errorf("shard %s: %w", name, err)
	}
	f.Tensors = append(f.Tensors, tensors...)
	return h, nil
}

// Holds is an error where a shard holds other tensors than those that its index puts there.
func Holds(tensors []tensor.Named, want map[string]bool) error {
	missing := maps.Clone(want)
	for _, t := range tensors {
		if !want[t.Key] {
			return fmt.Errorf("holds %s, which the index does not put there", t.Key)
		}
		delete(missing, t.Key)
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s is not in it, where the index puts it", slices.Min(slices.Collect(maps.Keys(missing))))
	}
	return nil
}

// agree takes over a shard's metadata, except for what another shard says differently.
func (f *File) agree(metadata map[string]string, dropped map[string]bool) {
	for k, v := range metadata {
		if old, ok := f.Metadata[k]; ok && old != v {
			dropped[k] = true
		}
		f.Metadata[k] = v
	}
	for k := range dropped {
		delete(f.Metadata, k)
	}
}
