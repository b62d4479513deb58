package pt2

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/graph"
	"repfuse/internal/pth"
	"repfuse/internal/regions"
	"repfuse/internal/tensor"
	"repfuse/internal/trace"
)

// What PyTorch itself reads of the archives in testdata, and what the network's code says is one
// layer. No archive that PyTorch 2.8 wrote was at hand: later.pt2 is in its layout, with the
// graph and the storages of 2.6; see make.py.
func TestOpen(t *testing.T) {
	for name, values := range map[string]map[string][]float32{
		"testdata/net.pt2": {"a.weight": {-0.0869277045, 0.211742699, 0.118247002}},
		// elements in another order than the axes, and the second tensor of a storage
		"testdata/later.pt2": {"a.weight": {-0.0869277045, 0.211742699, 0.118247002}, "out.bias": {0, 1, 2, 3}, "n1.bias": {4, 5, 6, 7}},
		bigEndian(t):         {"out.bias": {0, 1, 2, 3}, "n1.bias": {4, 5, 6, 7}},
		saved(t):             {"a.weight": {-0.0869277045, 0.211742699, 0.118247002}},
	} {
		f, err := Open(name)
		if err != nil {
			t.Error(err)
			continue
		}
		defer f.Close()
		testTensors(t, f.Tensors, values)
		testLayers(t, f)
	}
}

func testTensors(t *testing.T, tensors []tensor.Named, values map[string][]float32) {
	t.Helper()
	var keys []string
	for _, s := range tensors {
		keys = append(keys, s.Key)
		want, ok := values[s.Key]
		if !ok {
			continue
		}
		got, err := s.Floats()
		for k, x := range want {
			if err != nil || float32(got[k]) != x {
				t.Errorf("%s begins with %v (%v), want %v", s.Key, got[:len(want)], err, want)
				break
			}
		}
	}
	// the order of the state dict
	if want := strings.Fields("a.weight bn.weight bn.bias b.weight b.bias out.weight out.bias n1.weight n1.bias" +
		" bn.running_mean bn.running_var bn.num_batches_tracked n1.running_mean n1.running_var n1.num_batches_tracked"); !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
}

func testLayers(t *testing.T, f *File) {
	t.Helper()
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

// rewritten is a file with an archive of testdata, of which change makes each entry anew, nil
// for none, under the name and by the method that it returns.
func rewritten(t testing.TB, archive string, change func(name string, b []byte) (string, []byte, uint16)) string {
	t.Helper()
	z, err := zip.OpenReader(archive)
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
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name, text, method := change(f.Name, text)
		if text == nil {
			continue
		}
		e, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		e.Write(text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.pt2")
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// saved is net.pt2 in the first layout of PyTorch 2.8, which has the state dict in one file.
func saved(t *testing.T) string {
	return rewritten(t, "testdata/net.pt2", func(name string, b []byte) (string, []byte, uint16) {
		switch name {
		case program:
			return "net/" + models + "model.json", b, zip.Store
		case weights:
			return "net/" + payloads + "model.pt", b, zip.Store
		case "version":
			return "net/" + form, []byte("pt2"), zip.Store
		}
		return name, nil, zip.Store
	})
}

// bigEndian is later.pt2 with the biases of out and n1 as a big-endian machine writes them.
func bigEndian(t *testing.T) string {
	return rewritten(t, "testdata/later.pt2", func(name string, b []byte) (string, []byte, uint16) {
		switch name {
		case "later/byteorder":
			return name, []byte("big"), zip.Store
		case "later/data/weights/weight_6":
			for k := 0; k < len(b); k += 4 {
				slices.Reverse(b[k : k+4])
			}
		}
		return name, b, zip.Store
	})
}

func TestRefused(t *testing.T) {
	replace := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(old), []byte(new)) }
	}
	same := func(b []byte) []byte { return b }
	gone := func([]byte) []byte { return nil }
	const early, later, list, graph = "testdata/net.pt2", "testdata/later.pt2", "later/data/weights/model_weights_config.json", "later/models/model.json"
	for _, row := range []struct {
		archive, name string
		change        func([]byte) []byte
		method        uint16
		want          string
	}{
		{early, program, replace(`"major": 8`, `"major": 9`), zip.Store, "schema 9.2, want 8"},
		{early, program, replace(`"conv2d":`, `"other":`), zip.Store, "(torch.ops.aten.conv2d.default): conv2d is no tensor of the graph"},
		{early, program, func(b []byte) []byte { return b[:len(b)/2] }, zip.Store, "unexpected end"},
		{early, program, gone, zip.Store, "no archive of torch.export: a zip archive without serialized_exported_program.json or archive_format"},
		{early, weights, gone, zip.Store, "record " + weights + " is missing"},
		{early, weights, same, zip.Deflate, "is compressed"},
		{later, graph, replace(`"major": 8`, `"major": 9`), zip.Store, "schema 9.17, want 8"},
		{later, graph, same, zip.Deflate, "models/model.json is compressed"},
		{early, program, same, zip.Deflate, "serialized_exported_program.json is compressed"},
		{later, graph, gone, zip.Store, "no graph in models/"},
		{later, "later/data/constants/tensor_0", nil, zip.Store, "2 models, other, model, want an archive of one"},
		{later, "later/archive_version", replace("0", "1"), zip.Store, `archive version "1", want 0`},
		{later, "later/byteorder", replace("little", "middle"), zip.Store, `byteorder "middle"`},
		{later, list, gone, zip.Store, "record data/weights/model_weights_config.json is missing"},
		{later, list, replace(`"config"`, `"others"`), zip.Store, "no list of tensors under config"},
		{later, list, replace(`"bn.weight"`, `"a.weight"`), zip.Store, `"a.weight" is there twice`},
		{later, list, replace(`"weight_3"`, `"weight_99"`), zip.Store, "b.weight: record data/weights/weight_99 is missing"},
		{later, list, replace(`"use_pickle": false`, `"use_pickle": true`), zip.Store, "a.weight: a pickled object"},
		{later, list, replace(`"dtype": 7`, `"dtype": 77`), zip.Store, "a.weight: element type 77 is not known"},
		{later, list, replace(`"layout": 7`, `"layout": 1`), zip.Store, "a.weight: layout 1, want 7"},
		{later, list, replace(`"storage_offset": {"as_int": 4}`, `"storage_offset": {"as_int": 5}`), zip.Store, "n1.bias: record data/weights/weight_6: shape [4] with strides [1] from 5 on reaches element 8 of a storage of 8"},
		{later, list, replace(`"strides": [{"as_int": 1}]`, `"strides": [{}]`), zip.Store, "bn.weight: an extent is unknown"},
		{later, list, replace(`[{"as_int": 3}, {"as_int": 2}, {"as_int": 3}, {"as_int": 3}], "requires_grad": true, "device": {"type": "cpu"}, "strides": [{"as_int": 18}, {"as_int": 1}, {"as_int": 6}, {"as_int": 2}]`,
			`[{"as_int": 1000000000000}], "requires_grad": true, "device": {"type": "cpu"}, "strides": [{"as_int": 0}]`), zip.Store, "tensors of 4e+12 bytes in a file of"},
		{later, "later/data/weights/weight_0", same, zip.Deflate, "a.weight: record data/weights/weight_0 is compressed"},
	} {
		path := rewritten(t, row.archive, func(name string, b []byte) (string, []byte, uint16) {
			switch {
			case name != row.name:
				return name, b, zip.Store
			case row.change == nil: // another model in its place
				return "later/models/other.json", b, zip.Store
			}
			return name, row.change(b), row.method
		})
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
}

// The graph and the list of weights may have 128 MiB, and no byte more.
func TestLongest(t *testing.T) {
	if testing.Short() {
		t.Skip("half a gigabyte is read")
	}
	for _, name := range []string{"later/models/model.json", "later/data/weights/model_weights_config.json"} {
		for _, n := range []int{maxText, maxText + 1} {
			path := rewritten(t, "testdata/later.pt2", func(is string, b []byte) (string, []byte, uint16) {
				if is != name {
					return is, b, zip.Store
				}
				return is, append(b, make([]byte, n-len(b))...), zip.Store
			})
			want := map[int]string{maxText: "invalid character '\\x00' after", maxText + 1: "134217729 bytes, want at most 134217728"}[n]
			if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s of %d bytes: %v, want %q", name, n, err, want)
			}
		}
	}
}

// A text is read up to the limit that is asked for, and no further.
func TestTextLimit(t *testing.T) {
	b, err := os.ReadFile("testdata/net.pt2")
	if err != nil {
		t.Fatal(err)
	}
	r, err := pth.ReadRecords(bytes.NewReader(b), int64(len(b)), program, form)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(len(record(t, "testdata/net.pt2", program)))
	for most, ok := range map[int64]bool{n: true, n - 1: false} {
		if _, err := r.Text(program, most); (err == nil) != ok {
			t.Errorf("%d bytes, at most %d: %v", n, most, err)
		}
	}
}

// A storage is held to its CRC, when its elements are read.
func TestCRC(t *testing.T) {
	b, err := os.ReadFile("testdata/later.pt2")
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte("\x00\x00\xa0\x40\x00\x00\xc0\x40")) // 5 and 6, of n1.bias
	b[at+2]++
	path := filepath.Join(t.TempDir(), "m.pt2")
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	k := slices.IndexFunc(f.Tensors, func(n tensor.Named) bool { return n.Key == "n1.bias" })
	if _, err := f.Tensors[k].Floats(); err == nil || !strings.Contains(err.Error(), "record data/weights/weight_6: CRC-32 ") {
		t.Errorf("%v, want an error of the CRC", err)
	}
}

// Two records of the same bytes are an error: the directory has weight_2 begin where weight_1 does.
func TestShared(t *testing.T) {
	b, err := os.ReadFile("testdata/later.pt2")
	if err != nil {
		t.Fatal(err)
	}
	entry := func(name string) []byte { // its offset in the directory, APPNOTE 4.3.12
		at := bytes.LastIndex(b, []byte(name+"PK")) // of the next entry
		return b[at-4 : at]
	}
	copy(entry("later/data/weights/weight_2"), entry("later/data/weights/weight_1"))
	path := filepath.Join(t.TempDir(), "m.pt2")
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "weight_2: has another name before its bytes") {
		t.Errorf("%v, want an error of weight_2", err)
	}
}

// FuzzGraph: no text makes it panic, nor what it makes of it package trace.
func FuzzGraph(f *testing.F) {
	f.Add(record(f, "testdata/net.pt2", program))
	f.Add(record(f, "testdata/later.pt2", models+"model.json"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if made, err := textOf(text); err == nil {
			trace.Read(made, nil)
		}
	})
}

// FuzzList: of no list a tensor reaches beyond its record, or takes more than what it is.
func FuzzList(f *testing.F) {
	b, err := os.ReadFile("testdata/later.pt2")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record(f, "testdata/later.pt2", payloads+"model"+listEnd))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := pth.ReadRecords(bytes.NewReader(b), int64(len(b)), form)
		if err != nil {
			t.Fatal(err)
		}
		tensors, err := listed(all, text)
		if err != nil {
			return
		}
		for _, n := range tensors {
			if n.Bytes() > 1<<16 { // a stride of 0 makes much of a record
				continue
			}
			d, err := n.Open()
			if err != nil {
				t.Fatal(err)
			}
			size, err := io.Copy(io.Discard, io.NewSectionReader(d, 0, int64(n.Bytes())))
			if err != nil || size != int64(n.Bytes()) {
				t.Fatalf("%s: %d bytes (%v), want %d", n.Key, size, err, n.Bytes())
			}
			d.Close()
		}
	})
}

func record(t testing.TB, archive, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	r, err := pth.ReadRecords(bytes.NewReader(b), int64(len(b)), program, form)
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.Text(name, maxText)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
