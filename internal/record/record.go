// Package record is the file that fuse leaves beside its output: what was assumed
// and what was written, so that verify needs no flags. It holds no times and no
// absolute paths: the same input gives the same record. It is no proof; verify judges
// a tensor by its bytes whatever the record says.
package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"repfuse/internal/checkpoint"
	"repfuse/internal/plan"
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
	// DType is the element type asked for, "" where each kept its own.
	DType string     `json:"dtype,omitempty"`
	Plan  *plan.File `json:"plan"`
	Notes []string   `json:"notes,omitempty"`
	// CRC32 is the checksum of each tensor written, by its key.
	CRC32 map[string]string `json:"crc32"`
	// SHA256 likewise, where it was asked for.
	SHA256 map[string]string `json:"sha256,omitempty"`
}

// Bytes is the record's text.
func (r *Record) Bytes() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
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
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.Version != Version {
		return nil, fmt.Errorf("%s: version %d, want %d", path, r.Version, Version)
	}
	if r.Plan == nil {
		return nil, fmt.Errorf("%s: has no plan", path)
	}
	return &r, nil
}
