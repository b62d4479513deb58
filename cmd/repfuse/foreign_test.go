package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"repfuse/internal/golden"
	"repfuse/internal/npy"
	"repfuse/internal/tensor"
)

// foreign is a name that clears the screen, sets the title, turns text around and makes a
// line of its own.
const foreign = "a\x1b[2J\x1b]0;owned\a\r\u202e\u009b31m\nyes: exact"

// harmless fails where text does anything but stand on its lines.
func harmless(t *testing.T, what string, text []byte) {
	t.Helper()
	if !utf8.Valid(text) {
		t.Errorf("%s is no UTF-8", what)
	}
	for k, r := range string(text) {
		if r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			t.Errorf("%s has %q at byte %d: %.60q", what, r, k, text[max(0, k-20):])
			return
		}
	}
}

// calm runs repfuse, and holds what it prints to harmless; forged lines are looked for too.
func calm(t *testing.T, code int, args ...string) (stdout string) {
	t.Helper()
	var out, errs bytes.Buffer
	got := run(args, strings.NewReader(""), &out, &errs)
	what := strings.Join(args, " ")
	if got != code {
		t.Errorf("%q: exit status %d, want %d: %.400q", what, got, code, errs.String())
	}
	harmless(t, what, out.Bytes())
	harmless(t, what, errs.Bytes())
	for _, line := range strings.Split(errs.String()+"\n"+out.String(), "\n") {
		if strings.HasPrefix(line, "yes: exact.") || strings.HasPrefix(line, "yes: exact:") && args[0] != "verify" {
			t.Errorf("%q prints a line that a name made: %q", what, line)
		}
	}
	return out.String()
}

// Nothing that a file holds reaches a terminal, a record or a page as it is: keys, of every
// format and command.
func TestForeignKeys(t *testing.T) {
	tensors := golden.Load(t, "repvgg-block-s1").Train
	t.Chdir(t.TempDir())
	for k := range tensors {
		tensors[k].Key = foreign + "." + tensors[k].Key
	}
	bad, err := npy.AppendHeader(nil, tensor.F32, []int{1})
	if err != nil {
		t.Fatal(err)
	}
	golden.Write(t, "weights", tensors)
	write(t, filepath.Join("weights", "x"+foreign+".b.npy"), append(bad, 0, 0, 0, 0))
	write(t, filepath.Join("weights", foreign+".txt"), nil)
	for _, src := range []string{"weights", "w.safetensors", "w.npz", "w.pth"} {
		if src != "weights" {
			calm(t, exitYes, "convert", "weights", src)
		}
		dst := "out-" + src
		calm(t, exitYes, "inspect", "-v", src)
		calm(t, exitYes, "plan", src)
		calm(t, exitYes, "plan", "-v", src)
		calm(t, exitYes, "fuse", src, dst)
		calm(t, exitYes, "verify", src, dst)
		calm(t, exitYes, "verify", "-v", "--report", src+".html", src, dst)
		page, err := os.ReadFile(src + ".html")
		if err != nil {
			t.Fatal(err)
		}
		harmless(t, "the page", page)
		for _, args := range [][]string{{"plan", "--json", src}, {"inspect", "--json", src}, {"verify", "--json", src, dst}} {
			text := calm(t, exitYes, args...)
			var v any
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				t.Errorf("%q: %v", args, err)
			} else if b, _ := json.Marshal(v); !strings.Contains(string(b), `\u001b[2J`) || !strings.Contains(string(b), "\u202e") {
				t.Errorf("%q: the JSON does not mean the name", args)
			}
		}
		write(t, "plan.yaml", []byte(calm(t, exitYes, "plan", "--yaml", src)))
		calm(t, exitYes, "fuse", "-f", "--plan", "plan.yaml", src, dst)
		calm(t, exitYes, "verify", src, dst)
		text, err := os.ReadFile(filepath.Join(dst, "repfuse.json"))
		if err != nil {
			text, err = os.ReadFile(dst + ".repfuse.json")
		}
		if err != nil {
			t.Fatal(err)
		}
		harmless(t, "the record", text)
	}
}

// Classes, modes, shards, what is expected, families, and what a forged record notes.
func TestForeignNames(t *testing.T) {
	tensors := golden.Load(t, "repvgg-block-s1").Train
	t.Chdir(t.TempDir())
	golden.Write(t, "weights", tensors)
	calm(t, exitYes, "fuse", "weights", "out")
	quoted, err := json.Marshal(foreign)
	if err != nil {
		t.Fatal(err)
	}
	name := string(quoted)
	record, err := os.ReadFile("out/repfuse.json")
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.Replace(record, []byte(`"notes": [`), []byte(`"notes": [`+name+`,`), 1)
	write(t, "out/repfuse.json", forged)
	calm(t, exitYes, "verify", "--report", "r.html", "weights", "out")
	page, err := os.ReadFile("r.html")
	if err != nil {
		t.Fatal(err)
	}
	harmless(t, "the page", page)
	write(t, "out/repfuse.json", bytes.Replace(record, []byte("rbr_1x1"), quoted[1:len(quoted)-1], 1))
	calm(t, exitError, "verify", "weights", "out")
	write(t, "keys.txt", []byte(strings.NewReplacer("\n", "_", " ", "_").Replace(foreign)))
	calm(t, exitNo, "plan", "--expect", "keys.txt", "weights")
	write(t, "m.safetensors.index.json", []byte(`{"weight_map": {`+name+`: `+name+`}}`))
	calm(t, exitError, "inspect", "m.safetensors.index.json")
	write(t, "mine.yaml", []byte("mine:\n  title: "+name+"\n  anchor: "+name+"\n"))
	calm(t, exitError, "families", "--families", "mine.yaml")
	write(t, "mine.yaml", []byte(name+":\n  title: "+name+"\n  make:\n    weight: conv("+name+")\n"))
	calm(t, exitError, "families", "--families", "mine.yaml")
	for _, fact := range []string{`"class": ` + name, `"class": "Conv2d", "padding_mode": ` + name, `"class": "Conv2d", "keyless": {` + name + `: ` + name + `}`} {
		write(t, "weights/modules.json", []byte(`{"version": 1, "modules": {"": {"class": `+name+`}, "rbr_dense.conv": {`+fact+`}, `+name+`: {`+fact+`}}}`))
		var out, errs bytes.Buffer
		run([]string{"plan", "-v", "weights"}, strings.NewReader(""), &out, &errs)
		harmless(t, fact, append(out.Bytes(), errs.Bytes()...))
	}
	calm(t, exitError, "plan", "--family", foreign, "weights")
	calm(t, exitError, "plan", foreign)
	calm(t, exitError, foreign)
	calm(t, exitError, "plan", "--"+foreign)
}

// An answer that cannot be printed is no answer.
func TestPrintingFails(t *testing.T) {
	tensors := golden.Load(t, "repvgg-block-s1").Train
	t.Chdir(t.TempDir())
	golden.Write(t, "weights", tensors)
	calm(t, exitYes, "fuse", "weights", "out")
	for _, args := range [][]string{{"plan", "weights"}, {"verify"}, {"inspect", "out"}, {"families"}, {"exporter"}, {"--help"}} {
		var errs bytes.Buffer
		if code := run(args, strings.NewReader(""), full{}, &errs); code != exitError || !strings.Contains(errs.String(), "printing the answer: no space") {
			t.Errorf("%q: exit status %d, %q, want %d and why", args, code, &errs, exitError)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}
