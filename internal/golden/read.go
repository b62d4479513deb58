package golden

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"repfuse/internal/tensor"
)

// types is the element types that the cases use, by their safetensors names.
var types = map[string]tensor.Type{
	"BOOL": tensor.Bool, "U8": tensor.U8, "I32": tensor.I32, "I64": tensor.I64,
	"F16": tensor.F16, "F32": tensor.F32, "F64": tensor.F64,
}

// read parses a case: a safetensors file under gzip, its tensors named by role
// (train/KEY, deploy/KEY, derived/KEY, x, x0, y, y0, …), and its story in the
// header's metadata.
func read(path string) (Case, error) {
	b, err := unzip(path)
	if err != nil {
		return Case{}, err
	}
	if len(b) < 8 || binary.LittleEndian.Uint64(b) > uint64(len(b)-8) {
		return Case{}, fmt.Errorf("%s: %d bytes do not hold the header they announce", path, len(b))
	}
	n := 8 + binary.LittleEndian.Uint64(b)
	var header map[string]json.RawMessage
	if err := json.Unmarshal(b[8:n], &header); err != nil {
		return Case{}, fmt.Errorf("%s: %w", path, err)
	}
	c, err := build(header, b[n:])
	if err != nil {
		return Case{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func unzip(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, z); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b.Bytes(), nil
}

func build(header map[string]json.RawMessage, data []byte) (Case, error) {
	var c Case
	if err := c.Meta.parse(header["__metadata__"]); err != nil {
		return c, err
	}
	delete(header, "__metadata__")
	var x, y []tensor.Named
	for name, entry := range header {
		t, err := one(entry, data)
		if err != nil {
			return c, fmt.Errorf("%s: %w", name, err)
		}
		role, key, _ := strings.Cut(name, "/")
		into := map[string]*[]tensor.Named{
			"train": &c.Train, "deploy": &c.Deploy, "derived": &c.Derived,
			"x": &x, "x0": &x, "x1": &x, "y": &y, "y0": &y, "y1": &y,
		}[role]
		if into == nil {
			return c, fmt.Errorf("%s: a tensor of no known role", name)
		}
		*into = append(*into, tensor.Named{Key: cmp.Or(key, role), Tensor: t})
	}
	for _, list := range [][]tensor.Named{c.Train, c.Deploy, c.Derived, x, y} {
		slices.SortFunc(list, func(a, b tensor.Named) int { return cmp.Compare(a.Key, b.Key) })
	}
	c.X, c.Y = bare(x), bare(y)
	return c, nil
}

// one makes the tensor that an entry of the header describes.
func one(entry json.RawMessage, data []byte) (tensor.Tensor, error) {
	var e struct {
		Dtype   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(entry, &e); err != nil {
		return tensor.Tensor{}, err
	}
	typ, ok := types[e.Dtype]
	if !ok {
		return tensor.Tensor{}, fmt.Errorf("element type %q is none of the cases'", e.Dtype)
	}
	from, to, size := e.Offsets[0], e.Offsets[1], tensor.Elems(e.Shape)*typ.Size()
	if from < 0 || to > len(data) || to-from != size {
		return tensor.Tensor{}, fmt.Errorf("bytes %d to %d of %d, want %d of them", from, to, len(data), size)
	}
	return tensor.FromBytes(typ, e.Shape, data[from:to]), nil
}

func bare(named []tensor.Named) []tensor.Tensor {
	var out []tensor.Tensor
	for _, n := range named {
		out = append(out, n.Tensor)
	}
	return out
}
