package family

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A set of the built-in families holds what their files say, in the order of the files and
// with their lines, though most of them are never parsed.
func TestSplit(t *testing.T) {
	set, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("builtin/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	var want []*Family
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		list, err := Load(filepath.Base(file), text)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, list...)
	}
	got, err := set.All()
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d families, want %d: %v", len(got), len(want), err)
	}
	for k, f := range want {
		g, e := *got[k], set.list[k]
		if g.node = f.node; !reflect.DeepEqual(&g, f) || e.name != f.Name || e.file != f.file || e.line != f.line {
			t.Errorf("%s at %s:%d is %+v, want %+v", e.name, e.file, e.line, g, *f)
		}
	}
	bad := split("f.yaml", "families:\n  - name: a\n    anchor:\n      - x\n  # of b\n  - name: b\n    anchr: [y]\n")
	if _, err := bad[1].parsed(); len(bad) != 2 || err == nil || !strings.HasPrefix(err.Error(), "f.yaml:7: unknown field") {
		t.Errorf("%d entries, error %v, want one of line 7", len(bad), err)
	}
}

// Where a checkpoint has the names of an anchor's keys, or of a key of the deploy form,
// the family is among those that are tried. Where it has no name, few are.
func TestAmong(t *testing.T) {
	set, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	all, err := set.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		signs := slices.Clone(f.Anchor)
		for _, key := range f.Deployed {
			signs = append(signs, []Pattern{{Key: key}})
		}
		for _, sign := range signs {
			names := map[string]bool{}
			for _, p := range sign {
				for name := range strings.SplitSeq(p.Key, ".") {
					names[name] = names[name] || !p.Absent
				}
			}
			if list, err := set.Among(func(name string) bool { return names[name] }); err != nil || !slices.Contains(list, f) {
				t.Errorf("%s is not among those with %+v: %v", f, sign, err)
			}
		}
	}
	if list, err := set.Among(func(string) bool { return false }); err != nil || len(list) > len(all)/20 {
		t.Errorf("%d of %d families fit no name: %v", len(list), len(all), err)
	}
	own := &Family{Name: "own", Anchor: [][]Pattern{{{Key: "a"}}}}
	if err := set.Add(own); err != nil {
		t.Fatal(err)
	}
	if list, err := set.Among(func(string) bool { return false }); err != nil || !slices.Contains(list, own) {
		t.Errorf("a family of the user's is left out: %v", err)
	}
}
