package npy

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"repfuse/internal/disk"
	"repfuse/internal/tensor"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put writes a .npy file of int8 elements.
func put(t *testing.T, path string, elements ...byte) {
	t.Helper()
	b, err := AppendHeader(nil, tensor.I8, []int{len(elements)})
	must(t, err)
	must(t, os.MkdirAll(filepath.Dir(path), 0o777))
	must(t, os.WriteFile(path, append(b, elements...), 0o666))
}

func keys(s *Set) []string {
	var all []string
	for _, n := range s.Tensors {
		all = append(all, n.Key)
	}
	return all
}

func TestOpenDir(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "b.weight.npy"), 1, 2)
	put(t, filepath.Join(dir, "a", "bn", "bias.npy"), 3)
	put(t, filepath.Join(dir, ".hidden.npy"), 4)
	put(t, filepath.Join(dir, ".git", "x.npy"), 5)
	must(t, os.Symlink("b.weight.npy", filepath.Join(dir, "c.npy")))
	for _, name := range []string{"modules.json", "a/notes.txt", "big.NPY"} {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o666))
	}
	set, err := OpenDir(dir, Options{})
	must(t, err)
	defer set.Close()
	if got, want := keys(set), []string{"a.bn.bias", "b.weight", "c"}; !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
	if want := []string{"a/notes.txt", "big.NPY", "modules.json"}; !slices.Equal(set.Others, want) {
		t.Errorf("others %q, want %q", set.Others, want)
	}
	for i, want := range [][]byte{{3}, {1, 2}, {1, 2}} {
		if b, err := set.Tensors[i].ReadAll(); err != nil || !bytes.Equal(b, want) {
			t.Errorf("%s holds %v, %v, want %v", set.Tensors[i].Key, b, err, want)
		}
	}
}

func TestOpenDirRefused(t *testing.T) {
	for _, test := range []struct {
		name, err string
		make      func(t *testing.T, dir string)
	}{
		{"two names of a key", "a/b.npy and a.b.npy both have the key a.b", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "a.b.npy"))
			put(t, filepath.Join(dir, "a", "b.npy"))
		}},
		{"link out", "x.npy: path escapes from parent", func(t *testing.T, dir string) {
			put(t, filepath.Join(filepath.Dir(dir), "out.npy"))
			must(t, os.Symlink(filepath.Join("..", "out.npy"), filepath.Join(dir, "x.npy")))
		}},
		{"link to a folder", "x.npy: a directory, want a regular file", func(t *testing.T, dir string) {
			must(t, os.Mkdir(filepath.Join(dir, "d"), 0o777))
			must(t, os.Symlink("d", filepath.Join(dir, "x.npy")))
		}},
		{"empty file", `d/x.npy: begins with "", want "\x93NUMPY": not a .npy file`, func(t *testing.T, dir string) {
			must(t, os.Mkdir(filepath.Join(dir, "d"), 0o777))
			must(t, os.WriteFile(filepath.Join(dir, "d", "x.npy"), nil, 0o666))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "w")
			must(t, os.Mkdir(dir, 0o777))
			test.make(t, dir)
			if _, err := OpenDir(dir, Options{}); err == nil || err.Error() != test.err {
				t.Errorf("error %v, want %s", err, test.err)
			}
		})
	}
}

// A file that is not the one whose header was read is an error when it is opened.
func TestChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.npy")
	for _, test := range []struct {
		want   string
		change func(then time.Time)
	}{
		{"has 131 bytes, want the 130 it had when its header was read", func(time.Time) { put(t, path, 1, 2, 3) }},
		{"has changed since its header was read", func(then time.Time) { // written over
			put(t, path, 3, 4)
			must(t, os.Chtimes(path, time.Time{}, then.Add(time.Second)))
		}},
		{"has changed since its header was read", func(then time.Time) { // another in its place
			must(t, os.Rename(path, path+".old"))
			put(t, path, 5, 6)
			must(t, os.Chtimes(path, time.Time{}, then))
		}},
	} {
		put(t, path, 1, 2)
		info, err := os.Stat(path)
		must(t, err)
		set, err := OpenDir(filepath.Dir(path), Options{})
		must(t, err)
		test.change(info.ModTime())
		if _, err := set.Tensors[0].Open(); err == nil || err.Error() != path+" "+test.want {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
}

// Files are listed with a few descriptors, however many they are.
func TestManyFiles(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("counts descriptors in /proc")
	}
	const many = 3000
	dir := t.TempDir()
	for i := range many {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.npy", i)), file(1, "{'descr':'|i1','fortran_order':False,'shape':()}", 1), 0o666))
	}
	set, err := OpenDir(dir, Options{})
	must(t, err)
	open, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	if len(set.Tensors) != many || len(open) > 50 {
		t.Errorf("%d tensors, %d descriptors", len(set.Tensors), len(open))
	}
}

// Tensors written from several goroutines, in pieces out of order, are read again.
func TestCreateDir(t *testing.T) {
	specs := []tensor.Spec{
		{Key: "b.weight", Type: tensor.F32, Shape: []int{16, 64}},
		{Key: "a", Type: tensor.BF16, Shape: []int{}},
		{Key: "empty", Type: tensor.F64, Shape: []int{0, 3}},
		{Key: "n", Type: tensor.I64, Shape: []int{5}},
		{Key: "long.header", Type: tensor.U8, Shape: slices.Repeat([]int{1}, 40)},
	}
	dir := t.TempDir()
	w, err := CreateDir(dir, specs, disk.Create)
	must(t, err)
	content := func(i int) []byte {
		b := make([]byte, specs[i].Bytes())
		for j := range b {
			b[j] = byte(j*31 + i)
		}
		return b
	}
	var group sync.WaitGroup
	for i := range specs {
		group.Go(func() { writeShuffled(t, w, i, content(i)) })
	}
	group.Wait()
	must(t, w.Close())
	set, err := OpenDir(dir, Options{BFloat16: true})
	must(t, err)
	if got, want := keys(set), []string{"a", "b.weight", "empty", "long.header", "n"}; !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
	for _, n := range set.Tensors {
		i := slices.IndexFunc(specs, func(s tensor.Spec) bool { return s.Key == n.Key })
		b, err := n.ReadAll()
		if err != nil || !bytes.Equal(b, content(i)) || n.Type != specs[i].Type || !slices.Equal(n.Shape, specs[i].Shape) {
			t.Errorf("%+v: other than was written, %v", n.Spec(), err)
		}
	}
}

// writeShuffled writes the pieces of a tensor last to first, each from its own goroutine.
func writeShuffled(t *testing.T, w tensor.Writer, i int, b []byte) {
	const piece = 100
	var group sync.WaitGroup
	for off := len(b) / piece * piece; off >= 0; off -= piece {
		group.Go(func() {
			if err := w.WriteAt(i, b[off:min(off+piece, len(b))], int64(off)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if err := w.Done(i, 0); err != nil {
		t.Error(err)
	}
}

func TestCreateDirRefused(t *testing.T) {
	for _, test := range []struct{ key, err string }{
		{"", "an empty key cannot be a file name"},
		{".x", `key ".x" cannot be a file name: it begins with a dot`},
		{"..", `key ".." cannot be a file name: it begins with a dot`},
		{"a/b", `key "a/b" cannot be a file name`},
		{`a\b`, `key "a\\b" cannot be a file name`},
		{"a\x00", `key "a\x00" cannot be a file name`},
		{strings.Repeat("x", 252), "key " + strings.Repeat("x", 252) + " cannot be a file name: 256 bytes with .npy, want at most 255"},
		{"same", "same: two tensors have this key"},
	} {
		specs := []tensor.Spec{{Key: "same", Type: tensor.F32}, {Key: test.key, Type: tensor.F32}}
		if _, err := CreateDir(t.TempDir(), specs, disk.Create); err == nil || err.Error() != test.err {
			t.Errorf("error %v, want %s", err, test.err)
		}
	}
	for _, test := range []struct {
		spec tensor.Spec
		err  string
	}{
		{tensor.Spec{Key: "k", Type: tensor.F8E5M2}, "k: element type float8_e5m2 cannot be saved as .npy: numpy has none like it"},
		{tensor.Spec{Key: "k", Type: tensor.F32, Shape: []int{-1}}, "k: shape [-1] has a negative dimension"},
	} {
		if _, err := CreateDir(t.TempDir(), []tensor.Spec{test.spec}, disk.Create); err == nil || err.Error() != test.err {
			t.Errorf("error %v, want %s", err, test.err)
		}
	}
}

// Misuse of the writer is an error, never a file with a hole.
func TestCreateDirMisused(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "there.npy"))
	w, err := CreateDir(dir, []tensor.Spec{
		{Key: "there", Type: tensor.I8, Shape: []int{4}},
		{Key: "k", Type: tensor.I8, Shape: []int{4}},
	}, disk.Create)
	must(t, err)
	if err := w.WriteAt(0, []byte{1}, 0); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file that is there: %v", err)
	}
	for _, test := range []struct {
		err string
		do  func() error
	}{
		{"k: write of 5 bytes at 0, want them within its 4", func() error { return w.WriteAt(1, make([]byte, 5), 0) }},
		{"k: write of 1 bytes at -1, want them within its 4", func() error { return w.WriteAt(1, make([]byte, 1), -1) }},
		{"k: 0 bytes were written, want 4", func() error { return w.Done(1, 0) }},
		{"there: not written to its end", w.Close},
	} {
		if err := test.do(); err == nil || err.Error() != test.err {
			t.Errorf("error %v, want %s", err, test.err)
		}
	}
	if err := w.WriteAt(1, []byte{1}, 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A tensor without elements, of which nothing is ever written, has its file.
func TestCreateDirEmpty(t *testing.T) {
	dir := t.TempDir()
	w, err := CreateDir(dir, []tensor.Spec{{Key: "k", Type: tensor.I8, Shape: []int{3, 0}}}, disk.Create)
	must(t, err)
	must(t, errors.Join(w.Done(0, 0), w.Close()))
	set, err := OpenDir(dir, Options{})
	must(t, err)
	defer set.Close()
	if len(set.Tensors) != 1 || !slices.Equal(set.Tensors[0].Shape, []int{3, 0}) {
		t.Errorf("%+v, want k of shape [3 0]", set.Tensors)
	}
}

// More tensors than a file may have are an error before one of them is looked at.
func TestTooMany(t *testing.T) {
	const n, want = 1<<18 + 1, "262145 tensors and more, want at most 262144"
	if _, err := (folder{}).lookAt(make([]entry, n), Options{}); err == nil || err.Error() != want {
		t.Errorf("a directory: %v, want %s", err, want)
	}
	path := filepath.Join(t.TempDir(), "x.npz")
	f, err := os.Create(path)
	must(t, err)
	z := zip.NewWriter(f)
	for k := range n {
		_, err := z.CreateHeader(&zip.FileHeader{Name: strconv.Itoa(k) + Ext})
		must(t, err)
	}
	must(t, errors.Join(z.Close(), f.Close()))
	if _, err := OpenZip(path, Options{}); err == nil || err.Error() != want {
		t.Errorf("an .npz: %v, want %s", err, want)
	}
}
