package main

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"repfuse/internal/golden"
)

// elsewhere is an argument that could lead out of the test's directory, or ask for work on purpose.
var elsewhere = regexp.MustCompile(`^[/~]|=[/~]|\.\.|force-size|[0-9]{4}|[eE]\+?[0-9]`)

// Whatever the arguments are, a command ends soon, with 0, 1 or 2, and without a fault of repfuse. Cobra keeps what it
// knows of each command's flags for good, 77 kB a command: fuzz for five minutes at a time.
func FuzzCommandLine(f *testing.F) {
	for _, args := range []string{
		"fuse w out", "fuse -f w w", "fuse w out --family .=none --eps 1e-3 --dtype float16 -j 3", "plan w --json", "plan w --yaml --set a=b",
		"verify w o --size 3x4 --trials 2 --range 0.5 --seed 7", "verify w o --json --report r.html --witness x.npy", "inspect w o", "convert w a.npz --only **.weight",
		"families repvgg --yaml", "exporter --shape 1,3,8,8", "--version", "help fuse", "completion bash", "fuse --plan p.yaml w out --with a=0.5", "plan --graph w w --fold-bn",
	} {
		f.Add(args)
	}
	train := golden.Load(f, "repvgg-block-s1").Train
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Fields(text)
		for _, a := range args {
			if elsewhere.MatchString(a) {
				t.Skip("not for a test")
			}
		}
		dir := t.TempDir()
		t.Chdir(dir)
		golden.Write(t, filepath.Join(dir, "w"), train)
		if code := run([]string{"fuse", "w", "o"}, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}); code != exitYes {
			t.Fatal(code)
		}
		var out, errs bytes.Buffer
		begun := time.Now()
		code := run(args, strings.NewReader(""), &out, &errs)
		if code < exitYes || code > exitError || strings.Contains(errs.String(), "fault of repfuse") || code == exitError && errs.Len() == 0 {
			t.Errorf("exit status %d: %s", code, &errs)
		}
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
