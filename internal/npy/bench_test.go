package npy

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"repfuse/internal/tensor"
)

// BenchmarkOpenDir lists a directory of as many arrays as RepVGG-A0 has.
func BenchmarkOpenDir(b *testing.B) {
	dir := b.TempDir()
	header, err := AppendHeader(nil, tensor.F32, []int{64})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 351 {
		name := filepath.Join(dir, fmt.Sprintf("stage1.%d.rbr_dense.bn.weight.npy", i))
		if err := os.WriteFile(name, append(header, make([]byte, 256)...), 0o666); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := OpenDir(dir, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkElements reads a kernel in pieces of 256 KiB, as it lies and translated.
func BenchmarkElements(b *testing.B) {
	shape := []int{1024, 1024, 3, 3}
	path := filepath.Join(b.TempDir(), "kernel")
	if err := os.WriteFile(path, make([]byte, tensor.Elems(shape)*4), 0o666); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for _, test := range []struct {
		name   string
		header Header
	}{
		{"plain", Header{Type: tensor.F32, Shape: shape}},
		{"swapped", Header{Type: tensor.F32, Shape: shape, BigEndian: true}},
		{"transposed", Header{Type: tensor.F32, Shape: shape, Fortran: true}},
		{"both", Header{Type: tensor.F32, Shape: shape, Fortran: true, BigEndian: true}},
	} {
		b.Run(test.name, func(b *testing.B) {
			n := int64(tensor.Elems(shape) * 4)
			p := make([]byte, 256<<10)
			b.SetBytes(n)
			for b.Loop() {
				d := test.header.elements(f, f)
				for off := int64(0); off < n; off += int64(len(p)) {
					if err := tensor.ReadFull(d, p[:min(int64(len(p)), n-off)], off); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
