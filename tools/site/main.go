// Command site makes a site of static pages from the Markdown of this repository:
//
//	go run . REPOSITORY DIR
//
// Its pages, and the search, work from the file system. DIR is made anew.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed page.html
var pageHTML string

//go:embed style.css
var styleCSS []byte

//go:embed search.js
var searchJS []byte

// groups is the order of the pages; a page of docs/ that is not named is one of the last group.
var groups = []struct{ title, pages string }{
	{"Start", "README plain pytorch python unrecognised"},
	{"By framework", "timm ultralytics openmmlab transformers paddle vocoders onnx adapters"},
	{"Results", "verdict logits files json"},
	{"Project", "CHANGELOG ARCHITECTURE RATIONALE CONTRIBUTING"},
	{"Reference", "families notation limits benchmarks"},
}

// site is what is made.
type site struct {
	root   string
	pages  []*page
	assets map[string]bool // files of the repository that pages link to, and that are copied
}

// group is a heading of the navigation, and its pages.
type group struct {
	Title string
	Pages []*page
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: site REPOSITORY DIR")
		os.Exit(2)
	}
	if err := build(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
}

func build(root, dir string) error {
	s := &site{root: root, assets: map[string]bool{}}
	nav, err := s.open()
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	put := func(name string, data []byte) {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o666)
		}
	}
	layout := template.Must(template.New("page").Parse(pageHTML))
	var index [][4]string
	for _, p := range s.pages {
		if err := s.render(p); err != nil {
			return fmt.Errorf("%s: %w", p.source, err)
		}
		var b bytes.Buffer
		if err := layout.Execute(&b, map[string]any{"Page": p, "Nav": nav}); err != nil {
			return err
		}
		put(p.File, b.Bytes())
		for _, x := range p.sections {
			index = append(index, [4]string{p.File + "#" + x.ID, p.Title, x.Title, x.text.String()})
		}
	}
	for asset := range s.assets {
		data, e := os.ReadFile(filepath.Join(root, asset))
		if e != nil {
			return e
		}
		put(path.Base(asset), data)
	}
	list, e := json.Marshal(index)
	if e != nil {
		return e
	}
	put("index.js", []byte("window.INDEX = "+string(list)+";\n")) // a script: file:// fetches nothing
	put("style.css", styleCSS)
	put("search.js", searchJS)
	return err
}

// open reads the pages, in the order of the navigation.
func (s *site) open() ([]group, error) {
	docs, err := filepath.Glob(filepath.Join(s.root, "docs", "*.md"))
	if err != nil {
		return nil, err
	}
	rest := map[string]bool{}
	for _, d := range docs {
		rest[strings.TrimSuffix(filepath.Base(d), ".md")] = true
	}
	var nav []group
	for k, g := range groups {
		names := strings.Fields(g.pages)
		for _, name := range names {
			delete(rest, name)
		}
		if k == len(groups)-1 {
			for name := range rest {
				names = append(names, name)
			}
			slices.Sort(names)
		}
		made := group{Title: g.title}
		for _, name := range names {
			p, err := s.read(name)
			if err != nil {
				return nil, err
			}
			made.Pages = append(made.Pages, p)
			s.pages = append(s.pages, p)
		}
		nav = append(nav, made)
	}
	return nav, nil
}

// read reads a page: those of the root have names in capitals.
func (s *site) read(name string) (*page, error) {
	p := &page{source: "docs/" + name + ".md", File: name + ".html"}
	if strings.ToUpper(name) == name {
		p.source, p.File = name+".md", strings.ToLower(name)+".html"
	}
	if name == "README" {
		p.File = "index.html"
	}
	text, err := os.ReadFile(filepath.Join(s.root, p.source))
	if err != nil {
		return nil, err
	}
	p.parse(text)
	return p, nil
}
