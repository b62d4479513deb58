package family

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every form, option, generator, field and rule that the code reads is on the page
// of the notation.
func TestNotationPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/notation.md")
	if err != nil {
		t.Fatal(err)
	}
	words := slices.Concat(
		caseWords(t, "parse.go", "parser"),
		caseWords(t, "answers.go", "builder"), fieldWords(t, "parse.go"),
		fieldWords(t, "load.go"), fieldWords(t, "../planfile/planfile.go"))
	for name := range generators {
		words = append(words, name+"(")
	}
	if len(words) < 60 {
		t.Fatalf("%d words in the code, want all of the notation: %q", len(words), words)
	}
	for _, w := range words {
		whole := regexp.QuoteMeta(w)
		if last := w[len(w)-1]; last >= 'a' && last <= 'z' {
			whole += `\b`
		}
		if !regexp.MustCompile("`" + whole).Match(text) {
			t.Errorf("docs/notation.md does not explain %q", w)
		}
	}
}

// caseWords is the words that methods of a type compare with in their switches, and
// the prefixes they cut.
func caseWords(t *testing.T, file, receiver string) []string {
	var words []string
	for _, d := range parsed(t, file).Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv == nil || !isPointerTo(f.Recv.List[0].Type, receiver) {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CaseClause:
				for _, e := range n.List {
					words = append(words, textIn(e)...)
				}
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok && (s.Sel.Name == "accept" || s.Sel.Name == "CutPrefix") {
					for _, e := range n.Args {
						words = append(words, textIn(e)...)
					}
				}
			}
			return true
		})
	}
	return words
}

// textIn is the words among the text literals of an expression; signs are not words.
func textIn(e ast.Expr) []string {
	var words []string
	ast.Inspect(e, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if w, err := strconv.Unquote(lit.Value); err == nil && w != "" && w[0] >= 'a' && w[0] <= 'z' {
				words = append(words, w)
			}
		}
		return true
	})
	return words
}

func isPointerTo(e ast.Expr, name string) bool {
	p, ok := e.(*ast.StarExpr)
	if !ok {
		return false
	}
	id, ok := p.X.(*ast.Ident)
	return ok && id.Name == name
}

// fieldWords is the keys of the maps of readers in a file: the fields that it knows.
func fieldWords(t *testing.T, file string) []string {
	var words []string
	ast.Inspect(parsed(t, file), func(n ast.Node) bool {
		c, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		if _, ok := c.Type.(*ast.MapType); !ok {
			return true
		}
		for _, e := range c.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				words = append(words, textIn(kv.Key)...)
			}
		}
		return true
	})
	return words
}

func parsed(t *testing.T, file string) *ast.File {
	t.Helper()
	f, err := goparser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Every relative link on the page of the notation leads to a heading that is there.
func TestNotationLinks(t *testing.T) {
	text, err := os.ReadFile("../../docs/notation.md")
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	for _, h := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(text), -1) {
		anchors[strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(h[1]), "'", ""), " ", "-")] = true
	}
	for _, l := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(string(text), -1) {
		if !anchors[l[1]] {
			t.Errorf("docs/notation.md links to #%s, which is no heading", l[1])
		}
	}
}
