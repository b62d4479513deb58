package onnx

import (
	"encoding/binary"
	"testing"
)

// bordered is a 1×1 convolution of two channels with the biases 0.5 and −2, a Pad by one,
// and a ScatterND that writes values into the places given of 1×2×4×5.
func bordered(bias []float32, at [][4]int, value func(at [4]int) float32, more ...[]byte) []byte {
	var index []byte
	var values []float32
	for _, p := range at {
		for _, k := range p {
			index = binary.LittleEndian.AppendUint64(index, uint64(k))
		}
		values = append(values, value(p))
	}
	return withOpset(13, input("x", 1, 2, 2, 3), floats("w", []int{2, 2, 1, 1}), floats("b", []int{2}, bias...), ints("p", 0, 0, 1, 1, 0, 0, 1, 1),
		stored("i", elemInt64, []int{len(at), 4}, index), floats("v", []int{len(at)}, values...),
		call("Conv", "x w b", "c"), call("Pad", "c p", "q"), call("ScatterND", "q i v", "y"), cat(more...))
}

// ring is the places that the Pad adds.
func ring() (all [][4]int) {
	for c := range 2 {
		for h := range 4 {
			for w := range 5 {
				if h == 0 || h == 3 || w == 0 || w == 4 {
					all = append(all, [4]int{0, c, h, w})
				}
			}
		}
	}
	return all
}

// A border is what it is taken for only where every place of it, and no other, has the
// bias of the layer before, as exactly as an exporter computes it.
func TestBorder(t *testing.T) {
	bias := []float32{0.5, -2}
	of := func(p [4]int) float32 { return bias[p[1]] }
	whole := ring()
	const border = "x(padding 1×1) after [1 1] axis 1 rounded"
	for _, test := range []struct {
		name, want string
		model      []byte
	}{
		{"the bias", border, bordered(bias, whole, of)},
		{"the bias, a few roundings off", border, bordered(bias, whole, func(p [4]int) float32 { return of(p) + 0x1p-21 })},
		{"another number in all of a channel", "opaque: ", bordered(bias, whole, func(p [4]int) float32 { return of(p) + 0x1p-18 })},
		{"another number in one place", "opaque: ", bordered(bias, whole, func(p [4]int) float32 {
			if p == whole[7] {
				return of(p) + 0x1p-22
			}
			return of(p)
		})},
		{"a place left out", "opaque: ", bordered(bias, whole[1:], of)},
		{"a place inside", "opaque: ", bordered(bias, append(ring(), [4]int{0, 1, 1, 1}), of)},
		{"a place inside for one of the border", "opaque: ", bordered(bias, append(ring()[1:], [4]int{0, 0, 1, 1}), of)},
		{"a place twice", border, bordered(bias, append(ring(), whole[3]), of)},
		{"the padded value is read too", "opaque: ", bordered(bias, whole, of, call("Relu", "q", "z"), msg(12, text(1, "z")))},
		{"its shape is read too, for another purpose", "opaque: ", bordered(bias, whole, of, call("Shape", "q", "z"), msg(12, text(1, "z")))},
	} {
		m, err := open(t, test.model)
		if err != nil {
			t.Fatal(err)
		}
		net := m.Nets(false)[0]
		got := "none"
		for k, n := range net.Nodes {
			if n.Outputs != nil && net.Values[n.Outputs[0]].Name == "y" {
				got = describe(net, k)
			}
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
