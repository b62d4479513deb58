package onnx_test

import (
	"strings"
	"testing"

	"repfuse/internal/onnx"
	"repfuse/internal/onnx/onnxtest"
)

// refused are the cases that cannot be read, with what their errors must name.
var refused = map[string]string{
	"x-external-absolute": `external data "/abs/w.bin"`,
	"x-external-missing":  `external data "w.bin"`,
}

// Every model is read as its meta.json describes it.
func TestRead(t *testing.T) {
	for _, c := range onnxtest.Cases(t, "") {
		m, err := onnx.Open(c.Write(t))
		if want := refused[c.Name]; want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want an error that says %s", c.Name, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		defer m.Close()
		if m.IR != c.IR || m.Opset != c.Opset {
			t.Errorf("%s: IR %d, opset %d; want %d, %d", c.Name, m.IR, m.Opset, c.IR, c.Opset)
		}
		ops := map[string]int{}
		for _, n := range m.Graph.Nodes {
			ops[n.Op.Name]++
		}
		for _, f := range m.Functions {
			for _, n := range f.Nodes {
				ops["fn:"+n.Op.Name]++
			}
		}
		for op, n := range c.Train {
			if ops[op] != n {
				t.Errorf("%s: %d nodes of %s, want %d", c.Name, ops[op], op, n)
			}
		}
		for _, x := range m.Tensors() {
			b, err := x.ReadAll()
			if err != nil || int64(len(b)) != x.Bytes() {
				t.Errorf("%s: %s: %d bytes, %v; want %d", c.Name, x.Key, len(b), err, x.Bytes())
			}
		}
	}
}
