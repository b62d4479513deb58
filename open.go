package repfuse

import (
	"context"
	"path/filepath"
	"regexp"

	"repfuse/internal/checkpoint"
	"repfuse/internal/hint"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// Error is an error together with what to type, or where to look, to mend it:
//
//	type Error struct {
//		Err  error  // what Error and Unwrap give
//		Hint string // such as "--force replaces it"
//	}
//
// Find it by errors.As. Several errors at once are joined by errors.Join.
type Error = hint.Error

// Note is something that was assumed or is worth knowing:
//
//	type Note struct {
//		Where string // a module, a key or a path; may be ""
//		Text  string
//		Hint  string // what to type to have it otherwise; may be ""
//	}
type Note = plan.Note

// Reading says how a checkpoint is read where its path leaves that open.
type Reading struct {
	// State names the dict to read of a file that holds several; "" takes the one that
	// the project's own loader would.
	State string
	// BFloat16 takes .npy elements of two bytes without a type for bfloat16.
	BFloat16 bool
}

func (r Reading) open(ctx context.Context, path string) (*checkpoint.Checkpoint, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return checkpoint.Open(path, checkpoint.Options{BFloat16: r.BFloat16, State: r.State})
}

// Spec is a tensor's key, element type such as float32, and shape, one extent an axis.
type Spec struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Shape []int  `json:"shape"`
}

func specOf(s tensor.Spec) Spec { return Spec{s.Key, s.Type.String(), append([]int{}, s.Shape...)} }

// Tensor is a tensor of an open checkpoint.
type Tensor struct {
	Spec
	stored tensor.Tensor
}

// Bytes is the tensor's elements as they are stored, in C order and little-endian.
func (t Tensor) Bytes() ([]byte, error) { return t.stored.ReadAll() }

// Floats is the tensor's elements as float64, in C order; an error where its type is not
// a floating one.
func (t Tensor) Floats() ([]float64, error) { return t.stored.Floats() }

// Checkpoint is an open checkpoint.
type Checkpoint struct {
	// Path is as it was given, Format such as npy, safetensors or pth.
	Path, Format string
	// State is the dict that was taken of a file that holds several, States the others.
	State  string
	States []string
	// Metadata is what a .safetensors file holds beside its tensors.
	Metadata map[string]string
	// Tensors are in the order of the state dict where the format has one (.pth, .npz),
	// else sorted by key. No key is there twice.
	Tensors []Tensor
	Notes   []Note
	close   func() error
}

// Open opens the checkpoint at a path: a directory of .npy or .safetensors files, or a
// .safetensors, .npz, .pth (.pt, .ckpt, .bin), .pdparams, .pt2 or .onnx file. Only headers are read; elements
// are when a Tensor is asked for them, which must be before Close.
func Open(ctx context.Context, path string, o Reading) (*Checkpoint, error) {
	c, err := o.open(ctx, path)
	if err != nil {
		return nil, err
	}
	all := &Checkpoint{Path: c.Path, Format: c.Format, State: c.State, States: c.States, Metadata: c.Metadata,
		Notes: notesOf(c), close: c.Close}
	for _, t := range c.Tensors {
		all.Tensors = append(all.Tensors, Tensor{specOf(t.Spec()), t.Tensor})
	}
	return all, nil
}

// Close closes the files that are open.
func (c *Checkpoint) Close() error { return c.close() }

// notesOf is what was noted when a checkpoint was opened.
func notesOf(c *checkpoint.Checkpoint) []Note {
	notes := []Note{}
	for _, text := range c.Notes {
		notes = append(notes, Note{Where: c.Path, Text: text})
	}
	return notes
}

// shard is the end of the name of one of several files: which, and of how many.
var shard = regexp.MustCompile(`-0*([1-9]\d*)-of-0*([1-9]\d*)\.[a-z]+$`)

// ofShard adds to the first error of one of several shards, which miss what others have, how all are read.
func ofShard(path string, err error) error {
	m := shard.FindStringSubmatch(path)
	if m == nil || m[2] == "1" {
		return err
	}
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		err = all.Unwrap()[0]
	}
	return hint.Add(err, "%s is shard %s of %s by its name: %s reads all", path, m[1], m[2], hint.Command("plan", filepath.Dir(path)))
}
