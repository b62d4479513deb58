package family

import (
	_ "embed" // the declarations
	"strings"
)

var (
	//go:embed builtin/backbones.yaml
	backbones string
	//go:embed builtin/detection.yaml
	detection string
	//go:embed builtin/networks.yaml
	networks string
	//go:embed builtin/restoration.yaml
	restoration string
	//go:embed builtin/segmentation.yaml
	segmentation string
	//go:embed builtin/superres.yaml
	superres string
	//go:embed builtin/weights.yaml
	weights string
)

// Builtin is the families that come with repfuse, a set of its own at each call. Each is
// parsed when it is asked for: all of them take longer than planning a network does.
func Builtin() (*Set, error) {
	s := &Set{}
	for _, f := range [][2]string{{"backbones.yaml", backbones}, {"detection.yaml", detection}, {"networks.yaml", networks}, {"restoration.yaml", restoration},
		{"segmentation.yaml", segmentation}, {"superres.yaml", superres}, {"weights.yaml", weights}} {
		if err := s.add(split(f[0], f[1])...); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// split finds the declarations of a built-in file without parsing them. It knows the one
// way in which those files are written, to which a test holds them.
func split(file, text string) []*entry {
	var list []*entry
	line := 1
	for part := range strings.SplitSeq(text, "\n"+begin) {
		if line > 1 {
			name, _, _ := strings.Cut(part, "\n")
			list = append(list, &entry{name: name, file: file, line: line, text: part})
		}
		line += strings.Count(part, "\n") + 1
	}
	return list
}

// begin is what a declaration's line begins with, in front of its name.
const begin = "  - name: "

// parsed is the declaration.
func (e *entry) parsed() (*Family, error) {
	e.once.Do(func() {
		if e.family == nil {
			var list []*Family
			if list, e.err = load(&Loader{File: e.file, above: e.line - 2}, []byte("families:\n"+begin+e.text)); e.err == nil {
				e.family = list[0]
			}
		}
	})
	return e.family, e.err
}

// suits reports whether a declaration's text has an anchor, or a key of the deploy form, all
// of whose names there are.
func suits(text string, has func(name string) bool) bool {
	_, rest, _ := strings.Cut(text, "\n    anchor:\n")
	for line := range strings.Lines(rest) {
		anchor, ok := strings.CutPrefix(line, "      - ")
		if !ok {
			break
		}
		all := true
		for key := range strings.FieldsSeq(anchor) {
			all = all && named(key, has)
		}
		if all {
			return true
		}
	}
	_, rest, _ = strings.Cut(text, "\n    deployed: [")
	keys, _, _ := strings.Cut(rest, "]")
	for key := range strings.SplitSeq(keys, ", ") {
		if key != "" && named(key, has) {
			return true
		}
	}
	return false
}

// named reports whether there is each name of a key, except those with wildcards. Of a key
// that must not be there, there may be any.
func named(key string, has func(name string) bool) bool {
	if end := strings.IndexByte(key, '['); end >= 0 {
		key = key[:end]
	}
	for name := range strings.SplitSeq(key, ".") {
		if !strings.ContainsAny(key, `!"`) && !strings.ContainsAny(name, "*<") && !has(name) {
			return false
		}
	}
	return true
}
