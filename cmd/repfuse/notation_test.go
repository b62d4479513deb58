package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"repfuse/internal/golden"
	"repfuse/internal/tensor"
)

// TestNotation does what docs/notation.md does, from top to bottom in one folder: it
// makes the weights that a block "keys DIR" lists, writes every "yaml FILE", and runs
// every "$ repfuse" line, which must print what stands below it.
func TestNotation(t *testing.T) {
	page, err := os.ReadFile("../../docs/notation.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	commands := 0
	for _, f := range fences(string(page)) {
		switch {
		case f.kind == "keys":
			golden.Write(t, f.name, listedTensors(t, f.text))
		case f.kind == "yaml" && f.name != "":
			if err := os.WriteFile(f.name, []byte(f.text), 0o666); err != nil {
				t.Fatal(err)
			}
		case f.kind == "console":
			for _, s := range session(f.text) {
				commands++
				var out bytes.Buffer
				want := exitYes
				if strings.HasPrefix(s.output, "repfuse: ") {
					want = exitError
				}
				if code := run(strings.Fields(s.command)[1:], nil, &out, &out); code != want {
					t.Errorf("%s: exit status %d, want %d", s.command, code, want)
				}
				if got, want := steady(out.String()), steady(s.output); got != want {
					t.Errorf("%s prints\n%s\nwant, as the page has it,\n%s", s.command, &out, s.output)
				}
			}
		}
	}
	if commands < 6 {
		t.Errorf("%d commands on the page, want the two examples' six or more", commands)
	}
}

// fence is a fenced block: the two words behind its opening and its text.
type fence struct{ kind, name, text string }

func fences(page string) []fence {
	var all []fence
	inside := false
	for line := range strings.Lines(page) {
		opening, is := strings.CutPrefix(line, "```")
		switch {
		case is && !inside:
			kind, name, _ := strings.Cut(strings.TrimSpace(opening), " ")
			all = append(all, fence{kind: kind, name: name})
			inside = true
		case is:
			inside = false
		case inside:
			all[len(all)-1].text += line
		}
	}
	return all
}

// listedTensors makes the tensors of a list of keys and extents, one a line. Their
// elements are positive, so that a variance may be one.
func listedTensors(t *testing.T, list string) []tensor.Named {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	var all []tensor.Named
	for line := range strings.Lines(list) {
		words := strings.Fields(line)
		shape := make([]int, len(words)-1)
		for k, w := range words[1:] {
			n, err := strconv.Atoi(w)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			shape[k] = n
		}
		values := make([]float64, tensor.Elems(shape))
		for k := range values {
			values[k] = 0.5 + rng.Float64()
		}
		all = append(all, tensor.Named{Key: words[0], Tensor: tensor.Of(tensor.F32, shape, values)})
	}
	return all
}
