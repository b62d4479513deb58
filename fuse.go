package repfuse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"repfuse/internal/checkpoint"
	"repfuse/internal/onnx"
	"repfuse/internal/plan"
	"repfuse/internal/planfile"
	"repfuse/internal/record"
	"repfuse/internal/stream"
	"repfuse/internal/tensor"
)

// Work says how the work is done; the result does not depend on it.
type Work struct {
	// Jobs is how many goroutines work; 0 is one for each processor, two to eight
	// where files are written.
	Jobs int
	// Progress, where it is not nil, is told how many bytes of the result are done, and how
	// many there are. Several goroutines may call it at once, often, and wait for it. Where IfChanged
	// replaces what is there, it is told of the comparison first and then, from 0 on, of the writing.
	Progress func(done, total int64)
}

// Destination says how DST is written.
type Destination struct {
	// Format is what a directory holds: npy, or safetensors; "" is npy, except that Fuse
	// makes a directory of .safetensors of one. A file has the format of its extension.
	Format string
	// ShardSize is how many bytes of elements a .safetensors file of a directory holds at most;
	// 0 is 5 GB. It asks for such a directory.
	ShardSize int64
	// Wrap is the key that a .pth has the state dict under, such as "state_dict", as training
	// projects' loaders want it; "" is none.
	Wrap string
	// Force replaces a checkpoint that is at DST, and nothing else.
	Force bool
	// IfChanged leaves DST alone where its files, record included, are byte for byte those that would be written, and there
	// are no others: nothing is written then, and UpToDate says so. Else it is as Force.
	IfChanged bool
	// Sync has all on the disk before the verb returns.
	Sync bool
}

// FuseOptions say what to fuse and how to write it.
type FuseOptions struct {
	PlanOptions
	Destination
	Work
}

// Fused is what was done.
type Fused struct {
	// The path that was read.
	Source string `json:"source"`
	// The path that was written.
	Output string `json:"output"`
	// Whether that had been there as it would be written, so that nothing was.
	UpToDate bool `json:"up_to_date,omitempty"`
	// What the result's tensors come to.
	Bytes int64 `json:"bytes"`
	// What was done.
	Plan *Planned `json:"plan"`
	// What the elements themselves told: fused ones that are below the smallest normal
	// number of their type, and have fewer digits.
	Notes []Note `json:"notes"`
}

// Fuse writes src to dst with each block that Plan finds as one convolution, and all else
// copied. A result that is not as expected is an error, and nothing is written. Beside
// the tensors is a record, by which Verify knows what was assumed.
func Fuse(ctx context.Context, src, dst string, o FuseOptions) (*Fused, error) {
	s, err := o.read(ctx, src)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	p, items, err := o.planned(s)
	if err == nil {
		err = p.Unexpected()
	}
	if err == nil && s.Model == nil {
		err = p.recordable()
	}
	if err == nil {
		err = checkpoint.Apart(dst, p.inputs...)
	}
	var adapters []record.Adapter
	if err == nil {
		adapters, err = s.recorded(ctx)
	}
	if err != nil {
		return nil, err
	}
	f := &Fused{Source: src, Output: dst, Bytes: p.Bytes, Plan: p}
	w := writing{Destination: o.Destination, Work: o.Work, items: items, layers: s.layers}
	if s.Shards {
		w.directory = "safetensors"
	}
	w.record = func(done *stream.Result) ([]byte, error) {
		f.Notes = []Note{}
		for k, n := range done.Small {
			if n > 0 {
				f.Notes = append(f.Notes, Note{Where: items[k].Key, Text: fmt.Sprintf("elements below the smallest normal %s: %d", items[k].Type, n)})
			}
		}
		return o.record(s, f, adapters, done.CRC)
	}
	if f.UpToDate, err = w.run(ctx, s.Checkpoint, dst); err != nil {
		return nil, err
	}
	return f, nil
}

// recordable is an error where the record's plan would come to another than it is.
func (p *Planned) recordable() error {
	file := &planfile.File{}
	text, err := json.Marshal(p.file)
	if err == nil {
		err = json.Unmarshal(text, file)
	}
	if err == nil {
		err = readBack(p.from, p.plan, file)
	}
	return err
}

// record is the text of the record.
func (o *FuseOptions) record(s *source, f *Fused, adapters []record.Adapter, crc []uint32) ([]byte, error) {
	r := record.Record{Version: record.Version, Tool: Version(), Source: s.Format, State: o.State, BFloat16: o.BFloat16,
		DType: o.DType, Plan: f.Plan.file, Conditions: f.Plan.Conditions, Said: o.said(), Already: s.already, Notes: s.Notes, Layers: record.Layers(s.plan), Adapters: adapters, CRC32: map[string]string{}}
	for _, n := range append(s.plan.Notes, f.Notes...) {
		r.Notes = append(r.Notes, n.String())
	}
	for k, it := range f.Plan.Result { // in the order of the items
		r.CRC32[it.Key] = fmt.Sprintf("%08x", crc[k])
	}
	return r.Bytes()
}

// writing is a checkpoint that is made of another.
type writing struct {
	Destination
	Work
	items []plan.Item
	// directory is the format of a directory where Destination says none.
	directory string
	// layers is what takes the place of nodes where an .onnx is written.
	layers []onnx.Layer
	// like, where it is not nil, is what the facts beside the tensors are taken from.
	like *checkpoint.Checkpoint
	// record, where it is not nil, makes what is left beside the tensors.
	record func(*stream.Result) ([]byte, error)
}

// run writes the items to dst, which appears when all is there, or finds that IfChanged leaves it alone.
func (w *writing) run(ctx context.Context, c *checkpoint.Checkpoint, dst string) (upToDate bool, err error) {
	if err := checkpoint.Apart(dst, c.Paths()...); err != nil {
		return false, err
	}
	o, err := w.options(c)
	if err == nil && c.Model != nil && checkpoint.IsModel(dst) {
		o.Model, err = c.Model.Rewrite(w.layers, filepath.Base(dst)+"."+checkpoint.External)
	}
	if err != nil {
		return false, err
	}
	specs := make([]tensor.Spec, len(w.items))
	for k, it := range w.items {
		specs[k] = it.Spec
	}
	if _, err := os.Stat(dst); w.IfChanged && err == nil {
		if out, err := checkpoint.Compare(dst, specs, o); err == nil && w.fill(ctx, c, out) == nil {
			return true, nil
		}
	}
	out, err := checkpoint.Create(dst, specs, o)
	if err != nil {
		return false, err
	}
	return false, w.fill(ctx, c, out)
}

// fill gives the output all that is in it, and commits it.
func (w *writing) fill(ctx context.Context, c *checkpoint.Checkpoint, out *checkpoint.Output) error {
	defer out.Abort()
	total := plan.Bytes(w.items)
	so := stream.Options{Jobs: w.Jobs}
	if w.Progress != nil {
		so.Progress = func(done int64) { w.Progress(done, total) }
	}
	done, err := stream.Run(ctx, w.items, out, so)
	if err != nil {
		return err
	}
	if err := out.Carry(c); err != nil {
		return err
	}
	if w.like != nil {
		if err := out.CarryFacts(w.like); err != nil {
			return err
		}
	}
	if w.record != nil {
		text, err := w.record(done)
		if err == nil {
			err = out.AddFile(checkpoint.Record, text)
		}
		if err != nil {
			return err
		}
	}
	return out.Commit()
}

// options is how a checkpoint is made of c.
func (w *writing) options(c *checkpoint.Checkpoint) (checkpoint.CreateOptions, error) {
	o := checkpoint.CreateOptions{Format: w.Format, Directory: w.directory, ShardSize: w.ShardSize, Wrap: w.Wrap,
		Force: w.Force || w.IfChanged, Sync: w.Sync, Metadata: c.Metadata}
	switch {
	case w.Format != "" && w.Format != "npy" && w.Format != "safetensors":
		return o, fmt.Errorf("--format %s, want npy or safetensors; other formats are files, by their extension", w.Format)
	case w.ShardSize == 0:
	case w.ShardSize < 0:
		return o, fmt.Errorf("--shard-size %d, want at least 1", w.ShardSize)
	case w.Format == "npy":
		return o, errors.New("--shard-size with --format npy, want safetensors, which alone has shards")
	default:
		o.Format = "safetensors"
	}
	return o, nil
}

// version is set by the linker for a release.
var version = ""

// Version is the version of this package, as records have it.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if version != "" || !ok {
		return version
	}
	for _, m := range info.Deps {
		if m.Path == "repfuse" { // another program calls it
			return m.Version
		}
	}
	v := info.Main.Version
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if v == "" || v == "(devel)" {
		v = "devel"
		if rev := settings["vcs.revision"]; len(rev) >= 12 {
			v += " " + rev[:12]
		}
	}
	return v
}
