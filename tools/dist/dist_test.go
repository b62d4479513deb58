package main

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestDist makes the release of this platform twice, in two directories.
func TestDist(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the command four times")
	}
	t.Chdir("../..")
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	own := runtime.GOOS + "/" + runtime.GOARCH
	at := t.TempDir()
	for _, dir := range []string{"a", "b"} {
		if err := (&release{version: "1.2.3-rc.1", only: own}).make(filepath.Join(at, dir)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(filepath.Join(at, "a"))
	if err != nil {
		t.Fatal(err)
	}
	sums := string(read(t, filepath.Join(at, "a", "SHA256SUMS")))
	for _, f := range files {
		a, b := read(t, filepath.Join(at, "a", f.Name())), read(t, filepath.Join(at, "b", f.Name()))
		if string(a) != string(b) {
			t.Errorf("%s is not the same bytes twice", f.Name())
		}
		if line := fmt.Sprintf("%x  %s\n", sha256.Sum256(a), f.Name()); f.Name() != "SHA256SUMS" && !strings.Contains(sums, line) {
			t.Errorf("SHA256SUMS lacks %s", line)
		}
	}
	wheels, _ := filepath.Glob(filepath.Join(at, "a", "repfuse-1.2.3rc1-py3-none-*.whl"))
	if len(wheels) != 1 {
		t.Fatalf("%d wheels, want 1", len(wheels))
	}
	checkWheel(t, wheels[0])
	if err := (&release{version: "1.2.3", only: own}).make(filepath.Join(at, "a")); err == nil {
		t.Error("a release is made over another")
	}
	if deb, _ := filepath.Glob(filepath.Join(at, "a", "*.deb")); runtime.GOOS == "linux" {
		if dpkg, err := exec.LookPath("dpkg-deb"); err == nil {
			if out, err := exec.Command(dpkg, "--fsys-tarfile", deb[0]).Output(); err != nil || !strings.Contains(string(out), "./usr/bin/repfuse") {
				t.Errorf("%s: %v", deb[0], err)
			}
		}
	}
}

// checkWheel holds a wheel to its own RECORD, as pip does.
func checkWheel(t *testing.T, path string) {
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	contents := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		contents[f.Name] = string(data)
		if runs := f.Mode()&0o111 != 0; runs != strings.HasPrefix(f.Name, "repfuse/bin/") {
			t.Errorf("%s has mode %v", f.Name, f.Mode())
		}
	}
	record := contents["repfuse-1.2.3rc1.dist-info/RECORD"]
	for name, data := range contents {
		sum := sha256.Sum256([]byte(data))
		line := fmt.Sprintf("%s,sha256=%s,%d\n", name, base64.RawURLEncoding.EncodeToString(sum[:]), len(data))
		if !strings.HasSuffix(name, "/RECORD") && !strings.Contains(record, line) {
			t.Errorf("RECORD lacks %s", line)
		}
	}
	for _, name := range []string{"repfuse/__init__.py", "repfuse/__main__.py", "repfuse/py.typed", "repfuse/exporter/check.py"} {
		if _, ok := contents[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
}

func read(t *testing.T, path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestPEP440: what Python takes for the order of versions (packaging's own rules).
func TestPEP440(t *testing.T) {
	for in, want := range map[string]string{
		"1.2.3":                             "1.2.3",
		"1.2.3-rc.1":                        "1.2.3rc1",
		"1.2.3-beta2":                       "1.2.3b2",
		"0.0.0-20261129043007-642d957aaaaa": "0.0.0.dev0+20261129043007.642d957aaaaa",
		"1.2.3-4-g642d957-dirty":            "1.2.3.dev0+4.g642d957.dirty",
	} {
		if got := pep440(in); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
}
