package pt2

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/graph"
	"repfuse/internal/regions"
	"repfuse/internal/trace"
)

// What PyTorch itself reads of testdata/net.pt2, and what its code says is one layer.
func TestOpen(t *testing.T) {
	f, err := Open("testdata/net.pt2")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var keys []string
	for _, s := range f.Tensors {
		keys = append(keys, s.Key)
	}
	if want := strings.Fields("a.weight bn.weight bn.bias b.weight b.bias out.weight out.bias n1.weight n1.bias" +
		" bn.running_mean bn.running_var bn.num_batches_tracked n1.running_mean n1.running_var n1.num_batches_tracked"); !slices.Equal(sorted(keys), sorted(want)) {
		t.Errorf("keys %q, want %q", keys, want)
	}
	at := slices.Index(keys, "a.weight")
	values, err := f.Tensors[at].Floats()
	if want := []float32{0.121448703, -0.10403385, -0.0456935912}; err != nil || float32(values[0]) != want[0] || float32(values[1]) != want[1] || float32(values[2]) != want[2] {
		t.Errorf("a.weight begins with %v (%v), want %v", values[:3], err, want)
	}
	n, err := trace.Read(f.Graph, f.Tensors)
	if err != nil {
		t.Fatal(err)
	}
	found, err := regions.Blocks(*n, f.Tensors, graph.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range found.Blocks {
		got = append(got, family.Format(b.Outputs[0].Expr, ""))
	}
	// between b and out stands a mean, and the gain is in no state dict
	if want := []string{"conv(a, unbiased, stride 1x1, padding 1x1) > bn(bn, eps 0.001)", "conv(out) > bn(n1, eps 1e-05)"}; !slices.Equal(got, want) {
		t.Errorf("layers %q, want %q", got, want)
	}
	if n.Nodes[0].Module != "a" || n.Nodes[0].Class != "Conv2d" {
		t.Errorf("the first operator is run by %s %s, want a Conv2d", n.Nodes[0].Module, n.Nodes[0].Class)
	}
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// entries is the archive of testdata with one entry changed, nil removed.
func entries(t testing.TB, name string, change func([]byte) []byte, method uint16) []byte {
	t.Helper()
	z, err := zip.OpenReader("testdata/net.pt2")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if _, err := text.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		out, how := text.Bytes(), zip.Store
		if f.Name == name {
			out, how = change(out), method
		}
		if out == nil {
			continue
		}
		e, err := w.CreateHeader(&zip.FileHeader{Name: f.Name, Method: how})
		if err != nil {
			t.Fatal(err)
		}
		e.Write(out)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRefused(t *testing.T) {
	replace := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(old), []byte(new)) }
	}
	same := func(b []byte) []byte { return b }
	for _, row := range []struct {
		name   string
		change func([]byte) []byte
		method uint16
		want   string
	}{
		{program, replace(`"major": 8`, `"major": 9`), zip.Store, "schema 9.2, want 8"},
		{program, replace(`"conv2d":`, `"other":`), zip.Store, "(torch.ops.aten.conv2d.default): conv2d is no tensor of the graph"},
		{program, func(b []byte) []byte { return b[:len(b)/2] }, zip.Store, "unexpected end"},
		{program, func([]byte) []byte { return nil }, zip.Store, "no archive of torch.export"},
		{weights, func([]byte) []byte { return nil }, zip.Store, "no " + weights},
		{weights, same, zip.Deflate, "is compressed"},
	} {
		path := filepath.Join(t.TempDir(), "m.pt2")
		if err := os.WriteFile(path, entries(t, row.name, row.change, row.method), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
	var later bytes.Buffer
	w := zip.NewWriter(&later)
	if _, err := w.Create("net/models/model.json"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	path := filepath.Join(t.TempDir(), "m.pt2")
	if err := os.WriteFile(path, later.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "PyTorch 2.8") {
		t.Errorf("%v, want an error that names PyTorch 2.8", err)
	}
}

// FuzzGraph: no text makes it panic, nor what it makes of it package trace.
func FuzzGraph(f *testing.F) {
	entries(f, program, func(b []byte) []byte { f.Add(b); return b }, zip.Store)
	f.Fuzz(func(t *testing.T, text []byte) {
		if made, err := textOf(text); err == nil {
			trace.Read(made, nil)
		}
	})
}
