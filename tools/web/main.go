// Command web makes the page that runs repfuse in a browser, as one file that needs nothing else:
//
//	go run ./tools/web -version v1.2.3 FILE.html
//
// The command is built for WASI, packed, and put into the page beside the JavaScript that answers
// its calls. The same commit and Go give the same bytes.
package main

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the page's parts
	"encoding/base64"
	"flag"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

var (
	//go:embed page.html
	page string
	//go:embed style.css
	style string
	//go:embed page.js
	script string
	//go:embed files.js
	files string
	//go:embed wasi.js
	wasi string
	//go:embed calls.js
	calls string
	//go:embed worker.js
	worker string
)

func main() {
	version := flag.String("version", "v0.0.0", "of the release, as its tag")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: web [-version vX.Y.Z] FILE.html")
		os.Exit(2)
	}
	if err := write(flag.Arg(0), *version); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

// write writes the page.
func write(path, version string) error {
	program, err := build(version)
	if err != nil {
		return err
	}
	text := strings.NewReplacer(
		"<!--version-->", html.EscapeString(version),
		"/*style.css*/", style,
		"<!--program-->", base64.StdEncoding.EncodeToString(program),
		"/*worker.js*/", files+wasi+calls+worker,
		"/*page.js*/", script,
	).Replace(page)
	return os.WriteFile(path, []byte(text), 0o666)
}

// build is the command for WASI, packed by gzip.
func build(version string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "repfuse-web-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "repfuse.wasm")
	c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid= -X repfuse.version="+version, "-o", file, "repfuse/cmd/repfuse")
	c.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	c.Stderr = os.Stderr
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("go build for wasip1: %w", err)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(program)
	}
	if err == nil {
		err = z.Close()
	}
	return packed.Bytes(), err
}
