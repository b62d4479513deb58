package checkpoint

import (
	"cmp"
	"io/fs"
	"path/filepath"

	"repfuse/internal/facts"
)

// survey looks at a directory that is to be replaced: whether it is empty, and
// what in it is no part of one checkpoint, "" where all is. A file that may lie with tensors, such as
// a tokenizer's, is no part where there are none.
func survey(dir string) (empty bool, stranger string, err error) {
	var names []string // of what no format has claimed yet
	var alone string   // what lies with tensors
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
		case d.Name() == Record:
		case d.Name() == facts.File || d.Name() == facts.Graph || isCompanion(name):
			alone = cmp.Or(alone, name)
		default:
			names = append(names, name)
		}
		return err
	})
	if len(names) > 0 {
		alone = ""
	}
	for _, f := range formats {
		if f.dir() {
			names = f.strangers(names)
		}
	}
	if len(names) > 0 {
		alone = names[0]
	}
	return empty, cmp.Or(stranger, alone), err
}
