package facts

import (
	"encoding/json"
	"testing"
)

// Whatever a modules.json holds, reading it does not panic, and what is read is read again.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"version": 1, "modules": {"": {"class": "Net"}, "a.bn": {"class": "BatchNorm2d", "eps": 0.001, "flags": {"a": [1, true]}}}}`))
	f.Add([]byte(`{"version": 1, "modules": {"a": {"class": "Conv2d", "kernel": [3, 3], "keyless": {"b": "ReLU"}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Read(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Read(again); err != nil {
			t.Errorf("%s: %v", again, err)
		}
	})
}
