package recognise_test

import (
	"strings"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/plan"
	"repfuse/internal/planfile"
	"repfuse/internal/recognise"
)

// In a folder of nothing but branches, kernels find their biases and batch norms by
// their names.
func TestPlainFolder(t *testing.T) {
	for _, test := range []struct{ keys, sets, want, err string }{
		{keys: "conv3x3.weight[4,4,3,3] conv1x1.weight[4,4,1,1]", sets: "identity=yes",
			want: "fused: conv(conv1x1, unbiased)\n+ conv(conv3x3, unbiased)\n+ x"},
		{keys: "conv3x3.weight[4,4,3,3] conv3x3.bias[4] conv1x1.weight[4,4,1,1]", sets: "identity=no",
			want: "fused: conv(conv1x1, unbiased)\n+ conv(conv3x3)"},
		{keys: "a.weight[4,3,3,3] b.weight[4,3,1,1]",
			want: "fused: conv(a, unbiased)\n+ conv(b, unbiased)"},
		{keys: "conv3x3.weight[4,3,3,3] bn3x3:4 conv1x1.weight[4,3,1,1] bn1x1:4",
			want: "fused: conv(conv1x1, unbiased) > bn(bn1x1, eps 1e-05)\n+ conv(conv3x3, unbiased) > bn(bn3x3, eps 1e-05)"},
		{keys: "conv3.weight[4,3,3,3] norm3:4 conv1.weight[4,3,1,1] norm1:4",
			want: "fused: conv(conv1, unbiased) > bn(norm1, eps 1e-05)\n+ conv(conv3, unbiased) > bn(norm3, eps 1e-05)"},
		{keys: "a.weight[4,3,3,3] a_bn:4 b.weight[4,3,1,1] b_bn:4",
			want: "fused: conv(a, unbiased) > bn(a_bn, eps 1e-05)\n+ conv(b, unbiased) > bn(b_bn, eps 1e-05)"},
		{keys: "conv3x3.weight[4,4,3,3] conv1x1.weight[4,4,1,1] bn_identity:4",
			want: "fused: conv(conv1x1, unbiased)\n+ conv(conv3x3, unbiased)\n+ bn(bn_identity, eps 1e-05)"},
		{keys: "conv3x3.weight[4,4,3,3] id:4", want: "fused: conv(conv3x3, unbiased)\n+ bn(id, eps 1e-05)"},
		{keys: "conv3x3.weight[4,4,3,3]", sets: "identity=yes", want: "fused: conv(conv3x3, unbiased)\n+ x"},
		{keys: "c3_weight[4,3,3,3] c3_bias[4] c1_weight[4,3,1,1]",
			want: "fused_: kernel(c1_weight)\n+ kernel(c3_weight, c3_bias)"},

		{keys: "conv3x3.weight[4,4,3,3] conv1x1.weight[4,4,1,1]", err: "whether the block adds its input"},
		{keys: "conv3x3.weight[4,4,3,3] conv1x1.weight[4,4,1,1]", sets: "identity=perhaps", err: "identity=perhaps, want yes or no"},
		{keys: "a.weight[4,4,3,3] b.weight[4,4,3,3]", err: "two kernels of one size are a sequence as likely as a sum"},
		{keys: "conv3x3.weight[4,4,3,3]", want: ""}, // one kernel is nothing to fuse
		{keys: "conv3x3.weight[4,4,3,3] conv1x1.weight[4,4,1,1] other[4]", want: ""},
		{keys: "conv3x3.weight[4,4,3,3] bn7:4 bn8:4 conv1x1.weight[4,4,1,1]", want: ""},
		{keys: "s.conv3x3.weight[4,4,3,3] s.conv1x1.weight[4,4,1,1]", want: ""}, // not flat
		{keys: "conv3x3.weight[4,3,3,3] conv1x1.weight[4,2,1,1]", err: "channels"},
	} {
		p, err := recognise.Plan(named(t, test.keys), recognise.Options{Families: builtin(t), Sets: strings.Fields(test.sets)})
		switch {
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)), test.err == "" && err != nil:
			t.Errorf("%s %s: error %v, want %q", test.keys, test.sets, err, test.err)
		case test.err == "" && made(p) != test.want:
			t.Errorf("%s %s: makes\n%s\nwant\n%s", test.keys, test.sets, made(p), test.want)
		}
	}
}

// made is the key and the expression of a plan's one block, "" where it has none.
func made(p *plan.Plan) string {
	if len(p.Blocks) != 1 {
		return ""
	}
	b := p.Blocks[0]
	o := b.Outputs[0]
	return strings.TrimSuffix(strings.TrimSuffix(o.Weight, "weight"), ".") + ": " + family.Format(o.Expr, b.Path)
}

// Two tensors of one key in the result are refused, whoever makes them.
func TestUniqueKeys(t *testing.T) {
	branches := "b.l.weight[4,4,3,3] b.r.weight[4,4,1,1] "
	for _, test := range []struct{ keys, file, err string }{
		{branches + "b.fused.weight[4,4,3,3]", "blocks:\n  - module: b\n    make: {fused: conv(l) + conv(r)}\n",
			"b.fused.weight would be written twice: by b.fused.weight and by b (by hand)"},
		{branches, "blocks:\n  - module: b\n    make: {one: conv(l), two: conv(r)}\n", ""},
		{branches, "blocks:\n  - module: b\n    make: {one: conv(l)}\n  - module: b\n    make: {one: conv(r)}\n",
			"b.one.weight would be written twice: by b (by hand) and by b (by hand)"},
		{branches + "h.weight[2,4] g.weight[2,4]", "blocks: []\nrename: {h: g}\n", "g.weight would be written twice"},
		{branches + "h.weight[2,4] g.weight[2,4]", "blocks: []\nrename: {h: k}\n", ""},
	} {
		f, err := planfile.Read("plan.yaml", []byte(test.file))
		if err != nil {
			t.Fatal(err)
		}
		_, err = recognise.Plan(named(t, test.keys), recognise.Options{Families: builtin(t), File: f})
		if (test.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: error %v, want %q", test.file, err, test.err)
		}
	}
}
