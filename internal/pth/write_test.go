package pth

import (
	"archive/zip"
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

// rewrite makes a file of tensors.
func rewrite(t testing.TB, path string, list []tensor.Named) {
	t.Helper()
	var specs []tensor.Spec
	for _, n := range list {
		specs = append(specs, n.Spec())
	}
	w, err := Create(path, "again", "", specs, disk.Create)
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

// What is written is an archive as torch.save lays one out: every record stored at a
// multiple of 64 bytes, with its CRC and the first date there is, the same each time.
func TestLayout(t *testing.T) {
	list := []tensor.Named{
		{Key: "b", Tensor: tensor.Of(tensor.F16, []int{3, 1}, []float64{1, 2, 3})},
		{Key: "a", Tensor: tensor.FromBytes(tensor.I64, []int{}, []byte("12345678"))},
		{Key: "empty", Tensor: tensor.FromBytes(tensor.F32, []int{0, 5}, nil)},
	}
	var files [2][]byte
	for i := range files {
		path := filepath.Join(t.TempDir(), "x.pth")
		rewrite(t, path, list)
		var err error
		if files[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the same tensors gave other bytes")
	}
	z, err := zip.NewReader(bytes.NewReader(files[0]), int64(len(files[0])))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"data.pkl", "byteorder", "data/0", "data/1", "data/2", "version"}
	for i, f := range z.File {
		off, err := f.DataOffset()
		if err != nil || off%64 != 0 || f.Method != zip.Store || f.Name != "again/"+want[i] {
			t.Errorf("%s at byte %d, method %d, %v", f.Name, off, f.Method, err)
		}
		if got := f.Modified.UTC().Format("2006-01-02 15:04:05"); got != "1980-01-01 00:00:00" {
			t.Errorf("%s of %s", f.Name, got)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil { // which looks at the CRC
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	if len(z.File) != len(want) {
		t.Errorf("%d records, want %d", len(z.File), len(want))
	}
}

func TestWriteRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pth")
	for _, test := range []struct {
		root string
		spec tensor.Spec
		want string
	}{
		{"x", tensor.Spec{Key: "\xff", Type: tensor.F32}, "\xff: key \"\\xff\" is not UTF-8"},
		{"x", tensor.Spec{Key: "a", Type: tensor.U16}, "a: a .pth that every PyTorch reads has no storage of uint16"},
		{"x", tensor.Spec{Key: "a", Type: tensor.F32, Shape: []int{-1}}, "a: shape [-1] has a negative dimension"},
		{"x", tensor.Spec{Key: "b", Type: tensor.F32}, "b: two tensors have this key"},
		{"x/y", tensor.Spec{Key: "a", Type: tensor.F32}, `archive name "x/y", want a plain name`},
		{"", tensor.Spec{Key: "a", Type: tensor.F32}, `archive name "", want a plain name`},
	} {
		_, err := Create(path, test.root, "", []tensor.Spec{{Key: "b", Type: tensor.F32}, test.spec}, disk.Create)
		if err == nil || strings.TrimPrefix(err.Error(), path+": ") != test.want {
			t.Errorf("%v, want %s", err, test.want)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: a file is left behind", test.want)
		}
	}
}

// A writer that was not given everything says so instead of leaving zeros.
func TestUnfinished(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pth")
	w, err := Create(path, "x", "", []tensor.Spec{{Key: "a", Type: tensor.U8, Shape: []int{4}}}, disk.Create)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteAt(0, []byte{1, 2}, 3); err == nil {
		t.Error("wrote beyond the end of a tensor")
	}
	if err := w.WriteAt(0, []byte{1, 2}, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Done(0, 0); err == nil || err.Error() != "a: 2 bytes were written, want 4" {
		t.Errorf("%v", err)
	}
	if err := w.Close(); err == nil || err.Error() != "a: not written to its end" {
		t.Errorf("%v", err)
	}
	if _, err := Open(path, Options{}); err == nil {
		t.Error("an archive with a hole looks whole")
	}
	if _, err := Create(path, "x", "", nil, disk.Create); !errors.Is(err, os.ErrExist) {
		t.Errorf("%v, want %v", err, os.ErrExist)
	}
}

// The names are torch's own.
func TestDtype(t *testing.T) {
	for name, want := range map[string]tensor.Type{
		"float8_e4m3fn": tensor.F8E4M3, "float8_e5m2": tensor.F8E5M2, "float8_e8m0fnu": tensor.F8E8M0,
		"bfloat16": tensor.BF16, "int64": tensor.I64, "bool": tensor.Bool, "complex128": tensor.C128, "quint8": tensor.Invalid,
	} {
		if got, err := dtype(name); got != want || (err != nil) != (want == tensor.Invalid) {
			t.Errorf("%s: %s, %v, want %s", name, got, err, want)
		}
	}
}
