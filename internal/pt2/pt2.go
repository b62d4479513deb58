// Package pt2 reads archives of torch.export.save: a network as operators of ATen, and
// its weights. The graph becomes the text of a graph.json, which package trace reads.
package pt2

import (
	"fmt"
	"io"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/hint"
	"repfuse/internal/pth"
	"repfuse/internal/tensor"
)

// Ext is what a file's name ends in.
const Ext = ".pt2"

// The records of an archive as PyTorch 2.5 to 2.7 write it.
const (
	program = "serialized_exported_program.json"
	weights = "serialized_state_dict.pt"
)

// The records of an archive as PyTorch 2.8 and later write it, for a model of some name. The
// weights are a file of torch.save's, which the first of these versions wrote, or a record for
// each storage, of which the list says what lies in it.
const (
	form        = "archive_format"
	version     = "archive_version"
	models      = "models/"
	modelEnd    = ".json"
	payloads    = "data/weights/"
	savedEnd    = ".pt"
	listEnd     = "_weights_config.json"
	versionRead = "0"
)

// First is the first entry of an archive of PyTorch 2.5 to 2.7. That of a later one is in
// one of Folders, below a folder of the archive's own; the last is compiled code.
const First = program

// Folders ends each in a slash.
var Folders = []string{payloads, models, "data/aotinductor/"}

// maxText bounds the program's text, and that of the list of weights.
const maxText = 128 << 20

// File is an open archive.
type File struct {
	// Tensors are under the network's own keys; their elements are good until Close.
	Tensors []tensor.Named
	// Graph is the text of a graph.json.
	Graph []byte
	file  *disk.File
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// Open reads an archive's graph and the headers of its tensors.
func Open(path string) (*File, error) {
	file, size, err := disk.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	f := &File{file: file}
	if err := f.read(file, size); err != nil {
		file.Close()
		return nil, hint.Add(fmt.Errorf("%s: %w", path, err), "torch.save(model.state_dict(), \"model.pth\") and export.graph(model, \"graph.json\", x) say the same")
	}
	return f, nil
}

func (f *File) read(r io.ReaderAt, size int64) error {
	all, err := pth.ReadRecords(r, size, program, form)
	if err != nil {
		return fmt.Errorf("no archive of torch.export: %w", err)
	}
	if all.Has(program) {
		if f.Graph, err = graphIn(all, program); err == nil {
			f.Tensors, err = all.State(weights)
		}
		return err
	}
	name, err := model(all)
	if err != nil {
		return err
	}
	if f.Graph, err = graphIn(all, models+name+modelEnd); err != nil {
		return err
	}
	if saved := payloads + name + savedEnd; all.Has(saved) {
		f.Tensors, err = all.State(saved)
		return err
	}
	list, err := all.Text(payloads+name+listEnd, maxText)
	if err != nil {
		return err
	}
	if f.Tensors, err = listed(all, list); err != nil {
		return fmt.Errorf("%s: %w", payloads+name+listEnd, err)
	}
	return tensor.Weigh(f.Tensors, size)
}

// graphIn is the text of a graph.json of a record.
func graphIn(r *pth.Records, name string) ([]byte, error) {
	text, err := r.Text(name, maxText)
	if err != nil {
		return nil, err
	}
	graph, err := textOf(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return graph, nil
}

// model is the name of the one model in an archive of PyTorch 2.8 or later.
func model(r *pth.Records) (string, error) {
	if r.Has(version) {
		v, err := r.Text(version, 64)
		if err != nil {
			return "", err
		}
		if v := strings.TrimSpace(string(v)); v != versionRead {
			return "", fmt.Errorf("archive version %q, want %s, which PyTorch writes since 2.8", v, versionRead)
		}
	}
	var names []string
	for _, name := range r.Names(models) {
		if name, ok := strings.CutSuffix(name, modelEnd); ok {
			names = append(names, name)
		}
	}
	switch len(names) {
	case 0:
		return "", fmt.Errorf("no graph in %s: of compiled code (AOTInductor) nothing can be read, want an archive of torch.export.save", models)
	case 1:
		return names[0], nil
	}
	return "", fmt.Errorf("%d models, %s, want an archive of one", len(names), strings.Join(names, ", "))
}
