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

// Builtin is the families that come with repfuse, made anew at each call. They were
// parsed when builtin_parsed.go was written, unless the YAML has changed since.
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

// addParsed adds copies of the families of builtin_parsed.go.
func (s *Set) addParsed() error {
	for k := range builtinFamilies {
		f := builtinFamilies[k]
		var err error
		EachOutput(&f, func(o *Output) {
			if err == nil {
				o.Expr, err = Parse(o.Text)
			}
		})
		if err != nil {
			return err
		}
		if err := s.Add(&f); err != nil {
			return err
		}
	}
	return nil
}

// EachOutput visits copies, put into f, of its outputs and of those of its dialects.
func EachOutput(f *Family, visit func(*Output)) {
	f.Make = append([]Output(nil), f.Make...)
	for k := range f.Make {
		visit(&f.Make[k])
	}
	f.Dialects = append([]Dialect(nil), f.Dialects...)
	for k := range f.Dialects {
		d := &f.Dialects[k]
		if d.Make == nil {
			continue
		}
		d.Make = append([]Output{}, d.Make...)
		for i := range d.Make {
			visit(&d.Make[i])
		}
	}
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
