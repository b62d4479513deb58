// Package internal_test holds the rule of who may import whom.
package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "repfuse"

// mayImport is, for every package, the packages of this module that it may import.
// Every package may import hint. Tests are free, but for what outside says.
var mayImport = map[string]string{
	"tensor":      "",
	"disk":        "tensor",
	"zipfile":     "tensor disk",
	"hint":        "",
	"facts":       "disk",
	"micro":       "tensor",
	"op":          "tensor text",
	"graph":       "op tensor",
	"npy":         "tensor disk parallel zipfile",
	"safetensors": "tensor disk",
	"pth":         "tensor disk facts zipfile pth/pickle",
	"pth/pickle":  "",
	"onnx":        "tensor disk op graph",
	"pt2":         "tensor disk pth",
	"checkpoint":  "tensor facts disk npy safetensors pth pt2 onnx",
	"exact":       "tensor micro",
	"fuse":        "op tensor micro exact",
	"conv":        "op tensor micro parallel",
	"family":      "op tensor text facts disk exact micro",
	"plan":        "op tensor",
	"planfile":    "plan family",
	"adapter":     "plan family op tensor disk",
	"recognise":   "plan planfile family adapter pairs draft op tensor facts",
	"pairs":       "tensor text",
	"draft":       "family pairs tensor text facts",
	"regions":     "graph family plan op tensor",
	"trace":       "graph regions op tensor disk",
	"parallel":    "",
	"verify":      "plan conv op tensor parallel health micro text",
	"certify":     "plan fuse op tensor parallel micro",
	"stream":      "plan fuse tensor parallel",
	"unfuse":      "plan op tensor exact",
	"record":      "plan planfile checkpoint disk op tensor parallel text",
	"health":      "tensor parallel micro",
	"text":        "",
	"report":      "plan verify certify health fuse op tensor text",
	"micro/gen":   "",

	// Flags and printing; what the verbs do is package repfuse's.
	"cmd/repfuse": "family verify certify health tensor text micro parallel",

	// For tests only.
	"golden":        "tensor facts",
	"chromium":      "",
	"op/optest":     "op tensor",
	"conv/convtest": "conv op tensor",
	"onnx/onnxtest": "",
}

// never is what the table must keep apart, however far around: the two interpreters
// share no arithmetic, and a proof does not use what it proves.
var never = map[string]string{
	"fuse": "conv", "conv": "fuse", "verify": "fuse", "certify": "conv",
}

// outside is who may import which module of others, tests included.
var outside = map[string]string{
	"github.com/sbinet/npyio":         "internal/npy",
	"github.com/x448/float16":         "internal/tensor",
	"github.com/spf13":                "cmd/repfuse",
	"go.yaml.in/yaml":                 "internal/family internal/planfile",
	"golang.org/x/sys":                "internal/checkpoint internal/disk internal/micro cmd/repfuse bench/run",
	"golang.org/x/term":               "cmd/repfuse",
	"maragu.dev/gomponents":           "internal/report",
	"github.com/rogpeppe/go-internal": "cmd/repfuse",
	"github.com/yuin/goldmark":        "tools/site",
}

// testOnly is what nothing but tests may import.
var testOnly = []string{"internal/golden", "internal/chromium", "internal/op/optest", "internal/onnx/onnxtest"}

func TestImports(t *testing.T) {
	for _, f := range sources(t) {
		from, internal := strings.CutPrefix(f.dir, "internal/")
		if _, known := mayImport[from]; internal && !known {
			t.Errorf("%s: %s is not in the table of imports", f.path, f.dir)
		}
		for _, imported := range f.imports {
			ours, isOurs := strings.CutPrefix(imported, module+"/")
			switch {
			case isOurs && !f.test:
				checkOurs(t, f, ours)
			case !isOurs && strings.Contains(strings.Split(imported, "/")[0], "."):
				checkOutside(t, f, imported)
			}
		}
	}
}

// checkOurs holds an import within the module to mayImport. Who is not in it, the tools
// and package repfuse, may import anything that is not for tests.
func checkOurs(t *testing.T, f source, imported string) {
	t.Helper()
	from := strings.TrimPrefix(f.dir, "internal/")
	if slices.Contains(testOnly, imported) && !slices.Contains(testOnly, f.dir) {
		t.Errorf("%s imports %s, which is for tests", f.path, imported)
	}
	allowed, listed := mayImport[from]
	if to := strings.TrimPrefix(imported, "internal/"); listed && to != "hint" && !in(allowed, to) {
		t.Errorf("%s imports %s; %s may import: hint %s", f.path, imported, f.dir, allowed)
	}
}

// ofTheProcess is what a package that others call leaves to the program.
var ofTheProcess = regexp.MustCompile(`\bos\.(Std(in|out|err)|(Get|Set|Lookup)[Ee]nv|Exit|Chdir)\b|\bfmt\.Print|"log"|\bdebug\.Set|\bruntime\.GOMAXPROCS\([^0]`)

// Nothing behind the verbs prints, or reads or changes what is the process's.
func TestNothingOfTheProcess(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || slices.Contains(testOnly, f.dir) || f.dir != "." && !strings.HasPrefix(f.dir, "internal/") || f.dir == "internal/micro/gen" {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", f.path))
		if err != nil {
			t.Fatal(err)
		}
		if found := ofTheProcess.Find(text); found != nil {
			t.Errorf("%s has %s, which is the command's", f.path, found)
		}
	}
}

func checkOutside(t *testing.T, f source, imported string) {
	t.Helper()
	for prefix, allowed := range outside {
		if imported == prefix || strings.HasPrefix(imported, prefix+"/") {
			if !in(allowed, f.dir) {
				t.Errorf("%s imports %s; that may be imported by: %s", f.path, imported, allowed)
			}
			return
		}
	}
	t.Errorf("%s imports %s, which is not in the table of imports", f.path, imported)
}

func TestApart(t *testing.T) {
	for from, to := range never {
		if slices.Contains(reach(from, nil), to) {
			t.Errorf("the table lets internal/%s reach internal/%s, which it never may", from, to)
		}
	}
}

// reach is every package that the table lets a package depend on.
func reach(from string, seen []string) []string {
	for _, to := range strings.Fields(mayImport[from]) {
		if !slices.Contains(seen, to) {
			seen = reach(to, append(seen, to))
		}
	}
	return seen
}

func in(list, name string) bool { return slices.Contains(strings.Fields(list), name) }

// source is a Go file: its folder within the module and what it imports.
type source struct {
	path, dir string
	test      bool
	imports   []string
}

// sources is every Go file of the module, for whatever system it is.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == "testdata" || len(name) > 2 && name[0] == '.'):
			return filepath.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(filepath.ToSlash(p), "../")
		f := source{path: rel, dir: path.Dir(rel), test: strings.HasSuffix(name, "_test.go")}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, imported)
		}
		all = append(all, f)
		return nil
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d Go files found: %v", len(all), err)
	}
	return all
}
