package recognise_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/conv"
	"repfuse/internal/conv/convtest"
	"repfuse/internal/fuse"
	"repfuse/internal/golden"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// activations is what may stand behind the fused convolution in a reference block.
var activations = []struct {
	name string
	f    func(float64) float64
}{
	{"", func(v float64) float64 { return v }},
	{"relu", func(v float64) float64 { return max(v, 0) }},
	{"silu", func(v float64) float64 { return v / (1 + math.Exp(-v)) }},
	{"gelu", func(v float64) float64 { return v * (1 + math.Erf(v/math.Sqrt2)) / 2 }},
	{"hardswish", func(v float64) float64 { return v * min(max(v+3, 0), 6) / 6 }},
	{"leaky 0.1", func(v float64) float64 { return max(v, 0.1*v) }},
	{"leaky 0.05", func(v float64) float64 { return max(v, 0.05*v) }},
	{"leaky 0.01", func(v float64) float64 { return max(v, 0.01*v) }},
}

// runs is how far the two forms' outputs are from the reference's, relative to its
// largest, and the activation that this is up to.
type runs struct {
	train, fused float64
	activation   string
}

// checkOutput runs a case that is one convolution on the reference's input, in both
// forms, and wants the reference's output, up to an activation behind it. It returns
// nil where there is nothing to run.
func checkOutput(t *testing.T, c golden.Case, p *plan.Plan) *runs {
	t.Helper()
	if len(p.Blocks) != 1 || len(p.Blocks[0].Outputs) != 1 || len(c.X) != 1 || keepsLayers(p) {
		return nil
	}
	o := p.Blocks[0].Outputs[0]
	if len(c.Y[0].Shape) < 2 || c.Y[0].Shape[1] != o.Form.Out || c.X[0].Shape[1] != o.Form.In {
		return nil
	}
	collapsed, err := fuse.Collapse(o.Expr, tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	layer, ok := layerOf(c, o)
	if !ok {
		return nil
	}
	train, act := nearestOutput(t, c, o.Expr, o.Form, layer)
	after, _ := nearestOutput(t, c, collapsed, o.Form, layer)
	// Float64 on both sides, a few hundred products an element added in another order.
	if !(train <= 1e-9) {
		t.Errorf("the train form's output differs by %.2g of the largest, whatever the activation", train)
	}
	// The kernel is rounded to float32: 6e-8 of each product.
	if !(after <= 1e-5) {
		t.Errorf("the fused form's output differs by %.2g of the largest, whatever the activation", after)
	}
	return &runs{train, after, act}
}

// keepsLayers reports whether anything but the block is left that computes.
func keepsLayers(p *plan.Plan) bool {
	for _, f := range p.Fates {
		if f.Fate == plan.Kept && f.Type.IsFloat() {
			return true
		}
	}
	return false
}

// layerOf is the geometry of the fused layer: that of the reference's own, or, where
// it has none, of the train form's largest kernel.
func layerOf(c golden.Case, o plan.Output) (golden.Conv, bool) {
	module := strings.TrimSuffix(strings.TrimSuffix(o.Weight, "weight"), ".")
	for _, path := range []string{module, c.Meta.DeployConv} {
		if l, ok := c.Meta.ConvsDeploy[path]; ok {
			return l, fits(l, o.Form)
		}
	}
	all := golden.Conv{}
	for _, l := range c.Meta.ConvsTrain {
		if all.Class == "" {
			all = l
			all.Padding = slices.Clone(l.Padding)
			continue
		}
		for a := range all.Padding {
			all.Padding[a] = max(all.Padding[a], l.Padding[a])
		}
	}
	return all, all.Class != "" && len(all.Padding) == o.Form.Rank()
}

// fits reports whether a layer has the axes and the dilation of a form: no key says
// that the layer is dilated, and without the fact the form is not.
func fits(l golden.Conv, f op.Form) bool {
	if len(l.Kernel) != f.Rank() {
		return false
	}
	for a, k := range l.Kernel {
		if k > 1 && l.Dilation[a] != f.Dilation()[a] {
			return false
		}
	}
	return true
}

// nearestOutput runs an expression on the case's input as the layer sees it, and
// returns how far it is from the output under the activation that fits best.
func nearestOutput(t *testing.T, c golden.Case, e op.Expr, f op.Form, l golden.Conv) (float64, string) {
	t.Helper()
	x, y := c.X[0], c.Y[0]
	size := y.Shape[2:]
	from, stride, up := make([]int, len(size)), make([]int, len(size)), make([]int, len(size))
	span := make([]int, len(size))
	for a := range size {
		from[a], stride[a], up[a] = f.Padding()[a]-l.Padding[a], l.Stride[a], 1
		if f.Transposed {
			from[a], stride[a], up[a] = l.Padding[a], 1, l.Stride[a]
		}
		span[a] = (size[a]-1)*stride[a] + 1
	}
	if s := f.Stride; s != nil && !slices.Equal(s, l.Stride) {
		t.Errorf("%s has stride %v, want %v as its layer has", e, s, l.Stride)
	}
	e = op.AtStride1(e, f.Rank())
	var got []float64
	for n := range x.Shape[0] {
		m, err := convtest.RunOn(e, spread(image(t, x, n, f.In), up), from, span)
		if err == nil {
			m, err = convtest.Sample(m, from, stride, size)
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Data...)
	}
	want, err := y.Floats()
	if err != nil {
		t.Fatal(err)
	}
	best, name := math.Inf(1), ""
	for _, act := range activations {
		v := make([]float64, len(got))
		for k := range got {
			v[k] = act.f(got[k])
		}
		if d := distance(v, want); d < best {
			best, name = d, act.name
		}
	}
	return best, name
}

// image is element n of a batch.
func image(t *testing.T, batch tensor.Tensor, n, channels int) conv.Map {
	t.Helper()
	one, err := batch.Slice(n, n+1)
	if err != nil {
		t.Fatal(err)
	}
	v, err := one.Floats()
	if err != nil {
		t.Fatal(err)
	}
	m, err := convtest.Of(channels, batch.Shape[2:], v)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// spread puts up-1 zeros between the elements of an image, which is how a
// transposed convolution of stride up sees it.
func spread(x conv.Map, up []int) conv.Map {
	size := make([]int, len(up))
	for a, n := range x.Size {
		size[a] = (n-1)*up[a] + 1
	}
	to := conv.Zeros(x.Channels, x.Lo, size)
	for k, v := range x.Data {
		at, rest, scale := 0, k, 1
		for a := len(size) - 1; a >= 0; a-- {
			at += rest % x.Size[a] * up[a] * scale
			rest /= x.Size[a]
			scale *= size[a]
		}
		to.Data[at+rest*scale] = v
	}
	return to
}
