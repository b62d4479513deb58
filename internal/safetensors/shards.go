package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

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
	w := &dirWriter{dir: dir, o: o, specs: specs, home: make([]home, len(specs))}
	if err := tensor.Distinct(specs); err != nil {
		return nil, err
	}
	for _, s := range specs {
		if err := storable(s); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Key, err)
		}
		if s.Bytes() > maxTotal-w.total {
			return nil, fmt.Errorf("%s: ends beyond byte 2⁶²", s.Key)
		}
		w.total += s.Bytes()
	}
	w.divide()
	for k, s := range w.shards {
		s.name = shardName(k, len(w.shards))
		s.left = len(s.specs)
		if _, _, err := layout(s.specs, o.Metadata); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return w, nil
}

// maxTotal is what the shards hold together at most; no sum of sizes overflows below it.
const maxTotal = 1 << 62

type dirWriter struct {
	dir    string
	o      DirOptions
	specs  []tensor.Spec
	home   []home // of tensor i
	shards []*shard
	total  int64
}

// home is where a tensor goes: which shard, and which of its tensors it is.
type home struct {
	shard *shard
	i     int
}

// shard is one file of several.
type shard struct {
	name  string
	specs []tensor.Spec
	bytes int64

	mu   sync.Mutex // of what follows
	w    tensor.Writer
	left int // tensors that are not done
}

// divide fills shards in the order of the tensors.
func (w *dirWriter) divide() {
	last := &shard{}
	w.shards = []*shard{last}
	for i, s := range w.specs {
		if len(last.specs) > 0 && s.Bytes() > w.o.ShardSize-last.bytes {
			last = &shard{}
			w.shards = append(w.shards, last)
		}
		w.home[i] = home{last, len(last.specs)}
		last.specs = append(last.specs, s)
		last.bytes += s.Bytes()
	}
}

// shardName is the name of shard k of n, counted from 0.
func shardName(k, n int) string {
	if n == 1 {
		return stem + Ext
	}
	return fmt.Sprintf("%s-%05d-of-%05d%s", stem, k+1, n, Ext)
}

// WriteAt stores p at byte off of tensor i.
func (w *dirWriter) WriteAt(i int, p []byte, off int64) error {
	h := w.home[i]
	file, err := w.open(h.shard)
	if err != nil {
		return err
	}
	return file.WriteAt(h.i, p, off)
}

// open gives the writer of a shard, which it makes the first time.
func (w *dirWriter) open(s *shard) (tensor.Writer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w != nil {
		return s.w, nil
	}
	if s.left == 0 {
		return nil, fmt.Errorf("%s: %w", s.name, os.ErrClosed)
	}
	path := filepath.Join(w.dir, s.name)
	file, err := Create(path, s.specs, w.o.Metadata, w.o.Create)
	if err != nil {
		return nil, err
	}
	s.w = file
	if w.o.Reserve == nil {
		return file, nil
	}
	return file, w.o.Reserve(path, s.bytes)
}

// Done says that tensor i is whole, and closes its shard with the last.
func (w *dirWriter) Done(i int, crc uint32) error {
	h := w.home[i]
	file, err := w.open(h.shard) // an empty tensor had no write that would have
	if err != nil {
		return err
	}
	if err := file.Done(h.i, crc); err != nil {
		return err
	}
	s := h.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left--; s.left > 0 {
		return nil
	}
	s.w = nil
	return file.Close()
}

// Close closes what is still open and writes the index. A tensor that is not done
// is an error.
func (w *dirWriter) Close() error {
	var all error
	for _, s := range w.shards {
		all = errors.Join(all, s.close())
	}
	if all != nil || len(w.shards) == 1 {
		return all
	}
	text, err := w.index()
	if err != nil {
		return err
	}
	f, err := w.o.Create(filepath.Join(w.dir, stem+IndexSuffix))
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	return errors.Join(err, f.Close())
}

func (s *shard) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 {
		return nil
	}
	missing := fmt.Errorf("%s: %d of its tensors were not written", s.name, s.left)
	s.left = 0
	if s.w != nil {
		s.w.Close() // says the same
		s.w = nil
	}
	return missing
}

// index is the text of the index as the transformers library writes it: indented,
// sorted, with a line's end.
func (w *dirWriter) index() ([]byte, error) {
	var x struct {
		Metadata struct {
			TotalSize int64 `json:"total_size"`
		} `json:"metadata"`
		WeightMap map[string]string `json:"weight_map"`
	}
	x.Metadata.TotalSize = w.total
	x.WeightMap = make(map[string]string, len(w.specs))
	for i, s := range w.specs {
		x.WeightMap[s.Key] = w.home[i].shard.name
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
