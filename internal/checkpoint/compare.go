package checkpoint

import (
	"os"
	"slices"
	"sync/atomic"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// Compare is called instead of Create where path may hold already what would be written. It writes nothing: the output
// compares what it is given with the files that are there. Where a byte differs, or a file is missing or is one too many,
// one of the calls returns disk.ErrDiffers, Commit at the latest.
func Compare(path string, specs []tensor.Spec, o CreateOptions) (*Output, error) {
	same := new(atomic.Int64)
	o.create = func(path string) (*disk.File, error) {
		same.Add(1)
		return disk.Compare(path)
	}
	out, err := newOutput(path, o)
	if err != nil {
		return nil, err
	}
	out.tmp, out.same = out.dst, same
	return out, out.open(specs)
}

// nothingElse is disk.ErrDiffers where a file is at the destination that would not be written.
func (out *Output) nothingElse() error {
	if !out.dir() {
		if record := out.place(Record); !slices.Contains(out.beside, record) && !isMissing(record) {
			return disk.ErrDiffers
		}
		return nil
	}
	entries, err := os.ReadDir(out.dst)
	if err != nil || int64(len(entries)) != out.same.Load() {
		return disk.ErrDiffers
	}
	return nil
}
