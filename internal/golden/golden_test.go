package golden_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"repfuse/internal/golden"
	"repfuse/internal/tensor"
)

// Every case is whole: it has what a test asks of it, and nothing that cannot be.
func TestCases(t *testing.T) {
	names := golden.Cases(t)
	if !slices.IsSorted(names) {
		t.Error("the names are not sorted")
	}
	for _, name := range names {
		c := golden.Load(t, name)
		if c.Meta.Name != name || c.Meta.Class == "" || c.Meta.Repo == "" {
			t.Errorf("%s: meta %q %q %q", name, c.Meta.Name, c.Meta.Class, c.Meta.Repo)
		}
		if len(c.Train) == 0 || len(c.X) == 0 || len(c.Y) == 0 {
			t.Errorf("%s: %d train tensors, %d inputs, %d outputs", name, len(c.Train), len(c.X), len(c.Y))
		}
		if c.Deploy == nil && c.Derived == nil && c.Meta.DeployError == "" && c.Meta.Notes == "" {
			t.Errorf("%s: no deploy form and no word why", name)
		}
		for _, y := range c.Y {
			if y.Type != tensor.F64 {
				t.Errorf("%s: an output is %s, want float64", name, y.Type)
			}
		}
		wantFinite(t, name, c)
	}
}

func wantFinite(t *testing.T, name string, c golden.Case) {
	t.Helper()
	for _, n := range slices.Concat(c.Train, c.Deploy, c.Derived) {
		if !n.Type.IsFloat() {
			continue
		}
		v, err := n.Floats()
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range v {
			if math.IsNaN(f) || math.IsInf(f, 0) {
				t.Errorf("%s: %s[%d] is %v", name, n.Key, i, f)
			}
		}
	}
}

// A case of each of the two generators, in the one form that both are brought to.
func TestUnifiedMeta(t *testing.T) {
	for _, test := range []struct {
		name, block, class, conv string
		padding                  []int
		bn                       string
		eps                      float64
	}{
		{"repvgg-block-s1", "", "RepVGGBlock", "rbr_dense.conv", []int{1, 1}, "rbr_dense.bn", 1e-5},
		{"timm-repvgg-block-s1", "blk", "RepVggBlock", "blk.conv_kxk.conv", []int{1, 1}, "blk.conv_kxk.bn", 1e-5},
		{"yolov6-repvgg-id", "blk", "RepVGGBlock", "blk.rbr_dense.conv", []int{1, 1}, "blk.rbr_identity", 1e-3},
		// Written as padding='same' by the model.
		{"repsr-jldy-net", "M_block.{2,4}", "RepSR_Net -> RepSR_Plain", "M_block.0", []int{1, 1}, "M_block.2.branch1.1", 1e-5},
	} {
		c := golden.Load(t, test.name)
		if c.Meta.Block != test.block || c.Meta.Class != test.class {
			t.Errorf("%s: block %q of class %s, want %q of %s", test.name, c.Meta.Block, c.Meta.Class, test.block, test.class)
		}
		f := c.Facts()
		conv, bn := f.Modules[test.conv], f.Modules[test.bn]
		if !slices.Equal(conv.Padding, test.padding) || conv.Groups != 1 {
			t.Errorf("%s: %s has padding %v and %d groups, want %v and 1", test.name, test.conv, conv.Padding, conv.Groups, test.padding)
		}
		if bn.Eps == nil || *bn.Eps != test.eps {
			t.Errorf("%s: %s has ε %v, want %v", test.name, test.bn, bn.Eps, test.eps)
		}
	}
	c := golden.Load(t, "ecbsr-ecb-idt-prelu")
	if flags := c.Facts().Modules[c.Meta.Block].Flags; flags["with_idt"] != true {
		t.Errorf("flags %v, want with_idt true", flags)
	}
}

// The bytes that numpy 1.24 saved for a tensor of each kind of shape.
func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "weights")
	golden.Write(t, dir, []tensor.Named{
		{Key: "scalar", Tensor: tensor.FromBytes(tensor.I64, nil, []byte{7, 0, 0, 0, 0, 0, 0, 0})},
		{Key: "vector", Tensor: tensor.Of(tensor.F32, []int{1}, []float64{1})},
		{Key: "matrix", Tensor: tensor.Of(tensor.F64, []int{1, 2}, []float64{1, 2})},
	})
	for key, dict := range map[string]string{
		"scalar": "{'descr': '<i8', 'fortran_order': False, 'shape': (), }",
		"vector": "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }",
		"matrix": "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }",
	} {
		b, err := os.ReadFile(filepath.Join(dir, key+".npy"))
		if err != nil {
			t.Fatal(err)
		}
		want := append([]byte("\x93NUMPY\x01\x00v\x00"+dict), bytes.Repeat([]byte(" "), 117-len(dict))...)
		if got := b[:128]; !bytes.Equal(got, append(want, '\n')) {
			t.Errorf("%s: header %q, want %q", key, got, want)
		}
	}
}
