package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestReadme runs the session that the README shows: every "$ repfuse" line, in a
// copy of the example, must print what stands below it.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "weights"), os.DirFS("../../examples/repvgg-tiny/weights")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	sessions := session(string(readme))
	if len(sessions) < 3 {
		t.Fatalf("%d commands in the README's session, want plan, fuse and verify", len(sessions))
	}
	for _, s := range sessions {
		var stdout, stderr bytes.Buffer
		if code := run(strings.Fields(s.command)[1:], nil, &stdout, &stderr); code != exitYes {
			t.Fatalf("%s: exit status %d: %s", s.command, code, &stderr)
		}
		for line := range strings.Lines(stdout.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("%s prints a line of %d columns, want at most %d: %s", s.command, n, width, line)
			}
		}
		if got, want := steady(stdout.String()), steady(s.output); got != want {
			t.Errorf("%s prints\n%s\nwant, as the README has it,\n%s", s.command, stdout.String(), s.output)
		}
	}
}

type shell struct{ command, output string }

// session finds the commands of a fenced block and what stands below each.
func session(text string) []shell {
	var all []shell
	below := false // a command of the same block
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "```"):
			below = false
		case strings.HasPrefix(line, "$ repfuse"):
			all = append(all, shell{command: strings.TrimPrefix(strings.TrimSpace(line), "$ ")})
			below = true
		case below:
			all[len(all)-1].output += line
		}
	}
	return all
}

// unsteady is what hangs on the machine, each by its own line's pattern: times, and in
// the table of blocks what float32 shows and the speed-up. All else is float64 in an
// order that is fixed, and compared to the letter.
var unsteady = []struct {
	line *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`(?m)^(time +)[0-9.]+ (?:µs|ms|s) → [0-9.]+ (?:µs|ms|s)( in float32 on one thread, )[0-9.]+×$`), "$1#$2#"},
	{regexp.MustCompile(`(?m)^(\S+ +(?:exact|equivalent|different) +\S+ +\S+) +[0-9.e-]+ +[0-9.]+×$`), "$1 #"},
}

// steady replaces what hangs on the machine.
func steady(s string) string {
	for _, u := range unsteady {
		s = u.line.ReplaceAllString(s, u.with)
	}
	return strings.TrimSpace(s)
}
