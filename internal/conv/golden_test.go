package conv_test

import (
	"math"
	"strings"
	"testing"

	"repfuse/internal/conv"
	"repfuse/internal/conv/convtest"
	"repfuse/internal/golden"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// block writes expressions over the keys of a case, below its block.
type block struct {
	t *testing.T
	c golden.Case
}

func (b block) param(key string) *op.Param {
	b.t.Helper()
	if b.c.Meta.Block != "" {
		key = b.c.Meta.Block + "." + key
	}
	return &op.Param{Key: key, Tensor: golden.Find(b.t, b.c.Train, key)}
}

// conv is the convolution of a module without bias, of the given dilation.
func (b block) conv(module string, dilation ...int) op.Conv {
	return op.Conv{Weight: *b.param(module + ".weight"), Dilation: dilation}
}

func (b block) biased(module string, dilation ...int) op.Conv {
	c := b.conv(module, dilation...)
	c.Bias = b.param(module + ".bias")
	return c
}

func (b block) bn(module string) op.BatchNorm {
	return op.BatchNorm{
		Gamma: b.param(module + ".weight"), Beta: b.param(module + ".bias"),
		Mean: b.param(module + ".running_mean"), Var: b.param(module + ".running_var"), Eps: 1e-5,
	}
}

func (b block) repvgg() op.Sum {
	return op.Sum{
		op.Seq{b.conv("rbr_dense.conv"), b.bn("rbr_dense.bn")},
		op.Seq{b.conv("rbr_1x1.conv"), b.bn("rbr_1x1.bn")},
	}
}

func (b block) acnet() op.Expr {
	return op.Sum{
		op.Seq{b.conv("square_conv"), b.bn("square_bn")},
		op.Seq{b.conv("ver_conv"), b.bn("ver_bn")},
		op.Seq{b.conv("hor_conv"), b.bn("hor_bn")},
	}
}

// dbb is the four branches of a diverse branch block; first is its 1×1 before the k×k.
func (b block) dbb(first op.Expr) op.Expr {
	return op.Sum{
		op.Seq{b.conv("dbb_origin.conv"), b.bn("dbb_origin.bn")},
		op.Seq{b.conv("dbb_1x1.conv"), b.bn("dbb_1x1.bn")},
		op.Seq{first, b.bn("dbb_1x1_kxk.bn1.bn"), b.conv("dbb_1x1_kxk.conv2"), b.bn("dbb_1x1_kxk.bn2")},
		op.Seq{b.conv("dbb_avg.conv"), b.bn("dbb_avg.bn.bn"), op.AvgPool{Kernel: []int{3, 3}}, b.bn("dbb_avg.avgbn")},
	}
}

func (b block) repnext(serial bool) op.Expr {
	branches := op.Sum{b.biased("conv_3_3"), b.biased("conv_2_2", 2, 2)}
	if serial {
		return append(branches, op.Seq{b.conv("conv_3_w"), b.conv("conv_3_h")})
	}
	return append(branches, b.biased("conv_3_w"), b.biased("conv_3_h"))
}

func (b block) repmixer() op.Expr {
	mixer := op.Sum{
		op.Seq{b.conv("mixer.rbr_conv.0.conv"), b.bn("mixer.rbr_conv.0.bn")},
		op.Seq{b.conv("mixer.rbr_scale.conv"), b.bn("mixer.rbr_scale.bn")},
		b.bn("mixer.rbr_skip"),
	}
	return op.Sum{op.Identity{}, op.Seq{
		op.Sum{mixer, op.Seq{b.bn("norm.rbr_skip"), op.Scale{Factor: -1}}},
		op.Scale{By: b.param("layer_scale")},
	}}
}

// references is some cases with the expression of their train form, written by hand.
var references = []struct {
	name string
	of   func(b block) op.Expr
}{
	{"repvgg-block-s1", func(b block) op.Expr { return append(b.repvgg(), b.bn("rbr_identity")) }},
	{"repvgg-block-s2-in_eq_out", func(b block) op.Expr { return b.repvgg() }},
	{"repvgg-block-g4", func(b block) op.Expr { return append(b.repvgg(), b.bn("rbr_identity")) }},
	{"acnet-acb-k3", block.acnet},
	{"acnet-acb-k3-p0-crop", block.acnet},
	{"acnet-acb-k3-s2-g2", block.acnet},
	{"acnet-acb-k5-p2", block.acnet},
	{"dbb-k3-in_ne_out", func(b block) op.Expr {
		return b.dbb(op.Sum{b.conv("dbb_1x1_kxk.idconv1"), op.Identity{}})
	}},
	{"dbb-k3-g2-internal", func(b block) op.Expr { return b.dbb(b.conv("dbb_1x1_kxk.conv1")) }},
	{"dbb-dw-k3-s2", func(b block) op.Expr {
		return op.Sum{
			op.Seq{b.conv("dbb_origin.conv"), b.bn("dbb_origin.bn")},
			op.Seq{b.conv("dbb_1x1_kxk.conv1"), b.bn("dbb_1x1_kxk.bn1.bn"), b.conv("dbb_1x1_kxk.conv2"), b.bn("dbb_1x1_kxk.bn2")},
			op.Seq{op.AvgPool{Kernel: []int{3, 3}}, b.bn("dbb_avg.avgbn")},
		}
	}},
	{"torch-fuse-conv1d", func(b block) op.Expr { return op.Seq{b.conv("conv"), b.bn("bn")} }},
	{"torch-fuse-linear", func(b block) op.Expr { return op.Seq{b.conv("conv"), b.bn("bn")} }},
	{"torch-fuse-convT2d-bias", func(b block) op.Expr {
		c := b.biased("conv")
		c.Transposed = true
		return op.Seq{c, b.bn("bn")}
	}},
	{"torch-fuse-convT2d-g2", func(b block) op.Expr {
		c := b.biased("conv")
		c.Transposed = true
		return op.Seq{c, b.bn("bn")}
	}},
	{"repnext-dwconv-s-s1", func(b block) op.Expr { return b.repnext(false) }},
	{"repnext-dwconv-s-s2", func(b block) op.Expr { return b.repnext(true) }},
	{"fastvit-repmixer-ls", block.repmixer},
	{"unireplknet-dilated-k7", func(b block) op.Expr {
		return op.Sum{
			op.Seq{b.conv("lk_origin"), b.bn("origin_bn")},
			op.Seq{b.conv("dil_conv_k5_1"), b.bn("dil_bn_k5_1")},
			op.Seq{b.conv("dil_conv_k3_2", 2, 2), b.bn("dil_bn_k3_2")},
			op.Seq{b.conv("dil_conv_k3_3", 3, 3), b.bn("dil_bn_k3_3")},
		}
	}},
}

// The reference's own output is what the interpreter gives, where its layers look
// and at their stride.
func TestReferences(t *testing.T) {
	for _, test := range references {
		t.Run(test.name, func(t *testing.T) {
			c := golden.Load(t, test.name)
			e := test.of(block{t, c})
			x, y := c.X[0], c.Y[0]
			at := positions(c, y.Shape[2:])
			for n := range y.Shape[0] {
				got := reference(t, e, image(t, x, n), at)
				if strings.HasPrefix(test.name, "repvgg") {
					relu(got) // which is within the reference's block
				}
				want := image(t, y, n)
				compare(t, got, want)
			}
		})
	}
}

// geometry is where the output of a case lies in the plane of stride 1: element j
// at from + j·stride. A transposed convolution sees its input spread by up.
type geometry struct{ from, stride, size, up []int }

// positions reads the geometry off the convolution of the largest kernel, whose own
// centre is the expression's; of two, the one with the padding of the whole block.
func positions(c golden.Case, size []int) geometry {
	var widest golden.Conv
	for _, conv := range c.Meta.ConvsTrain {
		taps, most := tensor.Elems(conv.Kernel), tensor.Elems(widest.Kernel)
		if widest.Class == "" || taps > most || taps == most && tensor.Elems(conv.Padding) > tensor.Elems(widest.Padding) {
			widest = conv
		}
	}
	g := geometry{size: size}
	for a := range size {
		if strings.HasPrefix(widest.Class, "ConvTranspose") {
			g.from = append(g.from, widest.Padding[a])
			g.stride = append(g.stride, 1)
			g.up = append(g.up, widest.Stride[a])
			continue
		}
		origin := (widest.Kernel[a] - 1) * widest.Dilation[a] / 2
		g.from = append(g.from, origin-widest.Padding[a])
		g.stride = append(g.stride, widest.Stride[a])
		g.up = append(g.up, 1)
	}
	return g
}

func reference(t *testing.T, e op.Expr, x conv.Map, at geometry) conv.Map {
	t.Helper()
	size := make([]int, len(at.size))
	for a, n := range at.size {
		size[a] = (n-1)*at.stride[a] + 1
	}
	y, err := convtest.RunOn(e, spread(x, at.up), at.from, size)
	if err != nil {
		t.Fatal(err)
	}
	if y, err = convtest.Sample(y, at.from, at.stride, at.size); err != nil {
		t.Fatal(err)
	}
	return y
}

func relu(m conv.Map) {
	for k, v := range m.Data {
		m.Data[k] = max(v, 0)
	}
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

// image is element n of a batch.
func image(t *testing.T, batch tensor.Tensor, n int) conv.Map {
	t.Helper()
	one, err := batch.Slice(n, n+1)
	if err != nil {
		t.Fatal(err)
	}
	v, err := one.Floats()
	if err != nil {
		t.Fatal(err)
	}
	m, err := convtest.Of(batch.Shape[1], batch.Shape[2:], v)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// compare wants two maps to agree in float64: PyTorch adds the same products in
// another order, and both round each of some hundred additions by 2⁻⁵³ of terms
// that are hardly larger than the largest output.
func compare(t *testing.T, got, want conv.Map) {
	t.Helper()
	if len(got.Data) != len(want.Data) {
		t.Fatalf("%d elements, want %d", len(got.Data), len(want.Data))
	}
	largest := 0.0
	for _, v := range want.Data {
		largest = max(largest, math.Abs(v))
	}
	for k, v := range want.Data {
		if d := math.Abs(got.Data[k] - v); !(d <= 1e-13*largest) {
			t.Fatalf("element %d is %v, want %v (%.2g of the largest)", k, got.Data[k], v, d/largest)
		}
	}
}
