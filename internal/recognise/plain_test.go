package recognise_test

import (
	"strings"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/op"
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
		{keys: "features.0.weight[4,4,3,3] features.2.weight[4,4,1,1]", want: ""}, // a sequence as likely
		{keys: "a.weight[4,4,3,3] b.weight[4,4,1,1]", sets: "identity=no", err: "whether a + b stand side by side"},
		{keys: "a.weight[4,4,3,3] b.weight[4,4,1,1]", sets: "identity=no parallel=yes",
			want: "fused: conv(a, unbiased)\n+ conv(b, unbiased)"},
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

// The four files of conv3x3(x) + conv1x1(x) + x under all names that people gave them: each is the same
// sum, or one question with an answer that makes it so.
func TestNamings(t *testing.T) {
	for _, names := range []string{
		"conv3x3.weight conv3x3.bias conv1x1.weight conv1x1.bias",
		"conv3x3_weight conv3x3_bias conv1x1_weight conv1x1_bias",
		"conv_2d.weight conv_2d.bias conv_2d_1.weight conv_2d_1.bias",
		"conv3.weight conv3.bias conv1.weight conv1.bias",
		"branch_3x3.weight branch_3x3.bias branch_1x1.weight branch_1x1.bias",
		"conv3x3-weight conv3x3-bias conv1x1-weight conv1x1-bias",
		"w3 b3 w1 b1",
		"W3 B3 W1 B1",
		"3x3 3x3_bias 1x1 1x1_bias",
		"k3 b_k3 k1 b_k1",
		"weight3x3 bias3x3 weight1x1 bias1x1",
		"w_3x3 b_3x3 w_1x1 b_1x1",
		"conv3x3_kernel conv3x3_bias conv1x1_kernel conv1x1_bias",
		"conv3x3W conv3x3B conv1x1W conv1x1B",
		"conv3x3_w conv3x3_b conv1x1_w conv1x1_b",
		"conv3x3 conv3x3_b conv1x1 conv1x1_b",
		"kernel_3x3 bias_3x3 kernel_1x1 bias_1x1",
		"block.conv3x3.weight block.conv3x3.bias block.conv1x1.weight block.conv1x1.bias",
		"model.0.conv3x3.weight model.0.conv3x3.bias model.0.conv1x1.weight model.0.conv1x1.bias",
		"rbr_dense.weight rbr_dense.bias rbr_1x1.weight rbr_1x1.bias",
		"block1.w3 block1.b3 block1.w1 block1.b1",
	} {
		var keys []string
		for k, name := range strings.Fields(names) {
			keys = append(keys, name+[]string{"[4,4,3,3]", "[4]", "[4,4,1,1]", "[4]"}[k])
		}
		tensors := named(t, strings.Join(keys, " "))
		o := recognise.Options{Families: builtin(t), Sets: []string{"identity=yes"}}
		p, err := recognise.Plan(tensors, o)
		if err != nil {
			wantError(t, err, "no key says: whether conv_2d + conv_2d_1 stand side by side")
			o.Sets = append(o.Sets, "parallel=yes") // as the hint says
			p, err = recognise.Plan(tensors, o)
		}
		if err != nil || len(p.Blocks) != 1 || len(p.Blocks[0].Used) != 4 || !strings.Contains(p.Blocks[0].Outputs[0].Expr.String(), "+") {
			t.Errorf("%s: %v", names, err)
			continue
		}
		form := p.Blocks[0].Outputs[0].Expr
		if sum, ok := form.(op.Sum); !ok || len(sum) != 3 {
			t.Errorf("%s: is %s, want a sum of two kernels and the input", names, form)
		}
	}
}

// Every prefix is a block of its own, whether it is asked for or nothing else is in the folder.
func TestPlainPrefixes(t *testing.T) {
	keys := "block1.w3[4,4,3,3] block1.b3[4] block1.w1[4,4,1,1] block2.w3[4,4,3,3] block2.w1[4,4,1,1] block2.b1[4]"
	for _, choices := range [][]string{nil, {"plain"}, {"block*=plain"}} {
		p, err := recognise.Plan(named(t, keys), recognise.Options{Families: builtin(t), Choices: choices, Sets: []string{"identity=no"}})
		if err != nil || len(p.Blocks) != 2 || p.Blocks[0].Path != "block1" || len(p.Blocks[0].Used) != 3 || p.Blocks[1].Path != "block2" {
			t.Errorf("--family %v: %v, %v", choices, p, err)
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
