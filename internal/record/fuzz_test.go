package record

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"repfuse/internal/tensor"
)

// Whatever a record holds, reading it ends soon and without a panic, and what is read can be
// asked and written.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"version": 1, "repfuse": "0", "source": "npy", "plan": {"blocks": [{"module": ".", "family": "repvgg",
		"make": [{"key": "a.weight", "expression": "conv(a.conv) > bn(a.bn, eps 1e-05) + x"}]}], "drop": [{"keys": "**.n", "why": "no"}]}, "crc32": {"a.weight": "00000000"}}`))
	f.Add([]byte(`{"version": 1, "plan": {"prefix": "module.", "blocks": []}, "notes": ["a"], "already": ["b"], "crc32": {}}`))
	out := filepath.Join(f.TempDir(), "out")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(Path(out), text, 0o666); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		r, err := Read(out)
		if err != nil {
			return
		}
		r.Fused(t.Context(), []tensor.Named{{Key: "a.weight"}})
		if _, err := r.Bytes(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
