package checkpoint

import (
	"io/fs"
	"path/filepath"

	"repfuse/internal/facts"
)

// survey looks at a directory that is to be replaced: whether it is empty, and
// what in it is no part of one checkpoint, "" where all is.
func survey(dir string) (empty bool, stranger string, err error) {
	var names []string // of what no format has claimed yet
	empty = true
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		empty = false
		name, err := filepath.Rel(dir, path)
		switch {
		case d.IsDir():
		case !d.Type().IsRegular():
			stranger = name
			return fs.SkipAll
		case d.Name() != facts.File && d.Name() != facts.Graph && d.Name() != Record && !isCompanion(name):
			names = append(names, name)
		}
		return err
	})
	for _, f := range formats {
		if f.dir() {
			names = f.strangers(names)
		}
	}
	if stranger == "" && len(names) > 0 {
		stranger = names[0]
	}
	return empty, stranger, err
}
