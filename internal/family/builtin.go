package family

import "embed"

//go:embed builtin/*.yaml
var builtin embed.FS

// Builtin parses the families that come with repfuse, a set of its own at each call.
func Builtin() (*Set, error) {
	s := &Set{}
	entries, err := builtin.ReadDir("builtin")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		text, err := builtin.ReadFile("builtin/" + e.Name())
		if err != nil {
			return nil, err
		}
		list, err := Load(e.Name(), text)
		if err != nil {
			return nil, err
		}
		if err := s.Add(list...); err != nil {
			return nil, err
		}
	}
	return s, nil
}
