//go:build linux

package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repfuse/internal/npy"
	"repfuse/internal/tensor"
)

// These tests make files piece by piece: the system counts what this process ever held to what
// it starts.

type content struct {
	name   string
	reader io.Reader
}

// archive writes a zip archive.
func archive(t *testing.T, path string, method uint16, members ...content) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	for _, m := range members {
		w, err := z.CreateHeader(&zip.FileHeader{Name: m.name, Method: method})
		if err == nil {
			_, err = io.Copy(w, m.reader)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// zeros is a .npy file of n bytes of zeros.
func zeros(t *testing.T, n int) io.Reader {
	t.Helper()
	b, err := npy.AppendHeader(nil, tensor.U8, []int{n})
	if err != nil {
		t.Fatal(err)
	}
	return io.MultiReader(bytes.NewReader(b), io.LimitReader(zeroReader{}, int64(n)))
}

// pickledState writes a .pth with a pickle, and a storage of four float32.
func pickledState(t *testing.T, path, pickle string) {
	archive(t, path, zip.Store, content{"m/data.pkl", strings.NewReader(pickle)}, content{"m/data/0", strings.NewReader(strings.Repeat("\x00", 16))})
}

// viewed is a pickle of one tensor of that storage, with the offset, shape and strides that a pickle writes.
func viewed(view string) string {
	text := func(s string) string { return "X" + string([]byte{byte(len(s)), 0, 0, 0}) + s }
	storage := "(" + text("storage") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + "K\x04tQ"
	return "\x80\x02}" + text("w") + "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + view + "\x89NtRs."
}

// manyTensors writes a .safetensors of n tensors of one byte.
func manyTensors(t *testing.T, path string, n int) {
	head := func(w io.Writer) {
		io.WriteString(w, "{")
		for k := range n {
			fmt.Fprintf(w, `"k%d":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]},`, k, k, k+1)
		}
		io.WriteString(w, `"__metadata__":{}}`)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var length counter
	head(&length)
	w := bufio.NewWriter(f)
	binary.Write(w, binary.LittleEndian, uint64(length))
	head(w)
	io.CopyN(w, zeroReader{}, int64(n))
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

type counter uint64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

// edit changes a file.
func edit(t *testing.T, path string, change func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, change(b))
}

// Small files that ask for much are refused, or cost as little as they weigh.
func TestHostileFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute")
	}
	items := strings.Repeat("N", 30000)
	for _, test := range []struct {
		name string
		make func(path string)
		want string // "" where it may be read, or be an error of any kind
	}{
		{"copies.pth", func(p string) {
			pickledState(t, p, "("+items+"tq\x000cm\nC\nq\x010("+strings.Repeat("h\x01h\x00}\x92", 220_000)+"t.")
		}, "again and again"},
		{"lists.pth", func(p string) {
			pickledState(t, p, "]("+items+"e\x85q\x000cbuiltins\nlist\nq\x010("+strings.Repeat("h\x01h\x00R", 700_000)+"t.")
		}, "again and again"},
		{"doubled.pth", func(p string) { pickledState(t, p, "N"+strings.Repeat("2\x86", 1_000_000)+".") }, ""},
		{"nested.pth", func(p string) { pickledState(t, p, strings.Repeat("]", 1_000_000)+strings.Repeat("a", 999_999)+".") }, ""},
		{"stride.pth", func(p string) { pickledState(t, p, viewed("K\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x85K\x00\x85")) }, "want at most"},
		{"strides.pth", func(p string) { pickledState(t, p, viewed("K\x00J\x00\x00\x00\x10\x85K\x00\x85")) }, "want at most"},
		{"bomb.npz", func(p string) { archive(t, p, zip.Deflate, content{"w.npy", zeros(t, 64<<20)}) }, "want at most"},
		{"bombs.npz", func(p string) {
			var many []content
			for k := range 40 {
				many = append(many, content{fmt.Sprintf("k%d.npy", k), zeros(t, 4<<20)})
			}
			archive(t, p, zip.Deflate, many...)
		}, "want at most"},
		{"almost.npz", func(p string) { archive(t, p, zip.Deflate, content{"w.npy", zeros(t, 32<<20)}) }, ""},
		{"renamed.npz", func(p string) {
			archive(t, p, zip.Store, content{"abc.npy", zeros(t, 4)})
			edit(t, p, func(b []byte) []byte { copy(b[30:], "x"); return b })
		}, "another name"},
		{"shared.npz", func(p string) { // the second member lies in the first
			archive(t, p, zip.Store, content{"b.npy", zeros(t, 4)})
			inner, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			archive(t, p, zip.Store, content{"a.npy", io.MultiReader(io.LimitReader(zeros(t, len(inner)), 128), bytes.NewReader(inner))}, content{"b.npy", zeros(t, 4)})
			edit(t, p, func(b []byte) []byte {
				binary.LittleEndian.PutUint32(b[bytes.LastIndex(b, []byte("PK\x01\x02"))+42:], uint32(bytes.Index(b, inner[:35])))
				return b
			})
		}, "shares bytes"},
		{"million.safetensors", func(p string) { manyTensors(t, p, 1_000_000) }, "want at most 262144"},
		{"many.safetensors", func(p string) { manyTensors(t, p, 50_000) }, ""},
	} {
		dir := t.TempDir()
		test.make(filepath.Join(dir, test.name))
		for _, args := range []string{"inspect SRC", "plan SRC", "convert SRC out.safetensors", "fuse SRC out.npz", "verify SRC SRC"} {
			list := strings.Fields(strings.ReplaceAll(args, "SRC", test.name))
			if test.want != "" {
				refused(t, dir, test.want, list...)
			} else {
				bounded(t, dir, list...)
			}
		}
	}
}
