package report_test

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

// said is what a page says by where it does: under an element's name, or, as
// svg@aria-label, an attribute's.
type said map[string][]string

// has reports whether what is wanted is said there.
func (s said) has(where, want string) bool {
	return strings.Contains(strings.Join(s[where], "\n"), want)
}

// void finds the elements that HTML does not close.
var void = regexp.MustCompile(`<((?:meta|input|br|wbr)\b[^>]*)>`)

// read reads a page as if it were XML, so that no element is left open. Our style and
// our script are all that may stand in it as they are.
func read(t *testing.T, text string) said {
	t.Helper()
	text = without(t, text, "style", "style.css")
	text = without(t, text, "script", "script.js")
	d := xml.NewDecoder(strings.NewReader(void.ReplaceAllString(text, "<$1/>")))
	all, open := said{}, []string{""}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Errorf("not well-formed: %v", err)
			return all
		}
		switch token := token.(type) {
		case xml.StartElement:
			name := token.Name.Local
			if name == "style" || name == "script" {
				t.Errorf("the page has a %s that is not ours", name)
			}
			open = append(open, name)
			for _, a := range token.Attr {
				where := name + "@" + a.Name.Local
				all[where] = append(all[where], a.Value)
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			where := open[len(open)-1]
			all[where] = append(all[where], string(token))
		}
	}
}

// without is the page but for an element that holds a file of ours, which must not end
// that element before its time.
func without(t *testing.T, text, element, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "</") {
		t.Errorf("%s has </ in it, which may end its element", file)
	}
	before, after, found := strings.Cut(text, "<"+element+">"+string(b)+"</"+element+">")
	if !found {
		t.Errorf("%s is not in the page as it is", file)
	}
	return before + after
}
