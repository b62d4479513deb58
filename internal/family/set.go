package family

import (
	"fmt"
	"strings"
	"sync"

	"repfuse/internal/hint"
)

// Set is families by name, in the order declared.
type Set struct {
	list   []*entry
	byName map[string]*entry
}

// entry is a declaration that a set holds.
type entry struct {
	name, file string
	line       int
	text       string // of a built-in one, behind its begin
	once       sync.Once
	family     *Family // as it is parsed, once
	err        error
}

// All is the families in the order declared.
func (s *Set) All() ([]*Family, error) { return s.Among(nil) }

// Among is All without some that fit nothing in a checkpoint; has, where it is not nil, says
// which names there are between the dots of its keys.
func (s *Set) Among(has func(name string) bool) ([]*Family, error) {
	var list []*Family
	for _, e := range s.list {
		if e.text != "" && has != nil && !suits(e.text, has) {
			continue
		}
		f, err := e.parsed()
		if err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, nil
}

// Add appends families; a name that is there already is an error.
func (s *Set) Add(list ...*Family) error {
	for _, f := range list {
		e := &entry{name: f.Name, file: f.file, line: f.line, family: f}
		if err := s.add(e); err != nil {
			return err
		}
	}
	return nil
}

func (s *Set) add(list ...*entry) error {
	if s.byName == nil {
		s.byName = map[string]*entry{}
	}
	for _, e := range list {
		if old := s.byName[e.name]; old != nil {
			err := fmt.Errorf("%s:%d: family %s is declared already (%s:%d)", e.file, e.line, e.name, old.file, old.line)
			return hint.Add(err, "name: my-%s in %s is another", e.name, e.file)
		}
		s.byName[e.name] = e
		s.list = append(s.list, e)
	}
	return nil
}

// Find is the family called NAME or NAME/DIALECT.
func (s *Set) Find(name string) (*Family, error) {
	base, dialect, _ := strings.Cut(name, "/")
	e := s.byName[base]
	if e == nil {
		return nil, fmt.Errorf("no family is called %q%s", base, s.like(base))
	}
	f, err := e.parsed()
	if err != nil {
		return nil, err
	}
	return f.In(dialect)
}

// like is a suggestion of names that contain the given one or begin alike.
func (s *Set) like(name string) string {
	var near []string
	for _, e := range s.list {
		if strings.Contains(e.name, name) || (len(name) > 2 && strings.Contains(name, e.name)) {
			near = append(near, e.name)
		}
	}
	if len(near) == 0 {
		return ""
	}
	return " (there is " + strings.Join(near, ", ") + ")"
}
