package repfuse

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"repfuse/internal/checkpoint"
	"repfuse/internal/hint"
)

// expected holds what would be written against a deploy model's own keys: a difference
// for each that is unexpected, of another shape, or missing.
func (p *Planned) expected(o *PlanOptions) error {
	path := o.Expect
	want, read, err := expectedKeys(path)
	if err != nil {
		return err
	}
	p.inputs = append(p.inputs, read...)
	const most = 4
	met := map[string]int{}
	differs := func(kind, format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		p.Differences = append(p.Differences, text)
		if met[kind]++; met[kind] <= most {
			p.unexpected = append(p.unexpected, errors.New(text))
		}
	}
	for _, t := range p.Result {
		shape, ok := want[t.Key]
		switch {
		case !ok:
			differs("unexpected", "%s: unexpected, %s has no such key", t.Key, path)
		case shape != nil && !slices.Equal(shape, t.Shape):
			differs("of another shape", "%s: has shape %v, want %v as %s says", t.Key, t.Shape, shape, path)
		}
		delete(want, t.Key)
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		differs("missing", "%s: missing, want it as %s says", key, path)
	}
	all := hint.Command("plan", "--json", "--expect", path, p.Source)
	if o.given() || o.State != "" {
		all += ", with the other flags too,"
	}
	for _, kind := range slices.Sorted(maps.Keys(met)) {
		if n := met[kind] - most; n > 0 {
			p.unexpected = append(p.unexpected, hint.Add(fmt.Errorf("%s: %d keys more are %s", path, n, kind), "%s names them", all))
		}
	}
	return nil
}

// expectedKeys is the shape of each key, nil where any will do, and the files that say so.
func expectedKeys(path string) (keys map[string][]int, read []string, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("--expect %s: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, nil, err
	}
	if ext := filepath.Ext(path); !info.IsDir() && (ext == ".txt" || ext == ".list" || ext == "") {
		text, err := readFile("--expect", path)
		if err != nil {
			return nil, nil, err
		}
		keys, err = keyList(path, text)
		return keys, []string{path}, err
	}
	c, err := checkpoint.Open(path, checkpoint.Options{})
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	keys = make(map[string][]int, len(c.Tensors))
	for _, t := range c.Tensors {
		keys[t.Key] = t.Shape
	}
	return keys, c.Paths(), nil
}

// keyList reads lines such as "stage0.weight [48, 3, 3, 3]" or the key alone.
func keyList(path string, text []byte) (map[string][]int, error) {
	keys := map[string][]int{}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		key, shape, hasShape := strings.Cut(strings.TrimSpace(line), " ")
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
	return keys, nil
}
