package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"repfuse/internal/checkpoint"
	"repfuse/internal/plan"
)

// expect holds what would be written against a deploy model's own keys: a
// checkpoint, or a text file with KEY or KEY [SHAPE] a line. Every difference is an
// error of its own in differences; err says that it could not be done.
func expect(items []plan.Item, path string) (differences, err error) {
	want, err := expectedKeys(path)
	if err != nil {
		return nil, err
	}
	var all []error
	for _, it := range items {
		shape, ok := want[it.Key]
		switch {
		case !ok:
			all = append(all, fmt.Errorf("%s: unexpected, %s has no such key", it.Key, path))
		case shape != nil && !slices.Equal(shape, it.Shape):
			all = append(all, fmt.Errorf("%s: has shape %v, want %v as %s says", it.Key, it.Shape, shape, path))
		}
		delete(want, it.Key)
	}
	missing := make([]string, 0, len(want))
	for key := range want {
		missing = append(missing, key)
	}
	slices.Sort(missing)
	for _, key := range missing {
		all = append(all, fmt.Errorf("%s: missing, want it as %s says", key, path))
	}
	return errors.Join(all...), nil
}

func expectedKeys(path string) (map[string][]int, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("--expect %s: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	if ext := filepath.Ext(path); !info.IsDir() && (ext == ".txt" || ext == ".list" || ext == "") {
		return keyList(path)
	}
	c, err := checkpoint.Open(path, checkpoint.Options{})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	keys := make(map[string][]int, len(c.Tensors))
	for _, t := range c.Tensors {
		keys[t.Key] = t.Shape
	}
	return keys, nil
}

// keyList reads lines such as "stage0.weight [48, 3, 3, 3]" or the key alone.
func keyList(path string) (map[string][]int, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	keys := map[string][]int{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		key, shape, hasShape := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		if key == "" || key[0] == '#' {
			continue
		}
		keys[key] = nil
		if !hasShape {
			continue
		}
		keys[key] = []int{}
		for _, d := range strings.FieldsFunc(shape, func(r rune) bool { return strings.ContainsRune("[](), ", r) }) {
			v, err := strconv.Atoi(d)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: shape %q, want [N, N]", path, n, shape)
			}
			keys[key] = append(keys[key], v)
		}
	}
	return keys, lines.Err()
}
