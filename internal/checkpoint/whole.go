package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/hint"
)

// WriteFile writes a file that is no checkpoint, whole or not at all: b goes to a
// temporary sibling, which then takes the place of what is at path. Where that is no
// regular file, such as /dev/stdout, b is written to it.
func WriteFile(path string, b []byte) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(path, b, 0o666)
	}
	dst := path
	if target, err := filepath.EvalSymlinks(path); err == nil {
		dst = target
	}
	tmp := sibling(dst, temporary)
	_, err := sweepOne(dst, false)
	if err == nil {
		err = os.WriteFile(tmp, b, 0o666)
	}
	if err == nil {
		err = os.Rename(tmp, dst)
	}
	if err != nil {
		os.Remove(tmp)
		return fmt.Errorf("%s: %w", path, disk.Cause(err))
	}
	return nil
}

// CheckAside is an error where a file beside checkpoints may not be written: it would lie inside
// one of the inputs, be one of them or what a checkpoint is made of, or, without force, replace
// anything. What is no regular file, such as /dev/stdout, may be written to.
func CheckAside(path string, force bool, inputs ...string) error {
	if _, err := os.Stat(filepath.Dir(filepath.Clean(path))); err != nil {
		return fmt.Errorf("%s: %w", path, disk.Cause(err))
	}
	there, err := os.Stat(path)
	switch {
	case err != nil:
	case there.IsDir():
		return fmt.Errorf("%s is a directory", path)
	case !there.Mode().IsRegular():
		return nil
	}
	for _, input := range inputs {
		in, err := os.Stat(input)
		if err != nil {
			continue // which is an error of its own
		}
		if err := outside(path, input, in); err != nil {
			return err
		}
		if there != nil && os.SameFile(there, in) {
			return fmt.Errorf("%s is %s itself, want it beside", path, input)
		}
	}
	switch {
	case there == nil:
		return nil
	case isPart(path):
		return fmt.Errorf("%s is there, and part of a checkpoint by its name", path)
	case !force:
		return hint.Add(fmt.Errorf("%s is there already", path), "--force replaces it")
	}
	return nil
}

// isPart reports whether a file has the name of a checkpoint, of its index, data or record.
func isPart(path string) bool {
	name := strings.ToLower(filepath.Base(path))
	_, known := bySuffix(path)
	return known || strings.HasSuffix(name, ".json") || strings.HasSuffix(name, "."+External)
}
