package golden

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Graphs is what repfuse exporter wrote of each traced network of testdata/graphs, by the network's name.
func Graphs(t testing.TB) map[string]json.RawMessage {
	t.Helper()
	f, err := os.Open(filepath.Join(folder(t), "..", "graphs", "graphs.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}
