package main

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

var markdown = goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID()))

// page is one page: what it is made of, and what comes of it.
type page struct {
	source, File, Title string
	markdown            []byte
	tree                ast.Node
	sections            []*section
	Body                template.HTML
}

// section is a heading and what stands below it, for the contents and the search.
type section struct {
	ID, Title string
	Level     int
	text      strings.Builder
}

// Contents is the headings of the second level.
func (p *page) Contents() []*section {
	return slices.DeleteFunc(slices.Clone(p.sections), func(s *section) bool { return s.Level != 2 })
}

// parse reads the Markdown, its headings and their text.
func (p *page) parse(markup []byte) {
	p.markdown = markup
	p.tree = markdown.Parser().Parse(text.NewReader(markup))
	for n := p.tree.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok {
			id, _ := h.AttributeString("id")
			s := &section{Title: words(n, markup), Level: h.Level}
			if b, ok := id.([]byte); ok {
				s.ID = string(b)
			}
			p.sections = append(p.sections, s)
			if p.Title == "" {
				p.Title = s.Title
			}
		} else if len(p.sections) > 0 {
			s := p.sections[len(p.sections)-1]
			s.text.WriteString(words(n, markup) + " ")
		}
	}
}

// words is the text of a node and all below it.
func words(n ast.Node, markup []byte) string {
	var b strings.Builder
	ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch {
		case !entering && n.Type() == ast.TypeBlock:
			b.WriteByte(' ')
		case !entering:
		case n.Kind() == ast.KindText:
			t := n.(*ast.Text)
			b.Write(t.Segment.Value(markup))
			if t.SoftLineBreak() {
				b.WriteByte(' ')
			}
		case n.Kind() == ast.KindFencedCodeBlock || n.Kind() == ast.KindCodeBlock:
			b.Write(n.Lines().Value(markup))
		}
		return ast.WalkContinue, nil
	})
	return strings.Join(strings.Fields(b.String()), " ")
}

// render leads the links of a page to where they are on the site, and makes its HTML.
func (s *site) render(p *page) error {
	var found []*ast.Link
	ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if l, ok := n.(*ast.Link); ok && entering {
			found = append(found, l)
		}
		return ast.WalkContinue, nil
	})
	for _, l := range found {
		to, err := s.target(p, string(l.Destination))
		if err != nil {
			return err
		}
		if l.Destination = []byte(to); to == "" { // a file that is no page: its name alone
			for l.FirstChild() != nil {
				l.Parent().InsertBefore(l.Parent(), l, l.FirstChild())
			}
			l.Parent().RemoveChild(l.Parent(), l)
		}
	}
	var b bytes.Buffer
	err := markdown.Renderer().Render(&b, p.markdown, p.tree)
	p.Body = template.HTML(b.String())
	return err
}

// target is where a link leads on the site, "" for a file of the repository that is not on it.
func (s *site) target(p *page, link string) (string, error) {
	file, fragment, named := strings.Cut(link, "#")
	if strings.Contains(file, "://") {
		return link, nil
	}
	if named {
		fragment = "#" + fragment
	}
	if file == "" {
		return fragment, nil
	}
	source := path.Join(path.Dir(p.source), file)
	if k := slices.IndexFunc(s.pages, func(p *page) bool { return p.source == source }); k >= 0 {
		return s.pages[k].File + fragment, nil
	}
	if _, err := os.Stat(filepath.Join(s.root, source)); errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("there is no %s", link)
	}
	if strings.HasSuffix(source, ".schema.json") {
		s.assets[source] = true
		return path.Base(source), nil
	}
	return "", nil
}
