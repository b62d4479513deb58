package family

import (
	"embed"
	"fmt"
	"hash/crc32"
	"path"

	"go.yaml.in/yaml/v3"
)

//go:generate go run -tags familygen ./gen

//go:embed builtin/*.yaml
var builtin embed.FS

// Builtin is the families that come with repfuse, in a set of their own at each call; they
// are not to be written to. They were parsed when builtin_parsed.go was written, unless the
// YAML has changed since.
func Builtin() (*Set, error) {
	s := &Set{}
	if builtinSum == BuiltinSum() {
		return s, s.addParsed()
	}
	return s, eachBuiltin(func(file string, text []byte) error {
		list, err := Load(file, text)
		if err != nil {
			return err
		}
		return s.Add(list...)
	})
}

// addParsed adds the families of builtin_parsed.go.
func (s *Set) addParsed() error {
	for k := range builtinFamilies {
		if err := s.Add(&builtinFamilies[k]); err != nil {
			return err
		}
	}
	return nil
}

// BuiltinSum is a checksum of the declarations as they were written.
func BuiltinSum() uint32 {
	var sum uint32
	eachBuiltin(func(file string, text []byte) error {
		sum = crc32.Update(crc32.Update(sum, crc32.IEEETable, []byte(file)), crc32.IEEETable, text)
		return nil
	})
	return sum
}

// eachBuiltin visits the files of declarations by name.
func eachBuiltin(visit func(file string, text []byte) error) error {
	entries, err := builtin.ReadDir("builtin")
	if err != nil {
		return err
	}
	for _, e := range entries {
		text, err := builtin.ReadFile(path.Join("builtin", e.Name()))
		if err != nil {
			return err
		}
		if err := visit(e.Name(), text); err != nil {
			return err
		}
	}
	return nil
}

// declaration finds the node of the YAML that a family was declared by.
func (f *Family) declaration() *yaml.Node {
	if f.node != nil {
		return f.node
	}
	var found *yaml.Node
	err := eachBuiltin(func(file string, text []byte) error {
		list, err := Load(file, text)
		for _, g := range list {
			if g.Name == f.Name {
				found = g.node
			}
		}
		return err
	})
	if err != nil || found == nil {
		panic(fmt.Sprintf("family: %s was parsed of YAML that does not hold it: %v", f.Name, err))
	}
	return found
}
