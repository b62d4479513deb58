package family

import (
	"fmt"

	"repfuse/internal/disk"
)

// WithFiles is the built-in families and those that the user's files declare.
func WithFiles(paths []string) (*Set, error) {
	set, err := Builtin()
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		text, err := disk.Small(path)
		if err != nil {
			return nil, fmt.Errorf("--families %s: %w", path, err)
		}
		list, err := Load(path, text)
		for _, f := range list {
			f.Own = true
		}
		if err == nil {
			err = set.Add(list...)
		}
		if err != nil {
			return nil, err
		}
	}
	return set, nil
}
