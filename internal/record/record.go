// Package record is the file that fuse leaves beside its output: what was assumed
// and what was written, so that verify needs no flags. It holds no times and no
// absolute paths: the same input gives the same record. It is no proof; verify judges
// a tensor by its bytes whatever the record says.
package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"repfuse/internal/checkpoint"
	"repfuse/internal/disk"
	"repfuse/internal/parallel"
	"repfuse/internal/plan"
	"repfuse/internal/planfile"
	"repfuse/internal/tensor"
	"repfuse/internal/text"
)

// Version is the version of the record that this program reads and writes.
const Version = 1

// Record is what fuse did.
type Record struct {
	Version int    `json:"version"`
	Tool    string `json:"repfuse"`
	// Source is the format that was read and whether its two-byte elements were taken
	// for bfloat16; State is the dict that was read of a file that holds several.
	Source   string `json:"source"`
	State    string `json:"state,omitempty"`
	BFloat16 bool   `json:"bfloat16,omitempty"`
	// DType is the element types asked for, as flags have them.
	DType Types          `json:"dtype,omitempty"`
	Plan  *planfile.File `json:"plan"`
	Notes []string       `json:"notes,omitempty"`
	// Conditions is what the result depends on, Said how the blocks were recognised.
	Conditions []plan.Condition `json:"conditions,omitempty"`
	Said       Said             `json:"said,omitzero"`
	// Layers is what was fused, for whoever puts it into a living model.
	Layers []Layer `json:"layers,omitempty"`
	// Adapters is what was merged into the source, in the order of its adapter1:, adapter2:.
	Adapters []Adapter `json:"adapters,omitempty"`
	// Already is the modules that were fused before, where the source was a result.
	Already []string `json:"already,omitempty"`
	// CRC32 is the checksum of each tensor written, by its key.
	CRC32 map[string]string `json:"crc32"`
}

// Types is a list of texts, of which a single one is written as that text.
type Types []string

// MarshalJSON writes them.
func (t Types) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// UnmarshalJSON reads them.
func (t *Types) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*t = make(Types, 1)
		return json.Unmarshal(b, &(*t)[0])
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// Adapter is a checkpoint that was merged into another.
type Adapter struct {
	Name   string  `json:"name"`
	Weight float64 `json:"weight"`
	// CRC32 is the checksum of its tensors' bytes, one after the other in the order of their keys.
	CRC32 string `json:"crc32"`
}

// Said is what the user said of the blocks, as flags have it. Of files it is their names
// alone: nobody opens what a record names.
type Said struct {
	Eps       []string `json:"eps,omitempty"`
	Identity  []string `json:"identity,omitempty"`
	Set       []string `json:"set,omitempty"`
	Family    []string `json:"family,omitempty"`
	FoldNorms bool     `json:"fold_bn,omitempty"`
	AnyCost   bool     `json:"any_cost,omitempty"`
	Families  []string `json:"families,omitempty"`
	Graph     string   `json:"graph,omitempty"`
	Plan      string   `json:"plan,omitempty"`
}

// Bytes is the record's text.
func (r *Record) Bytes() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&text.Writer{To: &b})
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(r)
	return b.Bytes(), err
}

// Path is where the record of an output lies: in a directory, beside a file.
func Path(output string) string {
	if info, err := os.Stat(output); err == nil && info.IsDir() {
		return filepath.Join(output, checkpoint.Record)
	}
	return filepath.Clean(output) + "." + checkpoint.Record
}

// Read finds the record of an output; nil where there is none.
func Read(output string) (*Record, error) {
	path := Path(output)
	b, err := disk.SmallBeside(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var r Record
	if err := disk.JSON(b, &r); err != nil {
		return nil, fmt.Errorf("%s: is no record of repfuse fuse: %w", path, err)
	}
	if r.Version != Version {
		return nil, fmt.Errorf("%s: version %d, want %d", path, r.Version, Version)
	}
	if r.Plan == nil {
		return nil, fmt.Errorf("%s: has no plan", path)
	}
	return &r, nil
}

// Fused lists the modules that are fused in a checkpoint by the record beside it, the
// root as "": none where the record is of other keys. holds reports whether it is a record of these
// tensors at all, perhaps among others: of some of them, with each as it was written.
func (r *Record) Fused(ctx context.Context, tensors []tensor.Named) (modules []string, holds bool, err error) {
	changed, err := r.Changed(ctx, tensors, 0)
	if err != nil || len(changed) > 0 {
		return nil, false, err
	}
	known := 0
	for _, t := range tensors {
		if _, ok := r.CRC32[t.Key]; ok {
			known++
		}
	}
	if known == 0 || known < len(tensors) || known < len(r.CRC32) {
		return nil, known > 0, nil
	}
	modules = slices.Clone(r.Already)
	for _, b := range r.Plan.Blocks {
		if b.Module == "." {
			b.Module = ""
		}
		modules = append(modules, b.Module)
	}
	return modules, true, nil
}

// Changed lists the tensors whose bytes are not those that were written, by their
// checksums. Tensors that the record does not know are left to others. jobs is how many
// goroutines read; 0 is one for each processor.
func (r *Record) Changed(ctx context.Context, tensors []tensor.Named, jobs int) ([]string, error) {
	differs := make([]bool, len(tensors))
	err := parallel.Each(ctx, jobs, len(tensors), func() func(k int) error {
		buffer := make([]byte, 256<<10)
		return func(k int) error {
			want, ok := r.CRC32[tensors[k].Key]
			if !ok {
				return nil
			}
			got, err := checksum(ctx, tensors[k].Tensor, buffer)
			if err != nil {
				return fmt.Errorf("%s: %w", tensors[k].Key, err)
			}
			differs[k] = fmt.Sprintf("%08x", got) != want
			return nil
		}
	})
	var changed []string
	for k, t := range tensors {
		if differs[k] {
			changed = append(changed, t.Key)
		}
	}
	return changed, err
}

func checksum(ctx context.Context, t tensor.Tensor, buffer []byte) (uint32, error) {
	d, err := t.Open()
	if err != nil {
		return 0, err
	}
	defer d.Close()
	var crc uint32
	for off, n := int64(0), t.Bytes(); off < n; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		b := buffer[:min(int64(len(buffer)), n-off)]
		if err := tensor.ReadFull(d, b, off); err != nil {
			return 0, err
		}
		crc = crc32.Update(crc, crc32.IEEETable, b)
		off += int64(len(b))
	}
	return crc, nil
}

// Checksum is the CRC-32 of the bytes of tensors, one after the other in the order of their keys.
func Checksum(ctx context.Context, tensors []tensor.Named) (string, error) {
	crc, buffer := uint32(0), make([]byte, 256<<10)
	for _, t := range slices.SortedFunc(slices.Values(tensors), func(a, b tensor.Named) int { return strings.Compare(a.Key, b.Key) }) {
		one, err := checksum(ctx, t.Tensor, buffer)
		if err != nil {
			return "", fmt.Errorf("%s: %w", t.Key, err)
		}
		crc = tensor.CombineCRC(crc, one, t.Bytes())
	}
	return fmt.Sprintf("%08x", crc), nil
}
