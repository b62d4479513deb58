package family_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repfuse/internal/family"
)

// head is three lines before a declaration's own.
const head = "families:\n  - name: f\n    anchor: [a]\n"

func TestLoadErrors(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", "f.yaml: is empty"},
		{"no YAML", "families: [", "f.yaml: line 1:"},
		{"a list at the top", "- name: f\n", "f.yaml:1: want a mapping"},
		{"unknown at the top", "familie: []\n", `f.yaml:1: unknown field "familie", want one of families`},
		{"no mapping", "families:\n  - f\n", "f.yaml:2: want a mapping"},
		{"unknown field", head + "    mak: {}\n", `f.yaml:4: unknown field "mak", want one of alike, anchor, ask, class,`},
		{"twice", head + "    anchor: [b]\n", `f.yaml:4: field "anchor" comes twice`},
		{"no name", "families:\n  - anchor: [a]\n    make: {b: x}\n", `f.yaml:2: name "", want small letters, digits and hyphens`},
		{"bad name", "families:\n  - name: A b\n    anchor: [a]\n    make: {b: x}\n", `f.yaml:2: name "A b", want small letters`},
		{"no anchor", "families:\n  - name: f\n    make: {b: x}\n", "f.yaml:2: f has no anchor"},
		{"no make", head, "f.yaml:2: f makes nothing"},
		{"empty anchor", "families:\n  - name: f\n    anchor: ['']\n    make: {b: x}\n", "f.yaml:3: an empty anchor"},
		{"absent first", "families:\n  - name: f\n    anchor:\n      - a\n      - '!a b'\n    make: {b: x}\n", "f.yaml:5: anchor !a b: want a key that is there first"},
		{"bad extents", "families:\n  - name: f\n    anchor: ['a[3xz]']\n    make: {b: x}\n", "f.yaml:3: anchor a[3xz]: want extents such as 3x3"},
		{"bad shape", "families:\n  - name: f\n    anchor: ['a[1,z]']\n    make: {b: x}\n", "f.yaml:3: anchor a[1,z]: want numbers and *, one an axis"},
		{"bad ε", head + "    eps: small\n", `f.yaml:4: "small" does not fit, want *float64`},
		{"bad expression", head + "    make: {b: nom(a)}\n", `f.yaml:4: b: "nom": want conv,`},
		{"bad expression below", head + "    make:\n      b: x\n      c: |\n        conv(a)\n        + conv(b)\n        + nom(c)\n",
			`f.yaml:9: c: "nom": want conv,`},
		{"folded", head + "    make:\n      c: >\n        nom(a)\n", `f.yaml:6: c: "nom": want conv,`},
		{"plain over two lines", head + "    make:\n      c: conv(a) +\n        nom(a)\n", `f.yaml:5: c: "nom": want conv,`},
		{"undeclared question", head + "    make: {b: 'ask(q: x)'}\n", `f.yaml:2: f asks "q", which is not under ask`},
		{"undeclared question within", head + "    make: {b: 'sum<n>(conv(a.<n>) > (ask(q: x) + x)?)'}\n", `f.yaml:2: f asks "q", which is not under ask`},
		{"undeclared question of a dialect", head + "    make: {b: x}\n    dialects: {d: {make: {b: 'ask(q: x)'}}}\n", `f.yaml:2: f asks "q", which is not under ask`},
		{"undeclared answer", head + "    make: {b: x}\n    dialects: {d: {answers: {q: yes}}}\n", `f.yaml:2: f asks "q", which is not under ask`},
		{"unknown of a question", head + "    make: {b: x}\n    ask:\n      q: {abou: this}\n", `f.yaml:6: unknown field "abou", want one of about, default, facts`},
		{"dropped without a reason", head + "    make: {b: x}\n    drop:\n      a.**:\n", "f.yaml:6: a.** is dropped without a reason"},
		{"text wanted", head + "    make: {b: x}\n    keep: [[a]]\n", "f.yaml:5: want text"},
		{"unknown of a dialect", head + "    make: {b: x}\n    dialects:\n      d: {anchor: a}\n", `f.yaml:6: unknown field "anchor", want one of answers,`},
		{"bad dialect name", head + "    make: {b: x}\n    dialects:\n      D D: {}\n", `f.yaml:6: dialect "D D", want small letters`},
		{"bad expression of a dialect", head + "    make: {b: x}\n    dialects:\n      d:\n        make:\n          c: |\n            x +\n            nom(a)\n",
			`f.yaml:10: c: "nom": want conv,`},
	} {
		_, err := family.Load("f.yaml", []byte(test.text))
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %s", test.name, err, test.want)
		}
	}
}

// A declaration with every field, read and printed and read again.
func TestLoad(t *testing.T) {
	text, err := os.ReadFile("testdata/every.yaml")
	if err != nil {
		t.Fatal(err)
	}
	list, err := family.Load("every.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	f := list[0]
	if len(list) != 2 || f.Name != "every" || !f.OnRequest || f.Eps != 1e-3 || len(f.Anchor) != 2 || len(f.Anchor[1]) != 4 ||
		len(f.Make) != 2 || len(f.Ask) != 2 || f.Ask[0].Default != "ask" || f.Ask[1].Default != "yes" || len(f.Dialects) != 1 || f.Drop[0].Why != "not deployed" {
		t.Errorf("%d families, the first %+v", len(list), f)
	}
	d, err := f.In("other")
	if err != nil {
		t.Fatal(err)
	}
	if d.String() != "every/other" || d.Eps != 1e-5 || d.Make[0].Key != "fused" || len(d.Keep) != 0 || d.Ask[0].Default != "no" || f.Ask[0].Default != "ask" {
		t.Errorf("the dialect is %+v", d)
	}
	if g, ok := f.OfClass("OtherBlock"); !ok || g.Dialect != "other" {
		t.Errorf("the class OtherBlock is of %v, %v", g, ok)
	}
	again, err := family.Load("printed.yaml", f.YAML())
	if err != nil {
		t.Fatalf("%v\n%s", err, f.YAML())
	}
	if got, want := said(again[0]), said(f); got != want {
		t.Errorf("printed and read again it says\n%s\nwant\n%s", got, want)
	}
}

// said is everything that a family says, as text.
func said(f *family.Family) string {
	s := fmt.Sprintf("%q %q %q %q %v %q %q %v %g %+v %q %q %q %q %+v %+v %q %+v %+v %q", f.Name, f.Title, f.Paper, f.Source, f.Network, f.Enable, f.Class, f.OnRequest,
		f.Eps, f.Anchor, f.Deployed, f.Need, f.Alike, f.Keep, f.Drop, f.Refuse, f.Stale, f.Rename, f.Ask, f.Notes)
	for _, out := range f.Make {
		s += fmt.Sprintf(" %s=%q", out.Key, out.Text)
	}
	for _, d := range f.Dialects {
		s += fmt.Sprintf(" %q %q %g %q %q %+v %q %+v %v", d.Name, d.Title, d.Eps, d.Class, d.Keep, d.Drop, d.Stale, d.Rename, d.Answers)
	}
	return s
}

func TestFind(t *testing.T) {
	set, err := family.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range [][2]string{
		{"repvg", `no family is called "repvg" (there is repvgg, `},
		{"myrepvggs", `no family is called "myrepvggs" (there is repvgg)`},
		{"nothing-alike", `no family is called "nothing-alike"`},
		{"repvgg/x", "repvgg/x: no such dialect, want repvgg or one of repvgg/yolov6"},
		{"dbb/x", "dbb/x: dbb has no dialects"},
	} {
		if _, err := set.Find(test[0]); err == nil || !strings.HasPrefix(err.Error(), test[1]) {
			t.Errorf("%s: error %v, want %s", test[0], err, test[1])
		}
	}
	if f, err := set.Find("repvgg/yolov6"); err != nil || f.String() != "repvgg/yolov6" || f.Eps != 1e-3 {
		t.Errorf("repvgg/yolov6 is %v, %v", f, err)
	}
	again, err := family.Load("mine.yaml", []byte("families:\n  - name: dbb\n    anchor: a\n    make: {b: x}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Add(again...); err == nil || !strings.HasPrefix(err.Error(), "mine.yaml:2: family dbb is declared already (backbones.yaml:") {
		t.Errorf("a second dbb: error %v", err)
	}
}

// Every built-in declaration says what it is and where it is from, explains what it
// asks, and is not another one under another name.
func TestBuiltin(t *testing.T) {
	set, err := family.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	list, err := set.All()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, f := range list {
		if f.Title == "" || f.Source == "" {
			t.Errorf("%s: title %q, source %q", f.Name, f.Title, f.Source)
		}
		for _, q := range f.Ask {
			if q.About == "" {
				t.Errorf("%s: %s is asked without a word what about", f.Name, q.Name)
			}
		}
		for _, name := range f.Enable {
			if _, err := set.Find(strings.Fields(name)[0]); err != nil {
				t.Errorf("%s enables %s: %v", f.Name, name, err)
			}
		}
		what := fmt.Sprintf("%v %v", f.Anchor, f.Enable)
		for _, out := range f.Make {
			what += out.Key + out.Text
		}
		if other := seen[what]; other != "" {
			t.Errorf("%s and %s have the same anchor and expression: they are dialects of one", other, f.Name)
		}
		seen[what] = f.Name
		if _, err := family.Load(f.Name, f.YAML()); err != nil {
			t.Errorf("printed: %v", err)
		}
	}
}

// Load takes or refuses any text, and what it takes is printed and read again to the
// same.
func FuzzLoad(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("%d seeds: %v", len(seeds), err)
	}
	for _, path := range seeds {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(head + "    make: {b: x}\n    ask: {q: {about: *a}}\n")
	f.Add("families: &a\n  - *a\n")
	f.Add("families:\n- {name: a, <<: {anchor: b}, make: {? [a] : x}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := family.Load("f.yaml", []byte(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f.yaml:") {
				t.Fatalf("error %v, want the file's name in front", err)
			}
			return
		}
		for _, f := range list {
			again, err := family.Load("again.yaml", f.YAML())
			if err != nil {
				t.Fatalf("%q is printed %q: %v", text, f.YAML(), err)
			}
			if got, want := said(again[0]), said(f); got != want {
				t.Fatalf("%q is printed %q, which says %s, want %s", text, f.YAML(), got, want)
			}
		}
	})
}
