package npy

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"repfuse/internal/tensor"
)

// Whatever the bytes of a .npz are, opening it and reading all of it ends soon, without a panic
// and with no more than tensor.Weigh allows.
func FuzzOpenZip(f *testing.F) {
	header, err := AppendHeader(nil, tensor.F32, []int{2})
	if err != nil {
		f.Fatal(err)
	}
	array := string(header) + "12345678"
	f.Add([]byte("PK\x05\x06"))
	f.Add(archiveOf(f, [2]string{"a.npy", array}, [2]string{"b/c.npy", array}))
	path := filepath.Join(f.TempDir(), "m.npz")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		s, err := OpenZip(path, Options{})
		if err != nil {
			return
		}
		defer s.Close()
		n := 0
		for _, a := range s.Tensors {
			elements, err := a.ReadAll()
			if n += len(elements); err == nil && int64(len(elements)) != a.Bytes() {
				t.Errorf("%s: %d bytes, want %d", a.Key, len(elements), a.Bytes())
			}
		}
		if took := time.Since(begun); n > 64*len(b)+32<<20 || took > 10*time.Second {
			t.Errorf("%d bytes of %d in %v", n, len(b), took)
		}
	})
}
