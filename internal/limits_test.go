package internal_test

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A limit's constant is called like this, in the packages that meet what strangers wrote.
var limitName = regexp.MustCompile(`^(max[A-Z]\w*|most|most[A-Z]\w*|longest\w*|copySlack|stripBytes|SmallLimit)$`)

const limitFolders = "disk family graph npy onnx op parallel pt2 pth pth/pickle safetensors tensor text trace verify"

// notLimits are constants that have such a name and bound nothing that a file may ask for.
var notLimits = []string{
	"internal/pth/pickle/machine.go: maxInline", // longer strings stay in the file
	"internal/zipfile/apart.go: most",           // what two bytes of the format can say
}

// The numbers in a row of docs/limits.md are the constants that the row names, in their order (the same
// one only once), its files are there, and every constant that bounds what is read is in a row.
func TestLimits(t *testing.T) {
	page, err := os.ReadFile("../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]constant.Value{}
	for _, folder := range strings.Fields(limitFolders) {
		maps.Copy(left, limitsIn(t, folder))
	}
	for _, name := range notLimits {
		delete(left, name)
	}
	file := regexp.MustCompile("^`([a-z0-9/_.]+)`:?$")
	seen := map[string]constant.Value{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.Contains(cells[4], "`") {
			continue
		}
		var want []constant.Value
		path := ""
		for _, word := range strings.Fields(strings.ReplaceAll(cells[4], ",", " ")) {
			if m := file.FindStringSubmatch(word); m != nil {
				path = m[1]
				if _, err := os.Stat("../" + path); err != nil {
					t.Error(err)
				}
				continue
			}
			name := path + ": " + word
			value, ok := left[name]
			if !ok {
				t.Errorf("%s: no such constant, or in two rows", name)
				continue
			}
			seen[name] = value
			delete(left, name)
			want = append(want, value)
		}
		same := func(a, b constant.Value) bool { return constant.Compare(a, token.EQL, b) }
		got, want := numbersIn(cells[2]), slices.CompactFunc(want, same)
		if !slices.EqualFunc(got, want, same) {
			t.Errorf("%s: the page says %v, the code %v", strings.TrimSpace(cells[1]), got, want)
		}
	}
	for name := range left {
		t.Errorf("%s: in no row of docs/limits.md", name)
	}
	if len(seen) < 40 {
		t.Errorf("%d limits, want some forty", len(seen))
	}
}

// limitsIn is the limits of a package by the path of their file and their name.
func limitsIn(t *testing.T, folder string) map[string]constant.Value {
	t.Helper()
	fset := token.NewFileSet()
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	info := types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	whatever := types.Config{Error: func(error) {}} // imports are not there, and no constant needs them
	whatever.Check(folder, fset, files, &info)
	found := map[string]constant.Value{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == len(spec.Names) {
				for k, name := range spec.Names {
					if v := info.Types[spec.Values[k]].Value; v != nil && limitName.MatchString(name.Name) {
						found["internal/"+filepath.ToSlash(fset.Position(f.Pos()).Filename)+": "+name.Name] = v
					}
				}
			}
			return true
		})
	}
	return found
}

var number = regexp.MustCompile(`\b(2|10)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)|\b([0-9][0-9,]*)(?: (KiB|MiB|Ki|Mi|MB)\b)?`)

// numbersIn is the numbers of a text, 64 KiB being 65,536 and 2²⁰ a power.
func numbersIn(text string) (list []constant.Value) {
	units := map[string]int64{"": 1, "Ki": 1 << 10, "KiB": 1 << 10, "Mi": 1 << 20, "MiB": 1 << 20, "MB": 1e6}
	for _, m := range number.FindAllStringSubmatch(text, -1) {
		if m[2] == "" {
			digits := constant.MakeFromLiteral(strings.Trim(strings.ReplaceAll(m[3], ",", ""), ","), token.INT, 0)
			list = append(list, constant.BinaryOp(digits, token.MUL, constant.MakeInt64(units[m[4]])))
			continue
		}
		power := 0
		for _, digit := range m[2] {
			power = 10*power + slices.Index([]rune("⁰¹²³⁴⁵⁶⁷⁸⁹"), digit)
		}
		v := constant.MakeInt64(1)
		for range power {
			v = constant.BinaryOp(v, token.MUL, constant.MakeFromLiteral(m[1], token.INT, 0))
		}
		list = append(list, v)
	}
	return list
}
