package npy

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"repfuse/internal/disk"
	"repfuse/internal/hint"
	"repfuse/internal/tensor"
)

func TestOpenZip(t *testing.T) {
	for _, name := range []string{"stored.npz", "deflated.npz"} {
		set, err := OpenZip(filepath.Join("testdata", name), Options{})
		must(t, err)
		defer set.Close()
		if len(set.Tensors) != 15 {
			t.Errorf("%s: keys %q, want 15", name, keys(set))
		}
		for _, n := range set.Tensors {
			for range 2 {
				b, err := n.ReadAll()
				if want := counting(n.Type, n.Len()); err != nil || !bytes.Equal(b, want) {
					t.Errorf("%s: %s: % x, %v, want % x", name, n.Key, b, err, want)
				}
			}
		}
	}
}

// A deflated array is inflated once, however many have it open, into a file that is nowhere to be seen.
func TestInflatedOnce(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	path := filepath.Join(t.TempDir(), "x.npz")
	b, err := os.ReadFile("testdata/deflated.npz")
	must(t, err)
	must(t, os.WriteFile(path, b, 0o666))
	set, err := OpenZip(path, Options{})
	must(t, err)
	defer set.Close()
	var first [][]byte
	for _, m := range set.Tensors {
		b, err := m.ReadAll()
		must(t, err)
		first = append(first, b)
	}
	must(t, os.WriteFile(path, make([]byte, len(b)), 0o666)) // nobody reads it again
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for k, m := range set.Tensors {
				if again, err := m.ReadAll(); err != nil || !bytes.Equal(again, first[k]) {
					t.Errorf("%s: % x, %v, want % x", m.Key, again, err, first[k])
				}
			}
		})
	}
	all.Wait()
	if left, err := os.ReadDir(os.TempDir()); err != nil || runtime.GOOS != "windows" && len(left) > 0 {
		t.Errorf("%v, %v, want no file with a name", left, err)
	}
}

// Where there is no room, the hint names what says where.
func TestInflatedNowhere(t *testing.T) {
	for _, name := range []string{"TMPDIR", "TMP"} { // the second is Windows's
		t.Setenv(name, filepath.Join(t.TempDir(), "none"))
	}
	set, err := OpenZip("testdata/deflated.npz", Options{})
	must(t, err)
	defer set.Close()
	if _, err := set.Tensors[0].ReadAll(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(hint.Of(err), "TMPDIR") {
		t.Errorf("%v, hint %q, want one with TMPDIR", err, hint.Of(err))
	}
}

// zipSpecs are the row-major little-endian members of a .npz file, in its order.
func zipSpecs(t *testing.T, path string) ([]tensor.Spec, []tensor.Tensor) {
	r, err := zip.OpenReader(path)
	must(t, err)
	defer r.Close()
	set, err := OpenZip(path, Options{})
	must(t, err)
	t.Cleanup(func() { set.Close() })
	var specs []tensor.Spec
	var tensors []tensor.Tensor
	for _, z := range r.File {
		for _, n := range set.Tensors {
			if n.Key+Ext == z.Name {
				specs, tensors = append(specs, n.Spec()), append(tensors, n.Tensor)
			}
		}
	}
	return specs, tensors
}

func writeZip(t *testing.T, path string, specs []tensor.Spec, tensors []tensor.Tensor) {
	t.Helper()
	w, err := CreateZip(path, specs, disk.Create)
	must(t, err)
	var group sync.WaitGroup
	for i, from := range tensors {
		group.Go(func() {
			b, err := from.ReadAll()
			if err != nil {
				t.Error(err)
				return
			}
			for j := len(b); j > 0; j -= min(j, 7) {
				off := max(j-7, 0)
				if err := w.WriteAt(i, b[off:j], int64(off)); err != nil {
					t.Error(err)
				}
			}
			if err := w.Done(i, crc32.ChecksumIEEE(b)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	must(t, w.Close())
}

// What is written is what Python writes, to the byte.
func TestCreateZip(t *testing.T) {
	want, err := os.ReadFile("testdata/plain.npz")
	must(t, err)
	specs, tensors := zipSpecs(t, "testdata/plain.npz")
	path := filepath.Join(t.TempDir(), "x.npz")
	writeZip(t, path, specs, tensors)
	got, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("wrote\n%q, want\n%q", got, want)
	}
	if _, err := CreateZip(path, specs, disk.Create); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file that is there: %v", err)
	}
}

// edit is testdata's file with the bytes after the last place of mark replaced.
func edit(t *testing.T, name, mark string, skip int, by ...byte) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	must(t, err)
	i := bytes.LastIndex(b, []byte(mark))
	if i < 0 {
		t.Fatalf("%s has no %q", name, mark)
	}
	copy(b[i+skip:], by)
	return b
}

// made is a .npz file made by Go's zip writer of pairs of name and content.
func made(t *testing.T, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		f, err := w.Create(pairs[i])
		must(t, err)
		_, err = io.WriteString(f, pairs[i+1])
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func TestZipRefused(t *testing.T) {
	const central = "PK\x01\x02" // the last one is größe's
	const size, method, flags = 20, 10, 8
	large := binary.LittleEndian.AppendUint32(nil, 1<<30)
	one := string(file(1, "{'descr':'|i1','fortran_order':False,'shape':(1,)}", 1))
	for _, test := range []struct {
		name string
		file []byte
		err  string
	}{
		{"not a zip", []byte("hello"), "zip: not a valid zip file"},
		{"twice", made(t, "a.npy", one, "a.npy", one), "member a.npy twice"},
		{"truncated array", made(t, "a.npy", one[:len(one)-1]), "a.npy: 0 bytes after the header, want 1 for shape [1] of int8"},
		{"encrypted", edit(t, "stored.npz", central, flags, 1), "größe.npy: encrypted, want stored or deflated"},
		{"method", edit(t, "stored.npz", central, method, 12), "größe.npy: compressed by method 12, want stored (0) or deflated (8)"},
		{"two sizes", edit(t, "stored.npz", central, size, 5, 0, 0, 0), "größe.npy: stored in 5 bytes, want its size 132"},
		{"too large", edit(t, "stored.npz", central, size, append(large, large...)...), "größe.npy: 1073741824 bytes at 3171, want them within the file's 4166"},
		{"bomb", edit(t, "deflated.npz", central, size+4, large...), "größe.npy: 1073741824 bytes deflated to 69, want at least one for 1032"},
		{"most that can be", edit(t, "deflated.npz", central, size+4, binary.LittleEndian.AppendUint32(nil, 70*maxRatio-1)...), "größe.npy: inflating its header: unexpected EOF"},
		{"one more", edit(t, "deflated.npz", central, size+4, binary.LittleEndian.AppendUint32(nil, 70*maxRatio)...), "größe.npy: 72240 bytes deflated to 69, want at least one for 1032"},
		{"lying", edit(t, "deflated.npz", central, size+4, 133, 0, 0, 0), "größe.npy: inflating its header: unexpected EOF"},
	} {
		path := filepath.Join(t.TempDir(), "x.npz")
		must(t, os.WriteFile(path, test.file, 0o666))
		if _, err := OpenZip(path, Options{}); err == nil || err.Error() != test.err {
			t.Errorf("%s: %v, want %s", test.name, err, test.err)
		}
	}
}

// What the directory says of an array is held against the array when it is opened.
func TestZipDamaged(t *testing.T) {
	const central, crc = "PK\x01\x02", 16
	for _, test := range []struct {
		name string
		file []byte
		err  string
	}{
		{"stored", edit(t, "stored.npz", central, crc, 1, 2, 3, 4), "größe.npy: CRC-32 207ae956, want 04030201: the file is damaged"},
		{"deflated", edit(t, "deflated.npz", central, crc, 1, 2, 3, 4), "größe.npy: zip: checksum error"},
	} {
		path := filepath.Join(t.TempDir(), "x.npz")
		must(t, os.WriteFile(path, test.file, 0o666))
		set, err := OpenZip(path, Options{})
		must(t, err)
		defer set.Close()
		for _, n := range set.Tensors {
			_, err := n.ReadAll()
			if n.Key != "größe" && err != nil || n.Key == "größe" && (err == nil || err.Error() != test.err) {
				t.Errorf("%s: %s: %v, want %s", test.name, n.Key, err, test.err)
			}
		}
	}
}

func TestZipOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.npz")
	one := string(file(1, "{'descr':'|i1','fortran_order':False,'shape':(1,)}", 1))
	must(t, os.WriteFile(path, made(t, "w/", "", "w/a.npy", one, "modules.json", "{}"), 0o666))
	set, err := OpenZip(path, Options{})
	must(t, err)
	defer set.Close()
	if fmt.Sprint(keys(set), set.Others) != "[w/a] [modules.json]" {
		t.Errorf("keys %q, others %q", keys(set), set.Others)
	}
}

func TestCreateZipRefused(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("no two tensors have more bytes than an int64 counts")
	}
	large := tensor.Spec{Key: "l", Type: tensor.I8, Shape: []int{math.MaxInt / 3 * 2}}
	for _, test := range []struct {
		specs []tensor.Spec
		err   string
	}{
		{[]tensor.Spec{{Key: "a", Type: tensor.F32}, {Key: "a", Type: tensor.F32}}, "a: two tensors have this key"},
		{[]tensor.Spec{{Key: "", Type: tensor.F32}}, `key "" cannot be the name of a member`},
		{[]tensor.Spec{{Key: "\xff", Type: tensor.F32}}, `key "\xff" cannot be the name of a member`},
		{[]tensor.Spec{{Key: "a\x00", Type: tensor.F32}}, `key "a\x00" cannot be the name of a member`},
		{[]tensor.Spec{{Key: strings.Repeat("x", 65532), Type: tensor.F32}}, "key of 65532 bytes cannot be the name of a member, want at most 65531"},
		{[]tensor.Spec{large, {Key: "m", Type: large.Type, Shape: large.Shape}}, "m: the file would have more bytes than an int64 counts"},
		{[]tensor.Spec{{Key: "a", Type: tensor.F8E4M3}}, "a: element type float8_e4m3 cannot be saved as .npy: numpy has none like it"},
	} {
		if _, err := CreateZip(filepath.Join(t.TempDir(), "x.npz"), test.specs, disk.Create); err == nil || err.Error() != test.err {
			t.Errorf("error %v, want %s", err, test.err)
		}
	}
}

func TestCreateZipMisused(t *testing.T) {
	w, err := CreateZip(filepath.Join(t.TempDir(), "x.npz"), []tensor.Spec{{Key: "k", Type: tensor.I8, Shape: []int{4}}}, disk.Create)
	must(t, err)
	for _, test := range []struct {
		err string
		do  func() error
	}{
		{"k: write of 5 bytes at 0, want them within its 4", func() error { return w.WriteAt(0, make([]byte, 5), 0) }},
		{"k: 0 bytes were written, want 4", func() error { return w.Done(0, 0) }},
		{"", func() error { return w.WriteAt(0, make([]byte, 4), 0) }},
		{"", func() error { return w.Done(0, 0) }},
		{"k: file already closed", func() error { return w.WriteAt(0, nil, 0) }},
		{"k: file already closed", func() error { return w.Done(0, 0) }},
		{"", w.Close},
	} {
		if err := test.do(); (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
			t.Errorf("error %v, want %q", err, test.err)
		}
	}
}
