package checkpoint

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"repfuse/internal/disk"
	"repfuse/internal/hint"
	"repfuse/internal/npy"
	"repfuse/internal/onnx"
	"repfuse/internal/tensor"
)

// CreateOptions say how a checkpoint is made.
type CreateOptions struct {
	// Format is the name of the format; "" goes by the path's extension. "safetensors"
	// at a path without an extension, or with a slash at its end, is a directory of shards.
	Format string
	// Directory is the name of the format of a path without an extension, where Format
	// is ""; "" is that of a directory of .npy files.
	Directory string
	// ShardSize is how many bytes of elements a shard holds at most, in a directory of
	// them; 0 is 5 GB.
	ShardSize int64
	// Wrap is the key that a .pth has the state dict under; "" is none.
	Wrap string
	// Force replaces a checkpoint that is there.
	Force bool
	// Metadata is kept in formats that have a place for it (.safetensors).
	Metadata map[string]string
	// Sync has everything on the disk before Commit returns.
	Sync bool
	// Model is the model that an .onnx is made of, rewritten for a path whose external
	// data lies beside it under the same name and External; nil for other formats.
	Model *onnx.Rewrite

	create disk.Maker // of each file
}

// External is the end of the name of an .onnx file's external data.
const External = "data"

// Output is a checkpoint being written. It takes the tensors' bytes as
// tensor.Writer says; then Commit puts it in its place. Until then, and after
// Abort, whatever was there is as it was.
type Output struct {
	path   string // as it was given, for messages
	dst    string // links resolved
	tmp    string // dst itself where that is compared
	format format
	o      CreateOptions
	w      tensor.Writer
	closed bool
	failed error // of closing w
	unlock []func()
	beside []string      // the files that AddFile put beside a file, in their final places
	same   *atomic.Int64 // of an output of Compare, how many files are as they would be written; else nil
	over   bool          // committed or aborted
}

// Create begins a checkpoint of the tensors of specs at path. The directory that
// path lies in must be there; path itself must not, or be an empty directory, unless
// Force says to replace it, which it does to a checkpoint and to nothing else. What killed
// runs left beside it is removed.
func Create(path string, specs []tensor.Spec, o CreateOptions) (*Output, error) {
	o.create = disk.Create
	out, err := newOutput(path, o)
	if err != nil {
		return nil, err
	}
	out.tmp = sibling(out.dst, temporary)
	beside := []string{out.dst + "." + Record}
	if out.hasData() {
		beside = append(beside, out.place(External))
	}
	if err := sweep(out.dst, beside...); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := out.checkPlace(); err != nil {
		return nil, err
	}
	if err := out.begin(specs); err != nil {
		return nil, out.named(err)
	}
	return out, nil
}

// newOutput is an output at path, of which nothing is there yet.
func newOutput(path string, o CreateOptions) (*Output, error) {
	f, err := writer(path, o.Format, o.Directory)
	if err != nil {
		return nil, err
	}
	if o.ShardSize != 0 && !(f.dir() && f.name == safetensorsName) {
		return nil, fmt.Errorf("%s is to be one file, want a directory for shards", path)
	}
	if o.Wrap != "" && f.name != pthName {
		return nil, fmt.Errorf("%s: --wrap %s, want a .pth, which alone has dicts in dicts", path, o.Wrap)
	}
	dst, err := resolve(path)
	if err != nil {
		return nil, err
	}
	return &Output{path: path, dst: dst, format: f, o: o}, nil
}

// writer finds who makes a checkpoint at path in the format of that name, "" for
// the one that the path speaks of or, where it speaks of none, that of otherwise.
func writer(path, name, otherwise string) (format, error) {
	slash := strings.HasSuffix(path, string(filepath.Separator)) || strings.HasSuffix(path, "/")
	f, ok := bySuffix(path)
	ok = ok && !slash
	switch {
	case ok && f.create == nil:
		return format{}, fmt.Errorf("%s: repfuse reads %s and does not write it, want one of %s", path, f.suffixOf(path), writable())
	case ok && name != "" && name != f.name:
		return format{}, fmt.Errorf("%s: ends as %s does, want an ending that fits the format %s", path, f.name, name)
	case ok:
		return f, nil
	}
	if name, ok := strings.CutSuffix(path, npy.Ext); ok && !slash {
		return format{}, hint.Add(fmt.Errorf("%s: one .npy file is one tensor, want a directory of them", path), "name the directory: %s/", name)
	}
	for _, suffix := range foreign {
		if !slash && strings.HasSuffix(strings.ToLower(path), suffix) {
			return format{}, fmt.Errorf("%s: repfuse does not write %s, want %s", path, suffix, writable())
		}
	}
	name = cmp.Or(name, otherwise, formats[0].name)
	for _, f := range formats {
		if f.name == name && f.dir() {
			return f, nil
		}
	}
	for _, f := range formats {
		if f.name == name {
			return format{}, fmt.Errorf("%s: is to be a directory, want an ending of the format %s: %s", path, name, strings.Join(f.suffixes, ", "))
		}
	}
	return format{}, fmt.Errorf("format %q, want one of %s", name, writable())
}

func writable() string {
	var names []string
	for _, f := range formats {
		if f.create != nil && !slices.Contains(names, f.name) {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, ", ")
}

// begin makes the temporary sibling and the writer into it.
func (out *Output) begin(specs []tensor.Spec) (err error) {
	if !isMissing(out.tmp) { // sweep left it: this very process has another output here
		return fmt.Errorf("it is being written: %w", &fs.PathError{Op: "create", Path: out.tmp, Err: fs.ErrExist})
	}
	if out.dir() {
		if err := os.Mkdir(out.tmp, 0o777); err != nil {
			return err
		}
	}
	err = out.open(specs)
	if err == nil && !out.dir() && out.o.Model == nil {
		var total int64
		for _, s := range specs {
			total += s.Bytes()
		}
		err = reserve(out.tmp, total)
	}
	if err != nil {
		out.Abort()
		return err
	}
	out.unlock = append(out.unlock, lock(out.tmp))
	return nil
}

// open makes the writer.
func (out *Output) open(specs []tensor.Spec) (err error) {
	if out.hasData() {
		out.beside = append(out.beside, out.place(External))
	}
	out.w, err = out.format.create(out.tmp, out.dst, specs, out.o)
	return err
}

// dir reports whether the output is a directory.
func (out *Output) dir() bool { return out.format.dir() }

// hasData reports whether the output is an .onnx with external data.
func (out *Output) hasData() bool { return out.o.Model != nil && out.o.Model.External }

// checkPlace is an error where something stands at the destination that may not be
// replaced.
func (out *Output) checkPlace() error {
	if err := out.checkBeside(); err != nil {
		return err
	}
	info, err := os.Stat(out.dst)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", out.path, disk.Cause(err))
	case info.IsDir() && !out.dir():
		return fmt.Errorf("%s is a directory, want a file or nothing there", out.path)
	case !info.IsDir() && out.dir():
		return fmt.Errorf("%s is a file, want a directory or nothing there", out.path)
	case !info.IsDir() && !info.Mode().IsRegular():
		return fmt.Errorf("%s is %s, want a file or nothing there", out.path, disk.Kind(info.Mode()))
	case info.IsDir():
		return out.checkDir(info)
	case !out.o.Force:
		return hint.Add(fmt.Errorf("%s is there already", out.path), "--force replaces it")
	}
	return out.checkFile()
}

// checkBeside is checkPlace of what comes to lie beside a file.
func (out *Output) checkBeside() error {
	if out.dir() {
		return nil
	}
	for _, name := range []string{Record, External} {
		info, err := os.Stat(out.place(name))
		switch path := out.path + "." + name; {
		case err != nil || name == External && !out.hasData():
		case info.IsDir():
			return fmt.Errorf("%s is a directory, want a file or nothing there", path)
		case name == External && !out.o.Force:
			return hint.Add(fmt.Errorf("%s is there already", path), "--force replaces it")
		}
	}
	return nil
}

// checkFile is an error for a file that may not be replaced: it is neither empty nor begins as a checkpoint does.
func (out *Output) checkFile() error {
	head, size, err := beginning(out.dst)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", out.path, err)
	case size > 0 && formatOf(head, size) == "" && !bytes.HasPrefix(head, []byte(zipMagic)):
		return hint.Add(fmt.Errorf("%s is there, and no checkpoint by its content", out.path), "%s, if nobody needs it", hint.Words("rm", out.path))
	}
	return nil
}

// checkDir is an error for a directory that may not be replaced: it is not empty,
// or with Force, it holds what is no part of a checkpoint; or somebody works in it.
func (out *Output) checkDir(info fs.FileInfo) error {
	if wd, err := os.Getwd(); err == nil {
		if here, err := under(wd, info); err == nil && here {
			return hint.Add(fmt.Errorf("%s is the working directory or holds it", out.path), "name a directory in it that is not there yet")
		}
	}
	empty, stranger, err := survey(out.dst)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", out.path, err)
	case empty:
		return nil
	case stranger != "":
		return fmt.Errorf("%s holds %s, want an empty directory or nothing there", out.path, stranger)
	case !out.o.Force:
		return hint.Add(fmt.Errorf("%s is not empty", out.path), "--force replaces it")
	}
	if err := removable(out.dst); err != nil {
		return fmt.Errorf("%s: what is in it cannot be removed: %w", out.path, err)
	}
	return nil
}

// place is where AddFile puts a file in the end.
func (out *Output) place(name string) string {
	if out.dir() {
		return filepath.Join(out.dst, name)
	}
	return out.dst + "." + name
}

// named is an error as it is of the destination, which people know, and not of temporary
// siblings, which are gone when they read it.
func (out *Output) named(err error) error {
	if err == nil {
		return nil
	}
	words := []string{"write " + out.tmp + ": ", "", out.tmp + ": ", "", filepath.Base(out.tmp) + ": ", ""}
	for _, end := range []string{"", "." + External, "." + Record} {
		tmp, place := sibling(out.dst+end, temporary), out.path+end
		words = append(words, tmp, place, filepath.Base(tmp), filepath.Base(place))
	}
	return &renamed{err, out.path + ": " + strings.NewReplacer(words...).Replace(err.Error())}
}

// renamed is an error in other words.
type renamed struct {
	error
	text string
}

func (e *renamed) Error() string { return e.text }
func (e *renamed) Unwrap() error { return e.error }

// WriteAt stores p at byte off of tensor i.
func (out *Output) WriteAt(i int, p []byte, off int64) error {
	return out.named(out.w.WriteAt(i, p, off))
}

// Done says that tensor i is whole, and its CRC-32.
func (out *Output) Done(i int, crc uint32) error { return out.named(out.w.Done(i, crc)) }

// Close ends the writing of tensors; Commit does so too.
func (out *Output) Close() error {
	if !out.closed && out.w != nil {
		out.closed, out.failed = true, out.named(out.w.Close())
	}
	return out.failed
}

// AddFile puts a file of the given bytes with the checkpoint: DST/name in a
// directory, DST.name beside a file.
func (out *Output) AddFile(name string, b []byte) error {
	path := filepath.Join(out.tmp, name)
	if !out.dir() {
		out.beside = append(out.beside, out.place(name))
		path = out.place(name)
		if out.same == nil {
			path = sibling(path, temporary)
		}
	}
	f, err := out.o.create(path)
	if err != nil {
		return out.named(err)
	}
	if !out.dir() && out.same == nil {
		out.unlock = append(out.unlock, lock(path))
	}
	_, err = f.WriteAt(b, 0)
	return out.named(errors.Join(err, f.Close()))
}

// Abort removes what was written. After Commit it does nothing, so that it can be
// deferred.
func (out *Output) Abort() {
	if out.over {
		return
	}
	out.Close()
	if out.same != nil { // what is at tmp is not ours
		return
	}
	os.RemoveAll(out.tmp)
	for _, path := range out.beside {
		os.Remove(sibling(path, temporary))
	}
	out.end()
}

func (out *Output) end() {
	out.over = true
	for _, unlock := range out.unlock {
		unlock()
	}
}
