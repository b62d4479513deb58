package recognise_test

import (
	"strings"
	"testing"

	"repfuse/internal/recognise"
)

// lookalikes is modules that have keys as a block has and are none, or are one that
// cannot be fused: part of the error, or "" where they are left as they are.
var lookalikes = []struct{ name, train, want string }{
	{"a separable convolution", `b.conv1.conv.weight[8,1,3,3] b.conv1.bn:8 b.conv2.conv.weight[8,8,1,1] b.conv2.bn:8`,
		"side by side, not one after the other"},
	{"a separable convolution, bare", `b.conv.weight[8,1,3,3] b.cv2.weight[8,8,1,1] b.bn:8`, "side by side, not one after the other"},
	{"a 3×3 and a 1×1 to other channels", `b.conv1.conv.weight[8,8,3,3] b.conv1.norm:8 b.conv2.conv.weight[16,8,1,1] b.conv2.norm:16`,
		"gives 16 channels"},
	{"a basic block", `b.conv1.conv.weight[8,8,3,3] b.conv1.bn:8 b.conv2.conv.weight[8,8,3,3] b.conv2.bn:8`, ""},
	{"LightConv", `b.conv1.conv.weight[8,8,1,1] b.conv1.bn:8 b.conv2.conv.weight[8,1,5,5] b.conv2.bn:8`, ""},
	{"CSPLayer", `b.conv1.conv.weight[8,16,1,1] b.conv1.norm:8 b.conv2.conv.weight[8,16,1,1] b.conv2.norm:8`, ""},
	{"LinearBlock unasked", `b.conv3x3.weight[24,8,3,3] b.conv3x3.bias[24] b.conv1x1.weight[8,24,1,1] b.conv1x1.bias[8]`, ""},
	{"Conv unasked", `model.0.conv.weight[8,8,3,3] model.0.bn:8`, ""},
	{"branches beside what was made of them", `b.conv1.conv.weight[8,8,3,3] b.conv1.norm:8 b.conv2.conv.weight[8,8,1,1] b.conv2.norm:8
		b.conv.weight[8,8,3,3] b.conv.bias[8]`, "b.conv.bias stands beside the branches"},
	{"a bias before zero padding", `b.rbr_3x3_branch.weight[8,8,3,3] b.rbr_3x3_branch.bias[8]
		b.rbr_1x1_3x3_branch_1x1.weight[16,8,1,1] b.rbr_1x1_3x3_branch_1x1.bias[16] b.rbr_1x1_3x3_branch_3x3.weight[8,16,3,3] ` +
		strings.NewReplacer("_sbx.", "_sbx_branch.", "_sby.", "_sby_branch.", "_lpl.", "_lpl_branch.").Replace(under("b.rbr_conv1x1", edges)),
		"zero padding after a bias"},
	{"SESR with a bias before the second convolution", `b.conv_expand.weight[32,3,5,5] b.conv_expand.bias[32] b.conv_squeeze.weight[8,32,1,1] b.conv_squeeze.bias[8]`,
		"b.conv_expand.bias (absent)"},
	{"a depthwise Conv2d_BN and a 1×1 one", `b.conv.c.weight[8,1,3,3] b.conv.bn:8 b.conv1.c.weight[8,8,1,1] b.conv1.bn:8`,
		"side by side, not one after the other"},
	{"a depthwise Conv2d_BN and a 1×1", `b.conv.c.weight[8,1,3,3] b.conv.bn:8 b.conv1.weight[8,8,1,1] b.conv1.bias[8] b.bn:8`,
		"side by side, not one after the other"},
	{"a depthwise Conv and a 1×1", `b.conv.conv.weight[8,1,3,3] b.conv.bn:8 b.conv1.weight[8,8,1,1] b.bn:8`, "side by side, not one after the other"},
	{"two dense Convs, conv and conv1", `b.conv.conv.weight[8,8,3,3] b.conv.bn:8 b.conv1.conv.weight[8,8,1,1] b.conv1.bn:8`, ""},
	{"a residual network", `conv1.weight[8,3,7,7] bn1:8 layer1.0.conv1.weight[8,8,3,3] layer1.0.bn1:8 layer1.0.conv2.weight[8,8,3,3] layer1.0.bn2:8
		layer2.0.conv1.weight[16,8,3,3] layer2.0.bn1:16 layer2.0.conv2.weight[16,16,3,3] layer2.0.bn2:16
		layer2.0.downsample.0.weight[16,8,1,1] layer2.0.downsample.1:16 fc.weight[10,16] fc.bias[10]`, ""},
	{"a bottleneck", `conv1.weight[4,8,1,1] bn1:4 conv2.weight[4,4,3,3] bn2:4 conv3.weight[8,4,1,1] bn3:8 fc.weight[10,8]`, ""},
	{"a dilation that no memory holds", `b.lk_origin.weight[8,1,7,7] b.origin_bn:8 b.dil_conv_k3_99999999.weight[8,1,3,3] b.dil_bn_k3_99999999:8`,
		"want one over at most"},
	{"a fused YOLOv7", `model.0.conv.weight[8,3,3,3] model.0.conv.bias[8] model.1.m.0.weight[21,8,1,1] model.1.m.0.bias[21]
		model.1.ia.0.implicit[1,8,1,1] model.1.im.0.implicit[1,21,1,1]`, "would be scaled a second time"},
	{"MBConv without its gate", under("b", strings.ReplaceAll(mbConv, "NAME.se.tensor[1,16,1,1]", "")), "b.se.tensor is missing"},
}

func TestLookalikes(t *testing.T) {
	for _, l := range lookalikes {
		p, err := recognise.Plan(named(t, l.train), recognise.Options{Families: builtin(t)})
		switch {
		case l.want == "" && err != nil:
			t.Errorf("%s: %v", l.name, err)
		case l.want == "" && len(p.Blocks) > 0:
			t.Errorf("%s is taken as %s", l.name, taken(p))
		case l.want != "" && (err == nil || !strings.Contains(err.Error(), l.want)):
			t.Errorf("%s: error %v, want one that says %q", l.name, err, l.want)
		}
	}
}
