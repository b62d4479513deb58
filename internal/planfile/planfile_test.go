package planfile_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/planfile"
)

const everyField = `prefix: net.
blocks:
  - module: .
    make:
      stem: kernel(l.w) + x
  - module: a.b
    family: mine
    stale: [r.**]
    make:
      fused: |
        conv(l) > bn(l.bn, eps 1e-3)
        + conv(r)
      other: conv(l, dilation 2)
drop:
  aux.**: not deployed
rename:
  head.0: head
`

// A plan file says the same when it is written and read again, as YAML and as JSON.
func TestPlanFile(t *testing.T) {
	f, err := planfile.Read("plan.yaml", []byte(everyField))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Blocks) != 2 || f.Prefix != "net." || f.Blocks[1].Module != "a.b" || f.Blocks[1].Family != "mine" || !slices.Equal(f.Blocks[1].Stale, []string{"r.**"}) ||
		len(f.Blocks[1].Make) != 2 || f.Blocks[1].Make[1].Key != "other" || f.Drop[0].Why != "not deployed" || f.Rename[0].To != "head" {
		t.Errorf("read as %+v", f)
	}
	sameAgain(t, f)
}

// sameAgain writes a file in both forms, reads it, and wants it unchanged.
func sameAgain(t *testing.T, f *planfile.File) {
	t.Helper()
	asYAML, err := planfile.Read("again.yaml", f.YAML())
	if err != nil {
		t.Fatalf("%v\n%s", err, f.YAML())
	}
	if !reflect.DeepEqual(f, asYAML) {
		t.Errorf("%+v\nis written\n%s\nand read as\n%+v", f, f.YAML(), asYAML)
	}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	asJSON := &planfile.File{}
	if err := json.Unmarshal(text, asJSON); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if got := asJSON.YAML(); string(got) != string(f.YAML()) {
		t.Errorf("%s\nas JSON is\n%s\nand read as\n%s", f.YAML(), text, got)
	}
	for k, b := range asJSON.Blocks {
		for j, o := range b.Make {
			if !reflect.DeepEqual(o.Expr, f.Blocks[k].Make[j].Expr) {
				t.Errorf("%s: another expression out of JSON", o.Key)
			}
		}
	}
}

func TestPlanFileErrors(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", "p.yaml: is empty"},
		{"blocks: [", "p.yaml: line 1:"},
		{"- a\n", "p.yaml:1: want a mapping"},
		{"block: []\n", `p.yaml:1: unknown field "block", want one of blocks, drop, keep_rest, only, prefix, rename, without`},
		{"blocks:\n  - module: a\n", "p.yaml:2: a block that makes nothing, want make: {KEY: EXPRESSION}"},
		{"blocks:\n  - modul: a\n", `p.yaml:2: unknown field "modul", want one of family, make, module, stale`},
		{"blocks:\n  - module: a\n    module: b\n", `p.yaml:3: field "module" comes twice`},
		{"blocks:\n  - module: [a]\n    make: {b: x}\n", "p.yaml:2: "},
		{"blocks:\n  - module: a\n    make: x\n", "p.yaml:3: want a mapping"},
		{"blocks:\n  - module: a\n    make:\n      b: |\n        conv(a)\n        + nom(b)\n", `p.yaml:6: b: "nom": want conv,`},
		{"blocks: []\ndrop:\n  a:\n", "p.yaml:3: a is dropped without a reason"},
		{"prefix: {}\nblocks: []\n", "p.yaml:1: "},
	} {
		_, err := planfile.Read("p.yaml", []byte(test.text))
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%q: error %v, want %s", test.text, err, test.want)
		}
	}
	err := json.Unmarshal([]byte(`{"blocks":[{"module":"a","make":[{"key":"b","expression":"nom(c)"}]}]}`), &planfile.File{})
	if err == nil || !strings.HasPrefix(err.Error(), `block a: b: "nom": want conv,`) {
		t.Errorf("a bad expression in JSON: error %v", err)
	}
}

// Read takes or refuses any text, and what it takes is written and read again.
func FuzzRead(f *testing.F) {
	f.Add(everyField)
	f.Add("blocks:\n  - module: .\n    make: {fused: kernel(a) + x}\n")
	f.Add("blocks: {module: a, make: {'a: b': \"x\\n+ x\"}}\n")
	f.Add("blocks:\n  - module: '\"a\\tb\"'\n    make: {'kernel(\"c:d\", e)': 'kernel(\"onnx::Conv_1\")'}\ndrop: {'\"*\"': why}\n")
	f.Add("blocks: []\nrename: {a: ''}\ndrop: {b: |-\n  why\n}\n")
	f.Fuzz(func(t *testing.T, text string) {
		read, err := planfile.Read("p.yaml", []byte(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "p.yaml:") {
				t.Fatalf("error %v, want the file's name in front", err)
			}
			return
		}
		written := read.YAML()
		again, err := planfile.Read("again.yaml", written)
		if err != nil {
			t.Fatalf("%q is written %q: %v", text, written, err)
		}
		if string(again.YAML()) != string(written) {
			t.Fatalf("%q is written %q, read again %q", text, written, again.YAML())
		}
	})
}
