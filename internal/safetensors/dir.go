package safetensors

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/hint"
)

// noIndex is the hint where shards lie without what says which is which.
const noIndex = "shards need their index, NAME" + IndexSuffix + ", beside them"

// shardNumber ends the name of a file that holds a part of a checkpoint.
var shardNumber = regexp.MustCompile(`-[0-9]{5,}-of-([0-9]{5,})\.[a-z]+$`)

// Shards is how many files there are where one is called like this, if its name is
// that of a shard.
func Shards(name string) (n int, numbered bool) {
	m := shardNumber.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil
}

// Index finds the index in a directory: its path, or "" where there is none.
// Several are an error, as only the user knows which is meant.
func Index(dir string) (string, error) { return only(dir, IndexSuffix) }

// OpenDir opens what a directory holds: the shards that its index names or, without
// an index, its one .safetensors file. A symbolic link that leads out of the directory
// is an error. Where neither is there, the File is nil.
func OpenDir(dir string) (*File, error) {
	index, err := Index(dir)
	if err != nil {
		return nil, err
	}
	if index != "" {
		return openIndex(index)
	}
	path, err := only(dir, Ext)
	if err != nil || path == "" {
		return nil, err
	}
	if n, _ := Shards(path); n > 1 {
		return nil, hint.Add(fmt.Errorf("%s: %s is there, one of %d shards", dir, filepath.Base(path), n), noIndex)
	}
	root, err := disk.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := OpenWithin(root, filepath.Base(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return single(path, f)
}

// Strangers is which files of a directory, by their names in it, are no part of one checkpoint:
// of a folder of several models, those of a second.
func Strangers(names []string) []string {
	var whole, shards, indexes, others []string
	for _, name := range names {
		_, numbered := Shards(name)
		switch {
		case strings.ContainsRune(name, filepath.Separator):
			others = append(others, name)
		case strings.HasSuffix(name, IndexSuffix):
			indexes = append(indexes, name)
		case !strings.HasSuffix(name, Ext):
			others = append(others, name)
		case numbered:
			shards = append(shards, name)
		default:
			whole = append(whole, name)
		}
	}
	switch {
	case len(others) > 0:
		return others
	case len(whole) > 1:
		return whole[1:]
	case len(indexes) > 1:
		return indexes[1:]
	case len(whole) > 0 && len(shards)+len(indexes) > 0:
		return whole
	case len(indexes) == 0:
		return shards
	}
	return nil
}

// only finds the one name with that ending in a directory.
func only(dir, suffix string) (string, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	found := ""
	for _, e := range list {
		switch {
		case !strings.HasSuffix(e.Name(), suffix) || strings.HasPrefix(e.Name(), "."):
		case found != "":
			err := fmt.Errorf("%s: %s and %s are there, want one", dir, found, e.Name())
			if n, _ := Shards(found); n > 1 {
				return "", hint.Add(err, noIndex)
			}
			return "", hint.Add(err, "%s is one checkpoint", filepath.Join(dir, found))
		default:
			found = e.Name()
		}
	}
	if found == "" {
		return "", nil
	}
	return filepath.Join(dir, found), nil
}

// OpenWithin opens a file of a directory, through no link that leads out of it.
func OpenWithin(root *disk.Folder, name string) (*disk.File, error) {
	f, err := disk.OpenFrom(root, name)
	if err == nil {
		return f, nil
	}
	return nil, fmt.Errorf("%s: %w", name, disk.Cause(err))
}
