package zipfile

import (
	"archive/zip"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"repfuse/internal/tensor"
)

// What needs numbers of 64 bits, and what does not yet, is read again: more members than 16 bits
// count, and sizes and places around those that 32 bits do. The files have holes.
func TestZip64(t *testing.T) {
	if runtime.GOOS == "windows" || math.MaxInt == math.MaxInt32 {
		t.Skip("a file with a hole takes its whole size, or an int cannot count it")
	}
	cases := [][]int{{5 << 30, 3}, make([]int, math.MaxUint16), make([]int, math.MaxUint16+1)}
	for _, edge := range []int{math.MaxInt32, math.MaxUint32} {
		for d := -80; d < 2; d++ { // headers of some 60 bytes lie between
			cases = append(cases, []int{edge + d, 0, 3})
		}
	}
	for name, style := range map[string]Style{"numpy": NumPy, "torch": Torch} {
		for _, sizes := range cases {
			if err := written(t, style, sizes); err != nil {
				t.Errorf("%s, %d members, the first of %d bytes: %v", name, len(sizes), sizes[0], err)
			}
		}
	}
}

// An archive of which an int64 could not count the bytes, with its headers, is an error.
func TestTooLarge(t *testing.T) {
	for name, style := range map[string]Style{"numpy": NumPy, "torch": Torch} {
		most := []tensor.Spec{{Key: "k", Type: tensor.U8, Shape: []int{math.MaxInt - 10}}}
		if _, err := style.layout([]Member{{Name: "k"}}, most); math.MaxInt == math.MaxInt64 && err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// written writes an archive of members, the last with bytes in it, and reads it.
func written(t *testing.T, style Style, sizes []int) error {
	var specs []tensor.Spec
	var members []Member
	for i, n := range sizes {
		specs = append(specs, tensor.Spec{Key: fmt.Sprint(i), Type: tensor.U8, Shape: []int{n}})
		members = append(members, Member{Name: fmt.Sprint("m/", i), Head: []byte("head"), Tensor: i})
	}
	last := len(sizes) - 1
	content := []byte("xyz")[:sizes[last]]
	a, err := style.layout(members, specs)
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "x.zip"))
	if err != nil {
		return err
	}
	defer f.Close()
	crcs := make([]uint32, len(sizes))
	crcs[last] = crc32.ChecksumIEEE(content)
	if _, err := f.WriteAt(content, a.members[last].data+4); err != nil {
		return err
	}
	if err := a.write(f, specs, crcs); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		return err
	}
	for i, m := range z.File {
		if at, err := m.DataOffset(); err != nil || at != a.members[i].data || m.UncompressedSize64 != uint64(sizes[i]+4) || style.align > 0 && at%style.align != 0 {
			return fmt.Errorf("%s has %d bytes at %d, %v, want %d at %d", m.Name, m.UncompressedSize64, at, err, sizes[i]+4, a.members[i].data)
		}
	}
	if len(z.File) != len(sizes) {
		return fmt.Errorf("%d members", len(z.File))
	}
	r, err := z.File[last].Open()
	if err != nil {
		return err
	}
	got, err := io.ReadAll(r) // which looks at the CRC
	if err == nil && string(got) != "head"+string(content) {
		err = fmt.Errorf("the last holds %q", got)
	}
	return err
}
