package golden

import (
	"encoding/json"
	"path/filepath"
	"testing"
)

// Graphs is what repfuse exporter wrote of each traced network of testdata/graphs, by the network's name.
func Graphs(t testing.TB) map[string]json.RawMessage {
	t.Helper()
	text, err := unzip(filepath.Join(folder(t), "..", "graphs", "graphs.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}
