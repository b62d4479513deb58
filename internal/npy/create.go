package npy

import (
	"fmt"
	"path/filepath"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// maxName is the longest file name that common file systems take, in bytes.
const maxName = 255

// CreateDir makes a writer of files KEY.npy in an existing empty directory, which create makes. A file
// is opened when its first bytes come and closed by Done, so no more are open than
// are being written. A key that is no safe file name, or a type that numpy lacks, is an
// error before anything is written; a file that is there already is one when its turn comes.
func CreateDir(dir string, specs []tensor.Spec, create disk.Maker) (tensor.Writer, error) {
	tally, err := tensor.NewTally(specs)
	if err != nil {
		return nil, err
	}
	w := &disk.Writer{Tally: tally, Places: make([]disk.Place, len(specs))}
	for i, s := range specs {
		if err := checkName(s.Key); err != nil {
			return nil, err
		}
		header, err := headerOf(s)
		if err != nil {
			return nil, err
		}
		w.Places[i] = disk.Place{File: i, Off: int64(len(header))}
	}
	w.Begin = func(i int) (*disk.File, error) {
		header, err := headerOf(specs[i])
		if err != nil {
			return nil, err
		}
		f, err := create.With(filepath.Join(dir, specs[i].Key+Ext), header)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", specs[i].Key, err)
		}
		return f, nil
	}
	return w.Start(len(specs)), nil
}

// checkName is an error for a key that OpenDir would not find again under its name.
func checkName(key string) error {
	name := key + Ext
	switch {
	case key == "":
		return fmt.Errorf("an empty key cannot be a file name")
	case strings.HasPrefix(key, "."):
		return fmt.Errorf("key %q cannot be a file name: it begins with a dot", key)
	case strings.ContainsAny(key, "/\\\x00") || !filepath.IsLocal(name):
		return fmt.Errorf("key %q cannot be a file name", key)
	case len(name) > maxName:
		return fmt.Errorf("key %s cannot be a file name: %d bytes with %s, want at most %d", key, len(name), Ext, maxName)
	}
	return nil
}

// headerOf is the header of a tensor's file; an error where no .npy file can hold it.
func headerOf(s tensor.Spec) ([]byte, error) {
	header, err := AppendHeader(nil, s.Type, s.Shape)
	if err == nil {
		_, err = tensor.Count(s.Shape, s.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Key, err)
	}
	return header, nil
}
