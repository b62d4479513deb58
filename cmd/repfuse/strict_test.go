package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"repfuse/internal/golden"
)

// Of every reference case that is planned under conditions, --strict ends in one command that, typed
// as it stands, has the same plan and assumes nothing.
func TestStrict(t *testing.T) {
	dir := t.TempDir()
	conditions := 0
	for _, name := range golden.Cases(t) {
		src := filepath.Join(dir, name)
		golden.Write(t, src, golden.Load(t, name).Train)
		assumed, _, code := typed("plan --yaml " + src)
		if code != exitYes {
			continue // a question of its own
		}
		_, stderr, code := typed("plan --yaml --strict " + src)
		if code == exitYes {
			continue
		}
		conditions++
		text, command, _ := strings.Cut(stderr, "\nhint: repfuse ")
		if code != exitError || !strings.HasPrefix(text, "repfuse: --strict: right only if ") || command == "" {
			t.Errorf("%s: exit status %d: %s", name, code, stderr)
			continue
		}
		if said, stderr, code := typed(command); code != exitYes || said != assumed {
			t.Errorf("%s: %s: exit status %d: %s\n%s\nwant\n%s", name, command, code, stderr, said, assumed)
		}
	}
	if conditions < 50 {
		t.Errorf("%d cases are planned under conditions, want many", conditions)
	}
}

// typed runs a command line whose words may be in single quotes.
func typed(line string) (stdout, stderr string, code int) {
	var args []string
	for k, part := range strings.Split(strings.TrimSpace(line), "'") {
		if k%2 == 1 {
			args[len(args)-1] += part
			continue
		}
		words := strings.Split(part, " ")
		if k > 0 {
			args[len(args)-1] += words[0]
			words = words[1:]
		}
		args = append(args, words...)
	}
	var out, err bytes.Buffer
	code = run(args, nil, &out, &err)
	return out.String(), err.String(), code
}
