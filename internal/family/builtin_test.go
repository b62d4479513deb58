package family

import (
	"reflect"
	"testing"
)

// What was parsed beforehand is what the YAML says, to the last field.
func TestBuiltinParsed(t *testing.T) {
	if builtinSum != BuiltinSum() {
		t.Fatal("builtin_parsed.go is older than builtin/*.yaml: run go generate ./internal/family")
	}
	set := &Set{}
	if err := set.addParsed(); err != nil {
		t.Fatal(err)
	}
	var want []*Family
	err := eachBuiltin(func(file string, text []byte) error {
		list, err := Load(file, text)
		want = append(want, list...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.All()) != len(want) {
		t.Fatalf("%d families, want %d", len(set.All()), len(want))
	}
	for k, f := range set.All() {
		if string(f.YAML()) != string(want[k].YAML()) {
			t.Errorf("%s: the declaration is\n%s\nwant\n%s", f.Name, f.YAML(), want[k].YAML())
		}
		loaded := *want[k]
		loaded.node = nil
		if !reflect.DeepEqual(*f, loaded) {
			t.Errorf("%s: parsed beforehand\n%#v\nwant\n%#v", f.Name, *f, loaded)
		}
	}
}
