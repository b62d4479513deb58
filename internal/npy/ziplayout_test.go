package npy

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repfuse/internal/tensor"
)

// archiveOf is an archive of stored members.
func archiveOf(t testing.TB, members ...[2]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		n := uint64(len(m[1]))
		w, err := z.CreateRaw(&zip.FileHeader{Name: m[0], CRC32: crc32.ChecksumIEEE([]byte(m[1])), CompressedSize64: n, UncompressedSize64: n})
		if err == nil {
			_, err = w.Write([]byte(m[1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Members that share bytes, or are called one thing here and another there, are refused, and what
// would inflate to far more than the file has.
func TestZipLayout(t *testing.T) {
	array := func(n int) string {
		b, err := AppendHeader(nil, tensor.U8, []int{n})
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + strings.Repeat("\x00", n)
	}
	inner := archiveOf(t, [2]string{"b.npy", array(8)})
	inner = inner[:bytes.Index(inner, []byte("PK\x01\x02"))]
	outer := array(len(inner))
	outer = outer[:len(outer)-len(inner)] + string(inner)
	shared := archiveOf(t, [2]string{"a.npy", outer}, [2]string{"b.npy", array(8)})
	at := bytes.LastIndex(shared, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(shared[at+42:], uint32(bytes.Index(shared, inner)))
	renamed := archiveOf(t, [2]string{"abc.npy", array(8)})
	copy(renamed[30:], "x")
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	w, err := z.Create("a.npy")
	if err == nil {
		_, err = w.Write([]byte(array(40 << 20)))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for want, b := range map[string][]byte{
		"":                                archiveOf(t, [2]string{"a.npy", array(8)}, [2]string{"b.npy", array(0)}),
		"b.npy: shares bytes with a.npy":  shared,
		"abc.npy: has another name":       renamed,
		"tensors of 4.194e+07 bytes in a": packed.Bytes(),
	} {
		path := filepath.Join(t.TempDir(), "m.npz")
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := OpenZip(path, Options{})
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if s != nil {
			s.Close()
		}
	}
}
