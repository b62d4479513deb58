package pth

import (
	"errors"
	"hash/crc32"
	"testing"

	"repfuse/internal/tensor"
)

// rewrite makes a file of tensors.
func rewrite(t testing.TB, path string, list []tensor.Named) {
	t.Helper()
	var specs []tensor.Spec
	for _, n := range list {
		specs = append(specs, n.Spec())
	}
	w, err := Create(path, "again", specs)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range list {
		b, err := n.ReadAll()
		half := len(b) / 2
		if err = errors.Join(err, w.WriteAt(i, b[half:], int64(half)), w.WriteAt(i, b[:half], 0), w.Done(i, crc32.ChecksumIEEE(b))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
