package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
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
		return fmt.Errorf("%s: %w", path, reason(err))
	}
	return nil
}
