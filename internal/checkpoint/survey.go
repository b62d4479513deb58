package checkpoint

import (
	"io/fs"
	"path/filepath"
	"strings"

	"repfuse/internal/facts"
	"repfuse/internal/npy"
	"repfuse/internal/safetensors"
)

// survey looks at a directory that is to be replaced: whether it is empty, and
// what in it is no part of one checkpoint, "" where all is.
func survey(dir string) (empty bool, stranger string, err error) {
	var files inventory
	empty = true
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		empty = false
		name, err := filepath.Rel(dir, path)
		if err == nil && !files.take(name, d) {
			stranger = name
			return fs.SkipAll
		}
		return err
	})
	if stranger == "" {
		stranger = files.several()
	}
	return empty, stranger, err
}

// inventory is the .safetensors files of a directory.
type inventory struct {
	whole, shards, indexes []string
}

// take reports whether an entry can be part of a checkpoint: a .npy file at any
// depth, a .safetensors file or its index in the directory itself.
func (f *inventory) take(name string, d fs.DirEntry) bool {
	if d.IsDir() {
		return true
	}
	if !d.Type().IsRegular() {
		return false
	}
	_, numbered := safetensors.Shards(d.Name())
	nested := strings.ContainsRune(name, filepath.Separator)
	switch base := d.Name(); {
	case filepath.Ext(base) == npy.Ext, base == facts.File, base == Record:
		return true
	case nested:
		return false
	case strings.HasSuffix(base, safetensors.IndexSuffix):
		f.indexes = append(f.indexes, name)
	case !strings.HasSuffix(base, safetensors.Ext):
		return false
	case numbered:
		f.shards = append(f.shards, name)
	default:
		f.whole = append(f.whole, name)
	}
	return true
}

// several names a file that belongs to a second checkpoint: a folder of several
// models is nothing to replace with one.
func (f *inventory) several() string {
	switch {
	case len(f.whole) > 1:
		return f.whole[1]
	case len(f.indexes) > 1:
		return f.indexes[1]
	case len(f.whole) > 0 && len(f.shards)+len(f.indexes) > 0:
		return f.whole[0]
	case len(f.shards) > 0 && len(f.indexes) == 0:
		return f.shards[0]
	}
	return ""
}
