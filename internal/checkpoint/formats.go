package checkpoint

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"repfuse/internal/disk"
	"repfuse/internal/hint"
	"repfuse/internal/npy"
	"repfuse/internal/pt2"
	"repfuse/internal/safetensors"
	"repfuse/internal/tensor"
)

// Record is the name of what repfuse notes beside its output: in a directory that
// very file, beside a file the file's name and this after a dot.
const Record = "repfuse.json"

// The names of formats that code asks for; safetensors can be a directory and a file.
const (
	npyName         = "npy"
	safetensorsName = "safetensors"
	onnxName        = "onnx"
	pthName         = "pth"
	pt2Name         = "pt2"
)

// format is one row of the table: what a path looks like, who opens it, who makes it.
type format struct {
	name     string
	suffixes []string // none: a directory
	about    string   // for messages
	open     func(path string, o Options) (*Checkpoint, error)
	// create makes the file, or fills the empty directory, at path, which will be
	// renamed to dst, or is dst where that is compared; nil where the format is only read.
	create func(path, dst string, specs []tensor.Spec, o CreateOptions) (tensor.Writer, error)
	// strangers is, of a directory's format, which files are no part of one checkpoint.
	strangers func(names []string) []string
}

// formats is the table; directories come first, and of them what is taken where nobody says.
var formats = []format{
	{npyName, nil, "a directory of .npy files", openDir, createDir, notArrays},
	{safetensorsName, nil, "a directory of .safetensors", openDir, createShards, safetensors.Strangers},
	{"npz", []string{".npz"}, ".npz", openZip, createZip, nil},
	{safetensorsName, []string{safetensors.Ext}, safetensors.Ext, openSafetensors, createSafetensors, nil},
	{safetensorsName, []string{safetensors.IndexSuffix}, safetensors.IndexSuffix, openSafetensors, nil, nil},
	{pthName, []string{".pth", ".pt", ".ckpt", ".bin", ".pth.tar"}, ".pth, .pt, .ckpt, .bin", openPth, createPth, nil},
	{pthName, []string{".tar", ".pdparams"}, ".pdparams", openPth, nil, nil},
	{pt2Name, []string{pt2.Ext}, pt2.Ext, openExported, nil, nil},
	{onnxName, []string{".onnx"}, ".onnx", openModel, createModel, nil},
}

// partOf is the note on a file that is one of several by its name, "" of any other.
func partOf(path string) string {
	n, _ := safetensors.Shards(filepath.Base(path))
	if n < 2 {
		return ""
	}
	return fmt.Sprintf("by its name this is one of %d shards, and the tensors of the others are not looked at", n)
}

// foreign are file names that end like a model's and that repfuse cannot read.
var foreign = []string{".h5", ".hdf5", ".keras", ".pb", ".tflite", ".gguf", ".msgpack", ".mlmodel", ".pkl", ".zip"}

// dir reports whether the format is one of a directory.
func (f format) dir() bool { return len(f.suffixes) == 0 }

// wanted lists the formats.
func wanted() string {
	var about []string
	for _, f := range formats {
		about = append(about, f.about)
	}
	last := len(about) - 1
	return strings.Join(about[:last], ", ") + " and " + about[last]
}

// bySuffix finds the format of a file name.
func bySuffix(path string) (format, bool) {
	name := filepath.Base(path)
	for _, f := range formats {
		if f.suffixOf(name) != "" {
			return f, true
		}
	}
	return format{}, false
}

// suffixOf is which of the format's suffixes a file name has, "" for none.
func (f format) suffixOf(path string) string {
	for _, s := range f.suffixes {
		if strings.HasSuffix(strings.ToLower(path), s) {
			return s
		}
	}
	return ""
}

// reader finds who opens what lies at path: by what it begins with, and where that tells
// nothing by its name.
func reader(path string, info fs.FileInfo) (format, error) {
	if info.IsDir() {
		return formats[0], nil
	}
	if !info.Mode().IsRegular() {
		return format{}, fmt.Errorf("%s is %s, want a checkpoint", path, disk.Kind(info.Mode()))
	}
	if f, ok, err := byContent(path); ok || err != nil {
		return f, err
	}
	if f, ok := bySuffix(path); ok {
		return f, nil
	}
	err := fmt.Errorf("%s is no checkpoint by its name or content", path)
	if strings.HasSuffix(path, npy.Ext) {
		return format{}, hint.Add(err, "one .npy file is one tensor: name the directory, %s", filepath.Dir(path))
	}
	return format{}, hint.Add(err, "repfuse reads %s", wanted())
}
