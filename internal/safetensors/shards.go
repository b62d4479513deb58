package safetensors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// DefaultShard is the size of a shard that the transformers library writes where it
// is told none, in bytes.
const DefaultShard = 5_000_000_000

// stem begins the names of the files that CreateDir makes.
const stem = "model"

// DirOptions say how CreateDir makes its files.
type DirOptions struct {
	// ShardSize is how many bytes of elements a shard holds at most; 0 is DefaultShard. A
	// tensor that is larger has a shard to itself.
	ShardSize int64
	// Metadata goes into every shard; nil is as Create has it.
	Metadata map[string]string
	// Create makes the files; nil is disk.Create.
	Create disk.Maker
	// Reserve, where it is set, is told of each file that was made and how many bytes
	// of elements it will have.
	Reserve func(path string, bytes int64) error
}

// CreateDir makes a writer of shards in an existing empty directory, as the
// transformers library names and fills them: model-00001-of-0000N.safetensors, the tensors in
// the order of specs, and model.safetensors.index.json; or model.safetensors alone where
// all go into one. A shard is opened when its first bytes come and closed when its last
// tensor is done. What no file could hold is an error before anything is written.
func CreateDir(dir string, specs []tensor.Spec, o DirOptions) (tensor.Writer, error) {
	if o.ShardSize == 0 {
		o.ShardSize = DefaultShard
	}
	if o.Create == nil {
		o.Create = disk.Create
	}
	tally, err := tensor.NewTally(specs)
	if err != nil {
		return nil, err
	}
	shards, total, err := divide(specs, o.ShardSize)
	if err != nil {
		return nil, err
	}
	w := &disk.Writer{Tally: tally}
	for k, s := range shards {
		_, at, err := layout(s.specs, o.Metadata)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", shardName(k, len(shards)), err)
		}
		for _, off := range at {
			w.Places = append(w.Places, disk.Place{File: k, Off: off})
		}
	}
	w.Begin = func(k int) (*disk.File, error) {
		s, path := shards[k], filepath.Join(dir, shardName(k, len(shards)))
		head, _, err := layout(s.specs, o.Metadata)
		if err != nil {
			return nil, err
		}
		f, err := o.Create.With(path, head)
		if err != nil || o.Reserve == nil {
			return f, err
		}
		return f, o.Reserve(path, s.bytes)
	}
	if len(shards) > 1 {
		w.Last = func() error {
			text, err := indexText(shards, total)
			if err != nil {
				return err
			}
			f, err := o.Create.With(filepath.Join(dir, stem+IndexSuffix), text)
			if err != nil {
				return err
			}
			return f.Close()
		}
	}
	return w.Start(len(shards)), nil
}

// maxTotal is what the shards hold together at most; no sum of sizes overflows below it.
const maxTotal = 1 << 62

// shard is one file of several, of tensors that stand together in the list of all.
type shard struct {
	specs []tensor.Spec
	bytes int64
}

// divide fills shards of size bytes in the order of the tensors; total is what these have.
func divide(specs []tensor.Spec, size int64) (shards []shard, total int64, err error) {
	shards = []shard{{}}
	first := 0 // of the last shard
	for i, s := range specs {
		if err := storable(s); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", s.Key, err)
		}
		n := s.Bytes()
		if n > maxTotal-total {
			return nil, 0, fmt.Errorf("%s: ends beyond byte 2⁶²", s.Key)
		}
		total += n
		if last := shards[len(shards)-1]; i > first && n > size-last.bytes {
			shards, first = append(shards, shard{}), i
		}
		last := &shards[len(shards)-1]
		last.specs, last.bytes = specs[first:i+1], last.bytes+n
	}
	return shards, total, nil
}

// shardName is the name of shard k of n, counted from 0.
func shardName(k, n int) string {
	if n == 1 {
		return stem + Ext
	}
	return fmt.Sprintf("%s-%05d-of-%05d%s", stem, k+1, n, Ext)
}

// indexText is the index as the transformers library writes it: indented,
// sorted, with a line's end.
func indexText(shards []shard, total int64) ([]byte, error) {
	var x struct {
		Metadata struct {
			TotalSize int64 `json:"total_size"`
		} `json:"metadata"`
		WeightMap map[string]string `json:"weight_map"`
	}
	x.Metadata.TotalSize = total
	x.WeightMap = map[string]string{}
	for k, s := range shards {
		for _, spec := range s.specs {
			x.WeightMap[spec.Key] = shardName(k, len(shards))
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(x); err != nil {
		return nil, err
	}
	if b.Len() > maxHeader {
		return nil, fmt.Errorf("an index of %d bytes, want at most %d", b.Len(), maxHeader)
	}
	return b.Bytes(), nil
}
