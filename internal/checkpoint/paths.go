package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"repfuse/internal/disk"
	"repfuse/internal/hint"
)

// CheckPaths is an error where writing dst could touch src: both are one file or
// directory, by whatever spelling or link, or one lies inside the other.
func CheckPaths(src, dst string) error {
	s, err := os.Stat(src)
	if err != nil {
		return fmt.Errorf("%s: %w", src, disk.Cause(err))
	}
	d, err := os.Stat(dst)
	switch {
	case err == nil && os.SameFile(s, d):
		return fmt.Errorf("%s and %s are the same %s", src, dst, kind(s))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w", dst, disk.Cause(err))
	}
	if err := outside(dst, src, s); err != nil || d == nil {
		return err
	}
	return outside(src, dst, d)
}

// outside is an error where a path lies inside a directory.
func outside(path, dir string, info fs.FileInfo) error {
	if !info.IsDir() {
		return nil
	}
	inside, err := within(path, info)
	if err == nil && inside {
		err = fmt.Errorf("%s lies inside %s, want it beside", path, dir)
	}
	return err
}

// Apart is an error where writing dst, or what comes to lie beside it, could touch one of the files that were
// read; "" is none.
func Apart(dst string, read ...string) error {
	places := []string{dst}
	if _, file := bySuffix(dst); file {
		places = append(places, dst+"."+Record)
	}
	if IsModel(dst) {
		places = append(places, dst+"."+External)
	}
	for _, path := range read {
		if path == "" {
			continue
		}
		for _, place := range places {
			if err := CheckPaths(path, place); err != nil {
				return err
			}
		}
	}
	return nil
}

// Paths is where the checkpoint lies, and its shards or external data.
func (c *Checkpoint) Paths() []string { return append([]string{c.Path}, c.Files...) }

func kind(info fs.FileInfo) string {
	if info.IsDir() {
		return "directory"
	}
	return "file"
}

// within reports whether a directory above path, links resolved, is dir. The path
// itself need not be there.
func within(path string, dir fs.FileInfo) (bool, error) {
	path, err := resolve(path)
	if err != nil {
		return false, err
	}
	return under(filepath.Dir(path), dir)
}

// under reports whether dir is the directory at path or one above it.
func under(path string, dir fs.FileInfo) (bool, error) {
	for {
		info, err := os.Stat(path)
		if err != nil {
			return false, err
		}
		if os.SameFile(info, dir) {
			return true, nil
		}
		up := filepath.Dir(path)
		if up == path {
			return false, nil
		}
		path = up
	}
}

// resolve makes a path absolute and follows its symbolic links. The last element
// may be missing, its directory may not.
func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Lstat(abs); err == nil {
		real, err := filepath.EvalSymlinks(abs)
		if err != nil {
			return "", fmt.Errorf("%s: symbolic link to nothing: %w", path, disk.Cause(err))
		}
		return real, nil
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if errors.Is(err, fs.ErrNotExist) {
		err := fmt.Errorf("%s: its directory is not there", path)
		return "", hint.Add(err, "mkdir -p %s", filepath.Dir(filepath.Clean(path)))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, disk.Cause(err))
	}
	if info, err := os.Stat(parent); err == nil && !info.IsDir() {
		return "", fmt.Errorf("%s: %s is a file, want a directory", path, filepath.Dir(filepath.Clean(path)))
	}
	return filepath.Join(parent, filepath.Base(abs)), nil
}
