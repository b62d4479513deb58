package record

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/planfile"
	"repfuse/internal/tensor"
)

func example(t *testing.T) *Record {
	t.Helper()
	expr, err := family.Parse("conv(a) + x")
	if err != nil {
		t.Fatal(err)
	}
	return &Record{Version: Version, Tool: "devel", Source: "npy",
		Plan: &planfile.File{Blocks: []planfile.Block{{Module: ".", Family: "mine",
			Make: []family.Output{{Key: "fused", Expr: expr, Text: "conv(a) + x"}}}}},
		CRC32: map[string]string{"fused.weight": "352441c2"}} // of "abc"
}

// What is written is what is read, expressions parsed.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	want := example(t)
	b, err := want.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(Path(dir), b, 0o666); err != nil {
		t.Fatal(err)
	}
	got, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.Plan.Blocks[0].Make[0].Expr == nil {
		t.Error("the expression was not parsed")
	}
	again, err := got.Bytes()
	if err != nil || string(again) != string(b) {
		t.Errorf("%s\nwant\n%s (%v)", again, b, err)
	}
}

// No record is nil and no error; another version, or none of ours, is an error.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	if r, err := Read(dir); r != nil || err != nil {
		t.Errorf("no record: %v, %v", r, err)
	}
	file := filepath.Join(dir, "out.safetensors")
	if got, want := Path(file), file+".repfuse.json"; got != want {
		t.Errorf("beside a file: %s, want %s", got, want)
	}
	for text, want := range map[string]string{
		`{"version": 2, "plan": {"blocks": []}}`: "version 2, want 1",
		`{"version": 1}`:                         "has no plan",
		`{"version": 1`:                          "unexpected end",
		`{"version": 1, "plan": {"blocks": [{"module": "a", "make": [{"key": "b", "expression": "conv("}]}]}}`: "block a: b: ",
	} {
		if err := os.WriteFile(Path(dir), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// A tensor whose bytes are not those on record is named.
func TestChanged(t *testing.T) {
	r := example(t)
	for text, want := range map[string]int{"abc": 0, "abd": 1} {
		list := []tensor.Named{{Key: "fused.weight", Tensor: tensor.FromBytes(tensor.U8, []int{3}, []byte(text))},
			{Key: "other", Tensor: tensor.FromBytes(tensor.U8, []int{1}, []byte("x"))}}
		changed, err := r.Changed(t.Context(), list, 0)
		if err != nil || len(changed) != want {
			t.Errorf("%s: %v, %v, want %d", text, changed, err, want)
		}
	}
}

// Several changed tensors are named in their order, however many goroutines read.
func TestChangedInOrder(t *testing.T) {
	r := &Record{CRC32: map[string]string{}}
	var list []tensor.Named
	var want []string
	for k := range 50 {
		key := fmt.Sprint(k)
		list = append(list, tensor.Named{Key: key, Tensor: tensor.FromBytes(tensor.U8, []int{1}, []byte{byte(k)})})
		r.CRC32[key] = fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte{byte(k)}))
		if k%3 == 0 {
			r.CRC32[key] = "00000000"
			want = append(want, key)
		}
	}
	if got, err := r.Changed(t.Context(), list, 4); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := r.Changed(ended, list, 4); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was cancelled", err)
	}
}

// A layer reads the keys of its block, which a computed tensor names as the block sees them.
func TestReads(t *testing.T) {
	b := plan.Block{Path: "net.up", Used: []string{"net.up.bias", "net.up.weight_g", "net.up.weight_v", "weight_u"}}
	e := op.Conv{Weight: op.Param{Key: "spectral(normed(weight_v, weight_g), weight_u)"}, Bias: &op.Param{Key: "net.up.bias"}}
	if got := reads(b, e); !slices.Equal(got, b.Used) {
		t.Errorf("%q, want %q", got, b.Used)
	}
	if got := reads(b, op.Conv{Weight: op.Param{Key: "net.up.weight_g"}}); !slices.Equal(got, b.Used[1:2]) {
		t.Errorf("%q, want %q", got, b.Used[1:2])
	}
}

// A layer to which an adapter alone was added is none that a living model has to build; one made of
// its own weight alone, of a norm, or of an adapter's keys is.
func TestMerged(t *testing.T) {
	for used, want := range map[string]bool{
		"a.weight adapter1:down adapter1:up": true,
		"a.weight":                           false,
		"a.weight a.bias":                    false,
		"a.weight n.running_mean adapter1:a": false,
		"adapter1:down adapter1:up":          false,
	} {
		b := plan.Block{Used: strings.Fields(used), Outputs: []plan.Output{{Weight: "a.weight"}}}
		if got := merged(b); got != want {
			t.Errorf("%s: %t, want %t", used, got, want)
		}
	}
}
