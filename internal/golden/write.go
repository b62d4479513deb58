package golden

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repfuse/internal/tensor"
)

// descrs is numpy's names of the element types that the cases use.
var descrs = map[tensor.Type]string{
	tensor.Bool: "|b1", tensor.U8: "|u1", tensor.I32: "<i4", tensor.I64: "<i8",
	tensor.F16: "<f2", tensor.F32: "<f4", tensor.F64: "<f8",
}

// Write saves tensors as .npy files, one KEY.npy each, into a folder that is made
// where it is missing. It shares no code with the package that reads them.
func Write(t testing.TB, dir string, tensors []tensor.Named) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, n := range tensors {
		data, err := n.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if descrs[n.Type] == "" {
			t.Fatalf("%s: element type %s is none of the cases'", n.Key, n.Type)
		}
		file := append(header(descrs[n.Type], n.Shape), data...)
		if err := os.WriteFile(filepath.Join(dir, n.Key+".npy"), file, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// header is what stands before the elements of a .npy file of version 1: a Python
// dict, padded so that the elements begin at a multiple of 64 bytes.
func header(descr string, shape []int) []byte {
	var extents string
	for _, n := range shape {
		extents += fmt.Sprintf("%d, ", n)
	}
	if len(shape) != 1 {
		extents = strings.TrimSuffix(extents, ", ")
	} else {
		extents = strings.TrimSuffix(extents, " ")
	}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, extents)
	length := (10+len(dict)+1+63)/64*64 - 10
	b := bytes.NewBufferString("\x93NUMPY\x01\x00")
	b.Write(binary.LittleEndian.AppendUint16(nil, uint16(length)))
	fmt.Fprintf(b, "%-*s\n", length-1, dict)
	return b.Bytes()
}
