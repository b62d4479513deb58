//go:build conformance

package pth

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"repfuse/internal/tensor"
)

// python is one that has PyTorch and numpy; REPFUSE_PYTHON names another one.
func python() string {
	if p := os.Getenv("REPFUSE_PYTHON"); p != "" {
		return p
	}
	return "/usr/bin/python3"
}

func script(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(python(), append([]string{"testdata/conformance.py"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, stderr.Bytes())
	}
	return out
}

// question is which state dict of which file PyTorch is to read, and whether as
// weights only; what it should find there, under which keys in their order.
type question struct {
	name, path, state string
	safe              bool
	want              map[string]string
	keys              []string
}

// ask compares what PyTorch finds with what we have found.
func ask(t *testing.T, questions []question) {
	var asked [][3]any
	for _, q := range questions {
		asked = append(asked, [3]any{q.path, q.state, q.safe})
	}
	stdin, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	var answers [][][4]any
	if err := json.Unmarshal(script(t, stdin, "dump"), &answers); err != nil {
		t.Fatal(err)
	}
	for i, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			theirs := map[string]string{}
			var keys []string
			for _, e := range answers[i] {
				keys = append(keys, e[0].(string))
				theirs[e[0].(string)] = fmt.Sprint(e[1:]...)
			}
			compare(t, q.want, theirs)
			if !slices.Equal(q.keys, keys) {
				t.Errorf("keys %q, want %q in this order", q.keys, keys)
			}
		})
	}
}

// ours is the same as this package reads it.
func ours(t *testing.T, list []tensor.Named) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, n := range list {
		b, err := n.ReadAll()
		if err != nil {
			t.Errorf("%s: %v", n.Key, err)
		}
		sum := sha256.Sum256(b)
		out[n.Key] = fmt.Sprint(n.Type.String(), n.Shape, hex.EncodeToString(sum[:]))
	}
	return out
}

func compare(t *testing.T, got, want map[string]string) {
	t.Helper()
	for key, w := range want {
		if g, ok := got[key]; !ok || g != w {
			t.Errorf("%s: %s, want %s", key, g, w)
		}
	}
	if len(got) != len(want) || len(want) == 0 {
		t.Errorf("%d tensors, want %d", len(got), len(want))
	}
}

// TestConformance reads every checkpoint of testdata, those that PyTorch makes here,
// and those that match REPFUSE_CHECKPOINTS, in each of their states; then writes what
// it has read and has PyTorch read that.
func TestConformance(t *testing.T) {
	made, dir := t.TempDir(), t.TempDir()
	script(t, nil, "make", made)
	var questions []question
	for _, pattern := range []string{"testdata/*.p*t*", "testdata/*.ckpt", filepath.Join(made, "*"), os.Getenv("REPFUSE_CHECKPOINTS")} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			f, err := Open(path, Options{})
			if err != nil {
				t.Errorf("%v", err)
				continue
			}
			for _, state := range append(f.Others, f.Chosen) {
				again := filepath.Join(dir, fmt.Sprint(len(questions), ".pth"))
				questions = append(questions, conform(t, path, state, again)...)
			}
			f.Close()
		}
	}
	if len(questions) < 60 {
		t.Errorf("%d questions, want the 60 that testdata and the script are good for", len(questions))
	}
	ask(t, questions)
}

// conform reads a state and writes it again: three questions.
func conform(t *testing.T, path, state, again string) []question {
	f, err := Open(path, Options{State: state})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rewrite(t, again, f.Tensors)
	name, found := filepath.Base(path)+"/"+state, ours(t, f.Tensors)
	var keys []string
	for _, n := range f.Tensors {
		keys = append(keys, n.Key)
	}
	return []question{
		{name + "/read", path, state, false, found, keys},
		{name + "/written", again, ".", false, found, keys},
		{name + "/written safe", again, ".", true, found, keys},
	}
}
