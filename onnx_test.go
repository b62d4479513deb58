package repfuse_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"repfuse"
	"repfuse/internal/onnx/onnxtest"
)

// TestNetworks: each model of the corpus is fused, verified, and, with a bit of one of its weights
// turned or a name in it changed, no longer the same.
func TestNetworks(t *testing.T) {
	ctx := context.Background()
	prefix := ""
	if testing.Short() {
		prefix = "t-"
	}
	for _, c := range onnxtest.Cases(t, prefix) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			src := c.Write(t)
			dst := filepath.Join(t.TempDir(), "fused.onnx")
			f, err := repfuse.Fuse(ctx, src, dst, repfuse.FuseOptions{})
			if c.Expect == "refuse" && strings.HasPrefix(c.Name, "x-") { // its weights are not to be had
				if entries, _ := os.ReadDir(filepath.Dir(dst)); err == nil || len(entries) > 0 {
					t.Fatalf("error %v, %d files left, want an error and none", err, len(entries))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			v, err := repfuse.Verify(ctx, src, dst, repfuse.VerifyOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if v.Grade == repfuse.Different {
				t.Errorf("%s", v)
			}
			if said := strings.Contains(v.String(), "the same program, up to the runtime's rounding"); said != (len(f.Plan.Blocks) > 0) || !v.Network {
				t.Errorf("%d blocks: %s", len(f.Plan.Blocks), v)
			}
			if c.Expect == "refuse" && len(f.Plan.Blocks) > 0 {
				t.Errorf("%d blocks, want none: %s", len(f.Plan.Blocks), c.Note)
			}
			if len(f.Plan.Blocks) == 0 {
				a, _ := os.ReadFile(src)
				b, _ := os.ReadFile(dst)
				if !bytes.Equal(a, b) {
					t.Error("nothing is fused, and the file is another")
				}
				return
			}
			again, err := repfuse.Fuse(ctx, src, dst, repfuse.FuseOptions{Destination: repfuse.Destination{IfChanged: true}})
			if err != nil || !again.UpToDate {
				t.Errorf("fused again: %v, want that it is up to date", err)
			}
			falsify(t, ctx, src, dst, []byte("Conv"), []byte("Konv"))
			right, wrong := elements(t, ctx, dst, f.Plan.Blocks[0].Makes[0].Weight)
			falsify(t, ctx, src, dst, right, wrong)
		})
	}
}

// TestFrozen: weights that are inputs too are constants where that is asked for, and verify sees it.
func TestFrozen(t *testing.T) {
	ctx := context.Background()
	src := onnxtest.Cases(t, "repvgg-initializers-as-inputs")[0].Write(t)
	for _, freeze := range []bool{false, true} {
		dst := filepath.Join(t.TempDir(), "fused.onnx")
		var o repfuse.FuseOptions
		o.FreezeInputs = freeze
		f, err := repfuse.Fuse(ctx, src, dst, o)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{false: 0, true: 8}[freeze]; len(f.Plan.Blocks) != want || freeze == (len(f.Plan.Notes) > 0 && strings.Contains(f.Plan.Notes[0].Hint, "--freeze-inputs")) {
			t.Errorf("frozen %t: %d blocks, want %d; notes %v", freeze, len(f.Plan.Blocks), want, f.Plan.Notes)
		}
		v, err := repfuse.Verify(ctx, src, dst, repfuse.VerifyOptions{})
		if err != nil || v.Grade != repfuse.Exact || freeze != (len(v.Notes) > 0 && strings.Contains(v.Notes[len(v.Notes)-1], "no inputs of the result")) {
			t.Errorf("frozen %t: %v, error %v", freeze, v, err)
		}
	}
}

// falsify changes the last of some bytes of a fused model and wants verify to see it.
func falsify(t *testing.T, ctx context.Context, src, dst string, what, other []byte) {
	t.Helper()
	b, err := os.ReadFile(dst)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(b, what)
	if at < 0 {
		return // no such node; or the weights are in a file of their own, or in halves of words
	}
	copy(b[at:], other)
	wrong := filepath.Join(t.TempDir(), filepath.Base(dst))
	if err := os.WriteFile(wrong, b, 0o666); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(dst + ".data"); err == nil {
		if err := os.WriteFile(wrong+".data", data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	v, err := repfuse.Verify(ctx, src, wrong, repfuse.VerifyOptions{})
	if err == nil && v.Grade != repfuse.Different {
		t.Errorf("%.20q changed, and the verdict is %s", what, v.Grade)
	}
}

// elements is a tensor's bytes in a checkpoint, and the same with one bit turned.
func elements(t *testing.T, ctx context.Context, path, key string) (right, wrong []byte) {
	t.Helper()
	c, err := repfuse.Open(ctx, path, repfuse.Reading{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, x := range c.Tensors {
		if x.Key == key {
			if right, err = x.Bytes(); err != nil {
				t.Fatal(err)
			}
		}
	}
	wrong = bytes.Clone(right)
	wrong[len(wrong)-2] ^= 0x40
	return right, wrong
}

// networkOf writes the model of a case and gives its path.
func networkOf(t *testing.T, name string) string {
	for _, c := range onnxtest.Cases(t, name) {
		if c.Name == name {
			return c.Write(t)
		}
	}
	t.Fatalf("no case %s", name)
	return ""
}

// External data is a part of SRC: --force replaces it neither by DST nor by what lies beside DST.
func TestExternalDataStays(t *testing.T) {
	for _, c := range []struct{ name, data, dst string }{
		{"x-external-subdir", "data/w.bin", "data/w.bin"},
		{"repvgg-external", "train.onnx.data", "train.onnx"},
	} {
		src := networkOf(t, c.name)
		dir := filepath.Dir(src)
		named := filepath.Join(dir, "named.onnx")
		if err := os.Rename(src, named); err != nil {
			t.Fatal(err)
		}
		data := filepath.Join(dir, c.data)
		want, err := os.ReadFile(data)
		if err != nil {
			t.Fatal(err)
		}
		dst := filepath.Join(dir, c.dst)
		_, err = repfuse.Convert(context.Background(), named, dst, repfuse.ConvertOptions{Destination: repfuse.Destination{Force: true}})
		if err == nil || !strings.Contains(err.Error(), "are the same file") {
			t.Errorf("%s to %s: %v, want an error", c.name, c.dst, err)
		}
		if got, _ := os.ReadFile(data); !bytes.Equal(got, want) {
			t.Errorf("%s to %s: the external data is another", c.name, c.dst)
		}
	}
}

// External data that is there already is replaced with Force alone, and what IfChanged finds is up to date.
func TestExternalDataThere(t *testing.T) {
	src := networkOf(t, "repvgg-external")
	dst := filepath.Join(t.TempDir(), "fused.onnx")
	data := dst + ".data"
	if err := os.WriteFile(data, []byte("of another"), 0o666); err != nil {
		t.Fatal(err)
	}
	fuse := func(to repfuse.Destination) (*repfuse.Fused, error) {
		return repfuse.Fuse(context.Background(), src, dst, repfuse.FuseOptions{Destination: to})
	}
	if _, err := fuse(repfuse.Destination{}); err == nil || err.Error() != data+" is there already" {
		t.Errorf("%v, want an error", err)
	}
	if b, _ := os.ReadFile(data); string(b) != "of another" {
		t.Errorf("%d bytes are there, want those of another", len(b))
	}
	for _, upToDate := range []bool{false, true} {
		f, err := fuse(repfuse.Destination{IfChanged: true})
		if err != nil || f.UpToDate != upToDate {
			t.Fatalf("%v, want that it is up to date: %t", err, upToDate)
		}
	}
	b, err := os.ReadFile(data)
	if at := bytes.Index(b, make([]byte, 16)); err != nil || at < 0 {
		t.Fatalf("%v, want a gap before a page", err)
	} else {
		b[at+8] = 1
	}
	if err := os.WriteFile(data, b, 0o666); err != nil {
		t.Fatal(err)
	}
	if f, err := fuse(repfuse.Destination{IfChanged: true}); err != nil || f.UpToDate {
		t.Errorf("%v, want that a byte of a gap was another", err)
	}
}

// A page does not take the place of external data, whatever that is called.
func TestPageOverExternalData(t *testing.T) {
	src := networkOf(t, "x-external-subdir")
	data := filepath.Join(filepath.Dir(src), "data")
	to := repfuse.Page{Report: filepath.Join(data, "w.xyz"), Force: true}
	if err := os.Rename(filepath.Join(data, "w.bin"), to.Report); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(src)
	if err == nil {
		err = os.WriteFile(src, bytes.ReplaceAll(text, []byte("data/w.bin"), []byte("data/w.xyz")), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, dst := context.Background(), filepath.Join(t.TempDir(), "fused.onnx")
	if _, err := repfuse.Fuse(ctx, src, dst, repfuse.FuseOptions{}); err != nil {
		t.Fatal(err)
	}
	for verb, run := range map[string]func() error{
		"plan": func() error {
			p, err := repfuse.Plan(ctx, src, repfuse.PlanOptions{})
			if err != nil {
				return err
			}
			return p.WriteReport(to)
		},
		"inspect": func() error {
			_, err := repfuse.Inspect(ctx, src, repfuse.InspectOptions{Page: to})
			return err
		},
		"verify": func() error {
			_, err := repfuse.Verify(ctx, src, dst, repfuse.VerifyOptions{Page: to})
			return err
		},
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), "itself, want it beside") {
			t.Errorf("%s: %v, want an error", verb, err)
		}
	}
}
