package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// made is the site of this repository, in a directory of its own.
func made(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "site")
	if err := build("../..", dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

var (
	links = regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	ids   = regexp.MustCompile(`id="([^"]*)"`)
)

// Every page of docs/ is there, and every link on every page, and in the search, leads to a file
// and to a place in it.
func TestLinks(t *testing.T) {
	dir := made(t)
	places, from := map[string]bool{}, map[string][]string{}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		places[f.Name()] = true
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if f.Name() == "index.js" {
			for _, m := range regexp.MustCompile(`\["([^"]*#[^"]*)",`).FindAllSubmatch(text, -1) {
				from[f.Name()] = append(from[f.Name()], string(m[1]))
			}
		}
		if !strings.HasSuffix(f.Name(), ".html") {
			continue
		}
		for _, m := range ids.FindAllSubmatch(text, -1) {
			places[f.Name()+"#"+string(m[1])] = true
		}
		for _, m := range links.FindAllSubmatch(text, -1) {
			from[f.Name()] = append(from[f.Name()], string(m[1]))
		}
	}
	for page, all := range from {
		for _, link := range all {
			if strings.HasPrefix(link, "#") {
				link = page + link
			}
			if !places[link] && !strings.Contains(link, "://") {
				t.Errorf("%s leads to %s, which is not there", page, link)
			}
		}
	}
	if len(from["index.js"]) < 250 {
		t.Errorf("the search has %d places, want many", len(from["index.js"]))
	}
	docs, _ := filepath.Glob("../../docs/*.md")
	for _, d := range docs {
		page := strings.TrimSuffix(filepath.Base(d), ".md") + ".html"
		if !strings.Contains(strings.Join(from["index.html"], " ")+" ", page+" ") {
			t.Errorf("no link to %s on the first page", page)
		}
	}
}

// A link to what is not in the repository is an error, one to a file that is no page its text alone.
func TestTarget(t *testing.T) {
	s := &site{root: "../..", pages: []*page{{source: "docs/a.md", File: "a.html"}}, assets: map[string]bool{}}
	at := &page{source: "docs/b.md"}
	for link, want := range map[string]string{
		"a.md": "a.html", "a.md#x": "a.html#x", "#here": "#here", "https://example.com/a.md": "https://example.com/a.md",
		"../LICENSE": "", "../internal/op": "", "plan.schema.json": "plan.schema.json",
	} {
		if got, err := s.target(at, link); err != nil || got != want {
			t.Errorf("%s leads to %q, %v, want %q", link, got, err, want)
		}
	}
	if _, err := s.target(at, "nosuch.md"); err == nil {
		t.Error("a link to nothing passes")
	}
}

// The search works in a browser, from the file system.
func TestBrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium")
	}
	dir := made(t)
	dom := func(address string) string {
		out, err := exec.Command(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(), "--window-size=390,800",
			"--virtual-time-budget=5000", "--dump-dom", "file://"+dir+"/"+address).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if found := dom("plain.html?q=hifi-gan+v2"); !regexp.MustCompile(`<li><a href="vocoders\.html#[^>]*><b>Vocoders`).MatchString(found) {
		t.Error("the search does not find HiFi-GAN V2 among the vocoders")
	}
	if found := dom("plain.html?q=weight+zzzz"); !strings.Contains(found, "Nothing has all these words.") {
		t.Error("the search finds what has one word of two")
	}
}
