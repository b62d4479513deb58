package family

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// WithFiles is the built-in families and those that the user's files declare.
func WithFiles(paths []string) (*Set, error) {
	set, err := Builtin()
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = fs.ErrNotExist
		}
		if err != nil {
			return nil, fmt.Errorf("--families %s: %w", path, err)
		}
		list, err := Load(path, text)
		if err == nil {
			err = set.Add(list...)
		}
		if err != nil {
			return nil, err
		}
	}
	return set, nil
}
