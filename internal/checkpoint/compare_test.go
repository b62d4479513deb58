package checkpoint

import (
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// compare holds what writeAll writes to what is at path.
func compare(path string, specs []tensor.Spec, o CreateOptions, first byte, record string) error {
	out, err := Compare(path, specs, o)
	if err != nil {
		return err
	}
	defer out.Abort()
	for i, s := range specs {
		p := make([]byte, s.Bytes())
		if len(p) > 0 {
			p[0] = first
			err = errors.Join(err, out.WriteAt(i, p, 0))
		}
		err = errors.Join(err, out.Done(i, crc32.ChecksumIEEE(p)))
	}
	if record != "" {
		err = errors.Join(err, out.AddFile(Record, []byte(record)))
	}
	return errors.Join(err, out.Commit())
}

// TestCompare: whatever byte of whatever file is another, is missing or is one too many, that differs; and comparing
// changes nothing.
func TestCompare(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 17
	}
	for name, o := range map[string]CreateOptions{
		"out": {}, "out.safetensors": {}, "out.npz": {}, "out.pth": {Wrap: "params"}, "shards": {Format: "safetensors", ShardSize: 16},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			dst := filepath.Join(dir, name)
			differs := func(what string) {
				t.Helper()
				if err := compare(dst, three, o, 1, "{}"); !errors.Is(err, disk.ErrDiffers) {
					t.Errorf("%s: %v, want that it differs", what, err)
				}
			}
			differs("nothing there")
			writeAll(t, dst, three, o, 1)
			before := names(t, dir)
			must(t, compare(dst, three, o, 1, "{}"))
			for _, file := range before {
				path := filepath.Join(dir, file)
				whole, err := os.ReadFile(path)
				if err != nil { // dst, a directory
					continue
				}
				for k := 0; k < len(whole); k += step {
					whole[k] ^= 1
					must(t, os.WriteFile(path, whole, 0o666))
					differs(file + " with another byte")
					whole[k] ^= 1
				}
				must(t, os.WriteFile(path, append(whole, 0), 0o666))
				differs(file + " with one more byte")
				must(t, os.WriteFile(path, whole[:len(whole)-1], 0o666))
				differs(file + " with one byte less")
				must(t, os.Remove(path))
				differs(file + " gone")
				must(t, os.WriteFile(path, whole, 0o666))
			}
			must(t, compare(dst, three, o, 1, "{}"))
			for what, err := range map[string]error{
				"another element":  compare(dst, three, o, 2, "{}"),
				"a tensor less":    compare(dst, three[:2], o, 1, "{}"),
				"another record":   compare(dst, three, o, 1, "{ }"),
				"a record of none": compare(dst, three, o, 1, ""),
			} {
				if !errors.Is(err, disk.ErrDiffers) {
					t.Errorf("%s: %v, want that it differs", what, err)
				}
			}
			wantNames(t, dir, before...)
			record := dst + "." + Record
			if info, err := os.Stat(dst); err == nil && info.IsDir() {
				record = filepath.Join(dst, Record)
				must(t, os.Mkdir(filepath.Join(dst, "more"), 0o777))
				differs("a directory in it")
				must(t, os.Remove(filepath.Join(dst, "more")))
			}
			must(t, os.Rename(record, filepath.Join(dir, "record")))
			if os.Symlink(filepath.Join(dir, "record"), record) == nil {
				differs("a link to its record")
			}
		})
	}
}

// No room is made in a shard that is compared, which would make a shorter one longer.
func TestCompareReservesNothing(t *testing.T) {
	dst := filepath.Join(t.TempDir(), "shards")
	specs, o := []tensor.Spec{{Key: "a", Type: tensor.U8, Shape: []int{4096}}}, CreateOptions{Format: "safetensors"}
	writeAll(t, dst, specs, o, 1)
	path := filepath.Join(dst, "model.safetensors")
	info, err := os.Stat(path)
	must(t, err)
	head := info.Size() - specs[0].Bytes()
	must(t, os.Truncate(path, head))
	if err := compare(dst, specs, o, 1, "{}"); !errors.Is(err, disk.ErrDiffers) {
		t.Errorf("%v, want that it differs", err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != head {
		t.Errorf("%v, %v, want the %d bytes as before", info, err, head)
	}
}
