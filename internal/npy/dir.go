package npy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/parallel"
	"repfuse/internal/tensor"
)

// Ext is the extension of a file that holds one array.
const Ext = ".npy"

// Set is the arrays of a directory or of a .npz file.
type Set struct {
	// Tensors is sorted by key, or in the order of the archive.
	Tensors []tensor.Named
	// Others are the names of what is there and is no array, sorted.
	Others []string

	close func() error
}

// Close closes what the set keeps open. Data opened from it must be closed before.
func (s *Set) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}

// OpenDir finds the arrays in a directory and the folders in it, one to a file:
// conv/bn/weight.npy and conv.bn.weight.npy both have the key conv.bn.weight, and
// it is an error if both are there. Files and folders whose name begins with a dot
// are passed over. Headers alone are read; the directory alone stays open. A symbolic link
// that leads out of it is an error.
func OpenDir(dir string, o Options) (*Set, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	top, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	set := &Set{close: top.Close}
	err = set.lookAt(folder{root, top, dir}, o)
	if len(set.Tensors) == 0 {
		set.close = nil
		top.Close()
	}
	return set, err
}

func (s *Set) lookAt(d folder, o Options) error {
	found, err := s.walk(nil, d.path, "")
	if err != nil {
		return err
	}
	slices.Sort(s.Others)
	if err := sortByKey(found); err != nil {
		return err
	}
	s.Tensors, err = d.lookAt(found, o)
	return err
}

// entry is a file that holds an array by its name.
type entry struct {
	name, key string
	regular   bool
}

// keyOf is the key that a file's name, with slashes, stands for.
func keyOf(name string) string {
	return strings.ReplaceAll(strings.TrimSuffix(name, Ext), "/", ".")
}

// walk adds to found the arrays below dir, whose names begin with prefix, and notes the other
// files. It follows no links; names alone are looked at.
func (s *Set) walk(found []entry, dir, prefix string) ([]entry, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	found = slices.Grow(found, len(list))
	for _, d := range list {
		name := prefix + d.Name()
		switch {
		case strings.HasPrefix(d.Name(), "."):
		case d.IsDir():
			if found, err = s.walk(found, filepath.Join(dir, d.Name()), name+"/"); err != nil {
				return nil, err
			}
		case strings.HasSuffix(name, Ext):
			found = append(found, entry{name, keyOf(name), d.Type().IsRegular()})
		default:
			s.Others = append(s.Others, name)
		}
	}
	return found, nil
}

// sortByKey is an error where a key is there twice.
func sortByKey(found []entry) error {
	slices.SortStableFunc(found, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	for i := 1; i < len(found); i++ {
		if a, b := found[i-1], found[i]; a.key == b.key {
			return fmt.Errorf("%s and %s both have the key %s", a.name, b.name, a.key)
		}
	}
	return nil
}

// folder is a directory, twice open: root keeps to what is in it, wherever links lead.
type folder struct {
	root *os.Root
	top  *os.File
	path string
}

// lookAt reads the headers of files, on all processors.
func (d folder) lookAt(found []entry, o Options) ([]tensor.Named, error) {
	if err := tensor.Few(len(found)); err != nil {
		return nil, err
	}
	list := make([]tensor.Named, len(found))
	errs := make([]error, len(found))
	failed := parallel.Each(context.Background(), 0, len(found), func() func(int) error {
		m := newHeaders(o)
		return func(i int) error {
			list[i].Key = found[i].key
			list[i].Tensor, errs[i] = d.header(found[i], m)
			return nil
		}
	})
	for i, err := range errs { // the first, whoever came first
		if err != nil {
			return nil, fmt.Errorf("%s: %w", found[i].name, disk.Cause(err))
		}
	}
	if failed != nil {
		return nil, failed
	}
	return list, nil
}

// header reads the header of one file and closes it again.
func (d folder) header(e entry, m *headers) (tensor.Tensor, error) {
	f, then, err := d.open(e)
	if err != nil {
		return tensor.Tensor{}, err
	}
	defer f.Close()
	h, err := m.read(f, then.Bytes())
	if err != nil {
		return tensor.Tensor{}, err
	}
	top, dir, name := d.top, d.path, e.name // and not all of d, which would stay
	return tensor.Tensor{Type: h.Type, Shape: h.Shape, Open: func() (tensor.Data, error) {
		f, err := disk.OpenBelow(top, dir, name)
		if err != nil {
			return nil, err
		}
		return elements(f, then, h)
	}}, nil
}

// open opens a regular file and nothing else: opening a pipe would wait for its writer.
func (d folder) open(e entry) (*disk.File, disk.Identity, error) {
	if e.regular {
		if f, ok := disk.OpenIn(d.top, e.name); ok {
			if now, err := f.Identity(); err == nil && now.Regular() {
				return f, now, nil
			}
			f.Close()
		}
	}
	f, err := disk.OpenFrom(d.root, e.name)
	if err != nil {
		return nil, disk.Identity{}, err
	}
	now, err := f.Identity()
	if err != nil {
		f.Close()
	}
	return f, now, err
}

// elements is the elements of a file that was what then says when its header was read.
func elements(f *disk.File, then disk.Identity, h Header) (tensor.Data, error) {
	now, err := f.Identity()
	if err == nil {
		err = unchanged(f, then, now)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return h.elements(f, f), nil
}

// unchanged is an error where a file is not the one that was looked at.
func unchanged(f *disk.File, then, now disk.Identity) error {
	switch {
	case then.Bytes() != now.Bytes():
		return fmt.Errorf("%s has %d bytes, want the %d it had when its header was read", f.Path(), now.Bytes(), then.Bytes())
	case !then.Same(now):
		return fmt.Errorf("%s has changed since its header was read", f.Path())
	}
	return nil
}
