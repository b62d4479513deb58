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

func script(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(python(), append([]string{"testdata/conformance.py"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, stderr.Bytes())
	}
	return out
}

// theirs is what PyTorch reads, key by key.
func theirs(t *testing.T, mode, path, state string) map[string]string {
	t.Helper()
	var list [][4]any
	if err := json.Unmarshal(script(t, mode, path, state), &list); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range list {
		out[e[0].(string)] = fmt.Sprint(e[1:]...)
	}
	return out
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
	made := t.TempDir()
	script(t, "make", made)
	var files []string
	for _, pattern := range []string{"testdata/*.p*t*", "testdata/*.ckpt", filepath.Join(made, "*"), os.Getenv("REPFUSE_CHECKPOINTS")} {
		list, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, list...)
	}
	for _, path := range files {
		if ext := filepath.Ext(path); ext == ".py" || ext == ".json" {
			continue
		}
		f, err := Open(path, Options{})
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		for _, state := range append(f.Others, f.Chosen) {
			t.Run(filepath.Base(path)+"/"+state, func(t *testing.T) { conform(t, path, state) })
		}
		f.Close()
	}
}

func conform(t *testing.T, path, state string) {
	f, err := Open(path, Options{State: state})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := theirs(t, "dump", path, state)
	compare(t, ours(t, f.Tensors), want)

	again := filepath.Join(t.TempDir(), "again.pth")
	rewrite(t, again, f.Tensors)
	compare(t, theirs(t, "dump", again, "."), want)
	compare(t, theirs(t, "safe", again, "."), want)
}
