package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// python is where the Python package lies, and beside it the exporter's files.
const python = "cmd/repfuse/python"

// wheel makes the Python package of a platform, with the binary in it (PEP 427, and
// for the version PEP 440).
func (r *release) wheel(tag, name string, program []byte) error {
	files, err := pythonFiles()
	if err != nil {
		return err
	}
	version := pep440(r.version)
	readme, err := os.ReadFile("docs/python.md")
	if err != nil {
		return err
	}
	licence, err := os.ReadFile("LICENSE")
	if err != nil {
		return err
	}
	info := "repfuse-" + version + ".dist-info/"
	about := "Metadata-Version: 2.1\nName: repfuse\nVersion: " + version + `
Summary: Fuse the branches of re-parameterized networks in their weights, and prove that nothing changed
License: MIT
Requires-Python: >=3.8
Description-Content-Type: text/markdown

` + string(readme)
	kind := "Wheel-Version: 1.0\nGenerator: repfuse\nRoot-Is-Purelib: false\n"
	for _, platform := range strings.Split(tag, ".") {
		kind += "Tag: py3-none-" + platform + "\n"
	}
	files = append(files,
		entry{name: "repfuse/bin/" + name, data: program, mode: 0o755},
		entry{name: info + "LICENSE", data: licence},
		entry{name: info + "METADATA", data: []byte(about)},
		entry{name: info + "WHEEL", data: []byte(kind)},
		entry{name: info + "entry_points.txt", data: []byte("[console_scripts]\nrepfuse = repfuse:_main\n")},
	)
	record := ""
	for _, e := range files {
		sum := sha256.Sum256(e.data)
		record += fmt.Sprintf("%s,sha256=%s,%d\n", e.name, base64.RawURLEncoding.EncodeToString(sum[:]), len(e.data))
	}
	files = append(files, entry{name: info + "RECORD", data: []byte(record + info + "RECORD,,\n")})
	return r.write("repfuse-"+version+"-py3-none-"+tag+".whl", files, r.zip)
}

var preRelease = regexp.MustCompile(`^(a|b|rc|alpha|beta)\.?([0-9]+)$`)

// pep440 is a version as Python has it: 1.0.0-rc.1 comes before 1.0.0, and what else
// stands behind a hyphen is of no release.
func pep440(version string) string {
	base, rest, ok := strings.Cut(version, "-")
	if !ok {
		return base
	}
	if m := preRelease.FindStringSubmatch(rest); m != nil {
		return base + strings.NewReplacer("alpha", "a", "beta", "b").Replace(m[1]) + m[2]
	}
	return base + ".dev0+" + strings.Trim(notLocal.ReplaceAllString(strings.ToLower(rest), "."), ".")
}

// notLocal is what a local version of Python cannot have.
var notLocal = regexp.MustCompile(`[^a-z0-9]+`)

// pythonFiles is the modules of the package: what lies in its folder, and the files
// that `repfuse exporter` prints, as repfuse.exporter.
func pythonFiles() ([]entry, error) {
	files := []entry{{name: "repfuse/exporter/__init__.py"}}
	for _, name := range []string{"export.py", "load.py", "check.py"} {
		files = append(files, entry{name: "repfuse/exporter/" + name, from: filepath.Join(python, name)})
	}
	err := fs.WalkDir(os.DirFS(python), "repfuse", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && path.Base(path.Dir(name)) != "__pycache__" {
			files = append(files, entry{name: name, from: filepath.Join(python, name)})
		}
		return err
	})
	for i, e := range files {
		if err == nil && e.from != "" {
			files[i].data, err = os.ReadFile(e.from)
		}
	}
	return files, err
}
