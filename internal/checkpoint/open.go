package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/facts"
	"repfuse/internal/hint"
	"repfuse/internal/npy"
	"repfuse/internal/onnx"
	"repfuse/internal/pt2"
	"repfuse/internal/pth"
	"repfuse/internal/safetensors"
	"repfuse/internal/tensor"
)

// openDir opens a directory: of .npy files or, where there is none, of .safetensors;
// and the facts in it.
func openDir(dir string, o Options) (*Checkpoint, error) {
	set, err := npy.OpenDir(dir, npy.Options{BFloat16: o.BFloat16})
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Tensors: set.Tensors, close: set.Close}
	others, what := set.Others, "not .npy"
	if len(set.Tensors) == 0 {
		f, err := safetensors.OpenDir(dir)
		if err != nil {
			return nil, err
		}
		var names []string
		if f != nil {
			c, names = fromSafetensors(f), f.Names
			c.Format, c.Shards = safetensorsName, true
		} else if c, names, err = openBins(dir, o); err != nil {
			return nil, err
		}
		c.Files = beside(dir, names)
		others = slices.DeleteFunc(others, func(name string) bool {
			return slices.Contains(names, name) || strings.HasSuffix(name, safetensors.IndexSuffix)
		})
		if c.Shards {
			what = "no tensors of the checkpoint"
			for _, name := range others {
				if isCompanion(name) {
					c.Companions = append(c.Companions, name)
				}
			}
			others = slices.DeleteFunc(others, isCompanion)
		}
	}
	others = slices.DeleteFunc(others, func(name string) bool { return name == facts.File || name == facts.Graph || name == Record })
	c.Notes = passedOver(others, what)
	if c.Facts, err = openFacts(dir); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func notArrays(names []string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return filepath.Ext(name) == npy.Ext })
}

func createDir(dir, _ string, specs []tensor.Spec, o CreateOptions) (tensor.Writer, error) {
	return npy.CreateDir(dir, specs, o.create)
}

// passedOver is the note on what lies among the arrays and is none, as what says.
func passedOver(names []string, what string) []string {
	const shown = 3
	switch n := len(names); {
	case n == 0:
		return nil
	case n > shown:
		names = append(names[:shown:shown], fmt.Sprintf("and %d more", n-shown))
	}
	return []string{"passed over, " + what + ": " + strings.Join(names, ", ")}
}

// openFacts reads the facts in a directory, nil where there are none.
func openFacts(dir string) (*facts.Model, error) {
	text, err := disk.SmallBeside(filepath.Join(dir, facts.File))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", facts.File, err)
	}
	return facts.Read(text)
}

func openZip(path string, o Options) (*Checkpoint, error) {
	set, err := npy.OpenZip(path, npy.Options{BFloat16: o.BFloat16})
	if err != nil {
		return nil, err
	}
	return &Checkpoint{Tensors: set.Tensors, Notes: passedOver(set.Others, "not .npy"), close: set.Close}, nil
}

func createZip(path, _ string, specs []tensor.Spec, o CreateOptions) (tensor.Writer, error) {
	return npy.CreateZip(path, specs, o.create)
}

// openSafetensors opens a file, or the shards of an index that was named itself.
func openSafetensors(path string, _ Options) (*Checkpoint, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	c := fromSafetensors(f)
	if strings.HasSuffix(path, safetensors.IndexSuffix) {
		c.Shards, c.Files = true, beside(filepath.Dir(path), f.Names)
	}
	return c, nil
}

// beside is the paths of files in a directory.
func beside(dir string, names []string) []string {
	var paths []string
	for _, name := range names {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

// fromSafetensors puts the tensors in the order of their keys: how they lie in a
// file follows from their types.
func fromSafetensors(f *safetensors.File) *Checkpoint {
	sortByKey(f.Tensors)
	return &Checkpoint{Tensors: f.Tensors, Metadata: f.Metadata, close: f.Close}
}

// createShards fills a directory with .safetensors files.
func createShards(dir, dst string, specs []tensor.Spec, o CreateOptions) (tensor.Writer, error) {
	so := safetensors.DirOptions{ShardSize: o.ShardSize, Metadata: o.Metadata, Create: o.create}
	if dir != dst { // else nothing is written
		so.Reserve = reserve
	}
	return safetensors.CreateDir(dir, specs, so)
}

func createSafetensors(path, _ string, specs []tensor.Spec, o CreateOptions) (tensor.Writer, error) {
	return safetensors.Create(path, specs, o.Metadata, o.create)
}

func openPth(path string, o Options) (*Checkpoint, error) {
	f, err := pth.Open(path, pth.Options{State: o.State})
	if errors.Is(err, pth.ErrScript) {
		err = hint.Add(err, `python -c "import torch; torch.save(torch.jit.load('%s', 'cpu').state_dict(), 'model.pth')"`, filepath.ToSlash(path))
	}
	if err != nil {
		return nil, err
	}
	return &Checkpoint{Tensors: f.Tensors, State: f.Chosen, States: f.Others,
		Notes: f.Notes, Wrapper: f.Wrapper, Facts: f.Facts, close: f.Close}, nil
}

// openExported opens an archive of torch.export, of which checkpoints are made.
func openExported(path string, _ Options) (*Checkpoint, error) {
	f, err := pt2.Open(path)
	if err != nil {
		return nil, err
	}
	return &Checkpoint{Tensors: f.Tensors, Graph: f.Graph, close: f.Close}, nil
}

// createPth names the folder in the archive as torch.save does, after the file.
func createPth(path, dst string, specs []tensor.Spec, o CreateOptions) (tensor.Writer, error) {
	name := filepath.Base(dst)
	return pth.Create(path, strings.TrimSuffix(name, filepath.Ext(name)), o.Wrap, specs, o.create)
}

func openModel(path string, _ Options) (*Checkpoint, error) {
	m, err := onnx.Open(path)
	if err != nil {
		return nil, err
	}
	return &Checkpoint{Tensors: m.Tensors(), Metadata: m.Metadata, Model: m, Files: beside(filepath.Dir(path), m.External()), close: m.Close}, nil
}

func createModel(path, dst string, specs []tensor.Spec, o CreateOptions) (tensor.Writer, error) {
	if o.Model == nil {
		return nil, hint.Add(errors.New("an .onnx is a network, which tensors alone are not"), "want an .onnx as SRC, or another ending of DST")
	}
	data := dst + "." + External
	if path != dst {
		data = sibling(data, temporary)
	}
	return o.Model.Create(path, data, specs, o.create)
}
