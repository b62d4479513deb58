// Package onnxtest hands tests the corpus of testdata/onnx: exported training-form
// models and small graphs made by hand, each with what is to become of it.
package onnxtest

import (
	"archive/zip"
	"encoding/json"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Case is one model of the corpus. Its meta.json says what licence it is under.
type Case struct {
	Name string
	// Expect is "fuse", "refuse", "partial" or "optional", "" of a family's model.
	Expect string `json:"expect"`
	Note   string `json:"note"`
	// Ideal is how many Conv nodes the best form has; of a family's model, its own deploy
	// form.
	Ideal int `json:"ideal_convs"`
	IR    int64
	Opset int64
	// Train and Deploy count the nodes of the two forms by operator.
	Train  map[string]int `json:"train_ops"`
	Deploy map[string]int `json:"deploy_ops"`

	files []*zip.File
}

// Cases reads the corpus. For a test with a short run, pass the prefix of the names
// that it is about.
func Cases(t testing.TB, prefix string) []*Case {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	z, err := zip.OpenReader(filepath.Join(filepath.Dir(here), "../../../testdata/onnx/cases.zip"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { z.Close() })
	var all []*Case
	for _, f := range z.File {
		name, rest, _ := strings.Cut(f.Name, "/")
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if len(all) == 0 || all[len(all)-1].Name != name {
			all = append(all, &Case{Name: name})
		}
		c := all[len(all)-1]
		c.files = append(c.files, f)
		if rest == "meta.json" {
			if err := json.Unmarshal(read(t, f), c); err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
		}
	}
	return all
}

// Write puts the files of the case into a new directory and returns the path of its
// train.onnx.
func (c *Case) Write(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range c.files {
		_, rest, _ := strings.Cut(f.Name, "/")
		to := filepath.Join(dir, filepath.FromSlash(rest))
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, read(t, f), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "train.onnx")
}

// Bytes is one file of the case, nil where it has none of that name.
func (c *Case) Bytes(t testing.TB, name string) []byte {
	t.Helper()
	for _, f := range c.files {
		if f.Name == path.Join(c.Name, name) {
			return read(t, f)
		}
	}
	return nil
}

func read(t testing.TB, f *zip.File) []byte {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
