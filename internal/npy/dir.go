package npy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

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
// are passed over. Headers alone are read; nothing stays open. A symbolic link that
// leads out of the directory is an error.
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
	defer top.Close()
	set := &Set{}
	names, err := set.walk(dir)
	if err != nil {
		return nil, err
	}
	set.Tensors = make([]tensor.Named, len(names))
	errs := make([]error, len(names))
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(names)) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(names); i = int(next.Add(1)) - 1 {
				set.Tensors[i].Key = keyOf(names[i])
				if set.Tensors[i].Tensor, errs[i] = lookAt(folder{root, top, dir}, names[i], o); errs[i] != nil {
					errs[i] = fmt.Errorf("%s: %w", names[i], reason(errs[i]))
				}
			}
		})
	}
	group.Wait()
	for _, err := range errs { // the first by name, whoever came first
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(set.Tensors, func(a, b tensor.Named) int { return strings.Compare(a.Key, b.Key) })
	slices.Sort(set.Others)
	return set, nil
}

// keyOf is the key that a file's name, with slashes, stands for.
func keyOf(name string) string {
	return strings.ReplaceAll(strings.TrimSuffix(name, Ext), "/", ".")
}

// walk lists the arrays below dir, one for each key, and notes the other files. It
// follows no links; names alone are looked at.
func (s *Set) walk(dir string) (names []string, err error) {
	files := map[string]string{}
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !strings.HasSuffix(name, Ext):
			s.Others = append(s.Others, name)
			return nil
		}
		if other, ok := files[keyOf(name)]; ok {
			return fmt.Errorf("%s and %s both have the key %s", other, name, keyOf(name))
		}
		files[keyOf(name)] = name
		names = append(names, name)
		return nil
	})
	return names, err
}

// folder is a directory, twice open: root keeps to what is in it, wherever links lead.
type folder struct {
	root *os.Root
	top  *os.File
	path string
}

func (d folder) open(name string) (*os.File, error) {
	if !strings.Contains(name, "/") {
		if f, ok := openIn(d.top, name); ok {
			return f, nil
		}
	}
	return d.root.Open(name)
}

// lookAt reads the header of one file and closes it again.
func lookAt(d folder, name string, o Options) (tensor.Tensor, error) {
	info, err := d.root.Stat(name)
	if err != nil {
		return tensor.Tensor{}, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return tensor.Tensor{}, fmt.Errorf("%s, want a regular file", info.Mode().Type())
	}
	f, err := d.open(name)
	if err != nil {
		return tensor.Tensor{}, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return tensor.Tensor{}, err
	}
	h, err := ReadHeader(f, info.Size(), o)
	if err != nil {
		return tensor.Tensor{}, err
	}
	path := filepath.Join(d.path, filepath.FromSlash(name))
	return tensor.Tensor{Type: h.Type, Shape: h.Shape, Open: func() (tensor.Data, error) {
		return openElements(path, info, h)
	}}, nil
}

// openElements opens the elements of a file whose header was read when it had info.
func openElements(path string, info fs.FileInfo, h Header) (tensor.Data, error) {
	f, err := openFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	now, err := f.Stat()
	if err == nil {
		err = unchanged(path, info, now)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return h.elements(f, f), nil
}

// unchanged is an error where a file is not the one that was looked at.
func unchanged(path string, then, now fs.FileInfo) error {
	switch {
	case then.Size() != now.Size():
		return fmt.Errorf("%s has %d bytes, want the %d it had when its header was read", path, now.Size(), then.Size())
	case !os.SameFile(then, now) || !then.ModTime().Equal(now.ModTime()):
		return fmt.Errorf("%s has changed since its header was read", path)
	}
	return nil
}

// reason strips the operation and the path from an error of package os: the
// caller names the file.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
