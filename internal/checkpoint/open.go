package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"repfuse/internal/facts"
	"repfuse/internal/npy"
	"repfuse/internal/pth"
	"repfuse/internal/safetensors"
	"repfuse/internal/tensor"
)

// openDir opens a directory of .npy files, and the facts in it.
func openDir(dir string, o Options) (*Checkpoint, error) {
	set, err := npy.OpenDir(dir, npy.Options{BFloat16: o.BFloat16})
	if err != nil {
		return nil, err
	}
	if len(set.Tensors) == 0 {
		if index, err := safetensors.Index(dir); err != nil {
			return nil, err
		} else if index != "" {
			return openShards(index)
		}
	}
	others := slices.DeleteFunc(set.Others, func(name string) bool { return name == facts.File || name == Record })
	c := &Checkpoint{Tensors: set.Tensors, Notes: passedOver(others), close: set.Close}
	c.Facts, err = openFacts(dir)
	return c, err
}

func createDir(dir, _ string, specs []tensor.Spec, _ CreateOptions) (tensor.Writer, error) {
	return npy.CreateDir(dir, specs)
}

// passedOver is the note on what lies among the arrays and is none.
func passedOver(names []string) []string {
	const shown = 3
	switch n := len(names); {
	case n == 0:
		return nil
	case n > shown:
		names = append(names[:shown:shown], fmt.Sprintf("and %d more", n-shown))
	}
	return []string{"passed over, not .npy: " + strings.Join(names, ", ")}
}

// openFacts reads the facts in a directory, nil where there are none.
func openFacts(dir string) (*facts.Model, error) {
	f, err := os.Open(filepath.Join(dir, facts.File))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return facts.Read(f)
}

// openShards opens the shards of a directory that has them in place of arrays.
func openShards(index string) (*Checkpoint, error) {
	c, err := openSafetensors(index, Options{})
	if err == nil {
		c.Format = "safetensors"
	}
	return c, err
}

func openZip(path string, o Options) (*Checkpoint, error) {
	set, err := npy.OpenZip(path, npy.Options{BFloat16: o.BFloat16})
	if err != nil {
		return nil, err
	}
	return &Checkpoint{Tensors: set.Tensors, Notes: passedOver(set.Others), close: set.Close}, nil
}

func createZip(path, _ string, specs []tensor.Spec, _ CreateOptions) (tensor.Writer, error) {
	return npy.CreateZip(path, specs)
}

func openSafetensors(path string, _ Options) (*Checkpoint, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	return &Checkpoint{Tensors: f.Tensors, Metadata: f.Metadata, close: f.Close}, nil
}

func createSafetensors(path, _ string, specs []tensor.Spec, o CreateOptions) (tensor.Writer, error) {
	return safetensors.Create(path, specs, o.Metadata)
}

func openPth(path string, o Options) (*Checkpoint, error) {
	f, err := pth.Open(path, pth.Options{State: o.State})
	if err != nil {
		return nil, err
	}
	return &Checkpoint{Tensors: f.Tensors, State: f.Chosen, States: f.Others,
		Notes: f.Notes, Facts: f.Facts, close: f.Close}, nil
}

// createPth names the folder in the archive as torch.save does, after the file.
func createPth(path, dst string, specs []tensor.Spec, _ CreateOptions) (tensor.Writer, error) {
	name := filepath.Base(dst)
	return pth.Create(path, strings.TrimSuffix(name, filepath.Ext(name)), specs)
}
