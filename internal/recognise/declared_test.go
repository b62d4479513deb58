package recognise_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

// declared is families of which no reference case is at hand, by their keys: KEY
// shape, … where bn stands for a batch norm's five.
var declared = []struct {
	name          string
	choices, sets []string
	train, deploy string
}{
	{"RepVGG behind DistributedDataParallel", nil, nil,
		"module.stage0.rbr_dense.conv.weight 8x3x3x3, module.stage0.rbr_dense.bn 8, module.stage0.rbr_1x1.conv.weight 8x3x1x1, module.stage0.rbr_1x1.bn 8, module.linear.weight 5x8",
		"linear.weight 5x8, stage0.rbr_reparam.bias 8, stage0.rbr_reparam.weight 8x3x3x3"},
	{"RepVGG with a batch norm inserted", nil, nil,
		"b.rbr_reparam.conv.weight 8x8x3x3, b.rbr_reparam.bn 8",
		"b.rbr_reparam.bias 8, b.rbr_reparam.weight 8x8x3x3"},
	{"QARepVGG 5", nil, []string{"identity=yes"},
		"b.rbr_dense.conv.weight 8x8x3x3, b.rbr_dense.bn 8, b.rbr_1x1.conv.weight 8x8x1x1, b.rbr_1x1.bn 8, b.bn 8",
		"b.rbr_reparam.bias 8, b.rbr_reparam.weight 8x8x3x3"},
	{"QARepVGG 6", []string{"qarepvgg-v6"}, []string{"identity=yes"},
		"b.rbr_dense.conv.weight 8x8x3x3, b.rbr_dense.bn 8, b.rbr_1x1.conv.weight 8x8x1x1, b.rbr_1x1.bn 8",
		"b.rbr_reparam.bias 8, b.rbr_reparam.weight 8x8x3x3"},
	{"MobileOne without k×k branches", nil, nil,
		"b.rbr_scale.conv.weight 8x8x1x1, b.rbr_scale.bn 8, b.rbr_skip 8",
		"b.reparam_conv.bias 8, b.reparam_conv.weight 8x8x3x3"},
	{"FastViT's expanding large kernel", nil, nil,
		"b.lkb_origin.conv.weight 16x1x7x7, b.lkb_origin.bn 16, b.small_conv.conv.weight 16x1x3x3, b.small_conv.bn 16",
		"b.lkb_reparam.bias 16, b.lkb_reparam.weight 16x1x7x7"},
	{"SLaK without batch norm", nil, nil,
		"b.LoRA1.conv.weight 4x1x13x5, b.LoRA2.conv.weight 4x1x5x13, b.small_conv.conv.weight 4x1x5x5",
		"b.lkb_reparam.weight 4x1x13x13"},
	{"UniRepLKNet with a small kernel", nil, nil,
		"b.dwconv.weight 8x1x3x3, b.norm 8, b.se.down.weight 2x8x1x1, b.se.down.bias 2, b.se.up.weight 8x2x1x1, b.se.up.bias 8, b.pwconv1.1.weight 32x8, b.pwconv1.1.bias 32, b.act.1.gamma 1x1x1x32, b.act.1.beta 1x1x1x32, b.pwconv2.0.weight 8x32, b.pwconv2.2 8, b.gamma 8",
		"b.act.1.gamma 1x1x1x32, b.dwconv.bias 8, b.dwconv.weight 8x1x3x3, b.pwconv1.1.bias 32, b.pwconv1.1.weight 32x8, b.pwconv2.0.bias 8, b.pwconv2.0.weight 8x32, b.se.down.bias 2, b.se.down.weight 2x8x1x1, b.se.up.bias 8, b.se.up.weight 8x2x1x1"},
	{"RepViT with a distilled head", nil, nil,
		"features.1.token_mixer.0.conv.c.weight 8x1x3x3, features.1.token_mixer.0.conv.bn 8, features.1.token_mixer.0.conv1.weight 8x1x1x1, features.1.token_mixer.0.conv1.bias 8, features.1.token_mixer.0.bn 8, classifier.classifier.bn 8, classifier.classifier.l.weight 5x8, classifier.classifier.l.bias 5, classifier.classifier_dist.bn 8, classifier.classifier_dist.l.weight 5x8, classifier.classifier_dist.l.bias 5",
		"classifier.bias 5, classifier.weight 5x8, features.1.token_mixer.0.bias 8, features.1.token_mixer.0.weight 8x1x3x3"},
	{"RepViT in timm", nil, nil,
		"stem.conv1.c.weight 4x3x3x3, stem.conv1.bn 4, stages.0.blocks.0.token_mixer.conv.c.weight 8x1x5x5, stages.0.blocks.0.token_mixer.conv.bn 8, stages.0.blocks.0.token_mixer.conv1.weight 8x1x1x1, stages.0.blocks.0.token_mixer.conv1.bias 8, stages.0.blocks.0.token_mixer.bn 8, stages.0.blocks.0.channel_mixer.conv1.c.weight 16x8x1x1, stages.0.blocks.0.channel_mixer.conv1.bn 16, head.head.bn 8, head.head.l.weight 5x8, head.head.l.bias 5, head.head_dist.bn 8, head.head_dist.l.weight 5x8, head.head_dist.l.bias 5",
		"head.bias 5, head.weight 5x8, stages.0.blocks.0.channel_mixer.conv1.bias 16, stages.0.blocks.0.channel_mixer.conv1.weight 16x8x1x1, stages.0.blocks.0.token_mixer.bias 8, stages.0.blocks.0.token_mixer.weight 8x1x5x5, stem.conv1.bias 4, stem.conv1.weight 4x3x3x3"},
	{"LeViT's linear layers", nil, nil,
		"blocks.0.m.qkv.c.weight 32x16, blocks.0.m.qkv.bn 32, blocks.0.m.attention_biases 2x16, head.bn 16, head.l.weight 5x16, head.l.bias 5",
		"blocks.0.m.attention_biases 2x16, blocks.0.m.qkv.bias 32, blocks.0.m.qkv.weight 32x16, head.bias 5, head.weight 5x16"},
	{"TinyViT", nil, nil,
		"patch_embed.seq.0.c.weight 4x3x3x3, patch_embed.seq.0.bn 4, layers.1.blocks.0.local_conv.c.weight 8x1x3x3, layers.1.blocks.0.local_conv.bn 8, norm_head.weight 8, norm_head.bias 8",
		"layers.1.blocks.0.local_conv.bias 8, layers.1.blocks.0.local_conv.weight 8x1x3x3, norm_head.bias 8, norm_head.weight 8, patch_embed.seq.0.bias 4, patch_embed.seq.0.weight 4x3x3x3"},
	{"LSNet, whose LSConv keeps its batch norm", nil, nil,
		"blocks1.0.mixer.conv.c.weight 8x1x3x3, blocks1.0.mixer.conv.bn 8, blocks1.0.mixer.conv1.c.weight 8x1x1x1, blocks1.0.mixer.conv1.bn 8, blocks1.1.mixer.lkp.cv1.c.weight 4x8x1x1, blocks1.1.mixer.lkp.cv1.bn 4, blocks1.1.mixer.bn 8, blocks1.0.ffn.m.pw1.c.weight 16x8x1x1, blocks1.0.ffn.m.pw1.bn 16",
		"blocks1.0.ffn.m.pw1.bias 16, blocks1.0.ffn.m.pw1.weight 16x8x1x1, blocks1.0.mixer.bias 8, blocks1.0.mixer.weight 8x1x3x3, blocks1.1.mixer.bn 8, blocks1.1.mixer.lkp.cv1.bias 4, blocks1.1.mixer.lkp.cv1.weight 4x8x1x1"},
	{"RepGhost with both a batch norm and the identity", nil, []string{"second=yes"},
		"g.cheap_operation.0.weight 8x1x3x3, g.cheap_operation.1 8, g.fusion_bn.0 8, g.primary_conv.0.weight 8x6x1x1, g.primary_conv.1 8",
		"g.cheap_operation.bias 8, g.cheap_operation.weight 8x1x3x3, g.primary_conv.0.weight 8x6x1x1, g.primary_conv.1 8"},
	{"VanillaNet as a whole", nil, nil,
		"stem1.0.weight 4x3x4x4, stem1.0.bias 4, stem1.1 4, stem2.0.weight 4x4x1x1, stem2.0.bias 4, stem2.1 4, stem2.2.weight 4x1x7x7, stem2.2.bn 4, " +
			"stages.0.conv1.0.weight 4x4x1x1, stages.0.conv1.0.bias 4, stages.0.conv1.1 4, stages.0.conv2.0.weight 8x4x1x1, stages.0.conv2.0.bias 8, stages.0.conv2.1 8, stages.0.act.weight 8x1x7x7, stages.0.act.bn 8, " +
			"cls1.2.weight 5x8x1x1, cls1.2.bias 5, cls1.3 5, cls2.0.weight 5x5x1x1, cls2.0.bias 5",
		"cls.2.bias 5, cls.2.weight 5x8x1x1, stages.0.act.bias 8, stages.0.act.weight 8x1x7x7, stages.0.conv.bias 8, stages.0.conv.weight 8x4x1x1, stem.0.bias 4, stem.0.weight 4x3x4x4, stem.1.bias 4, stem.1.weight 4x1x7x7"},
	{"NextViT's transformer block", nil, nil,
		"b.norm1 32, b.e_mhsa.q.weight 32x32, b.e_mhsa.q.bias 32, b.e_mhsa.k.weight 32x32, b.e_mhsa.k.bias 32, b.e_mhsa.v.weight 32x32, b.e_mhsa.v.bias 32, b.e_mhsa.norm 32, b.e_mhsa.proj.weight 32x32, b.e_mhsa.proj.bias 32, b.norm2 32, b.mlp.fc1.weight 64x32x1x1, b.mlp.fc1.bias 64, b.mlp.fc2.weight 32x64x1x1, b.mlp.fc2.bias 32",
		"b.e_mhsa.k.bias 32, b.e_mhsa.k.weight 32x32, b.e_mhsa.proj.bias 32, b.e_mhsa.proj.weight 32x32, b.e_mhsa.q.bias 32, b.e_mhsa.q.weight 32x32, b.e_mhsa.v.bias 32, b.e_mhsa.v.weight 32x32, b.mlp.fc1.bias 64, b.mlp.fc1.weight 64x32x1x1, b.mlp.fc2.bias 32, b.mlp.fc2.weight 32x64x1x1"},
	{"ResNet's numbered pairs", []string{"conv-bn-numbered"}, nil,
		"conv1.weight 4x3x7x7, bn1 4, layer1.0.conv1.weight 4x4x3x3, layer1.0.bn1 4, layer1.0.conv2.weight 4x4x3x3, layer1.0.bn2 4, fc.weight 5x4",
		"conv1.bias 4, conv1.weight 4x3x7x7, fc.weight 5x4, layer1.0.conv1.bias 4, layer1.0.conv1.weight 4x4x3x3, layer1.0.conv2.bias 4, layer1.0.conv2.weight 4x4x3x3"},
	{"a Sequential", []string{"conv-bn-indexed"}, nil,
		"downsample.0.weight 8x4x1x1, downsample.1 8", "downsample.0.bias 8, downsample.0.weight 8x4x1x1"},
	{"three axes", []string{"conv-bn"}, nil,
		"conv.weight 8x4x3x3x3, bn 8", "conv.bias 8, conv.weight 8x4x3x3x3"},
	{"a linear layer", []string{"linear-bn"}, nil,
		"linear.weight 8x4, linear.bias 8, bn 8", "linear.bias 8, linear.weight 8x4"},
}

// Each family makes the keys and shapes that its deploy model asks for.
func TestDeclared(t *testing.T) {
	for _, test := range declared {
		p, err := recognise.Plan(tensors(t, test.train), recognise.Options{Families: builtin(t), Choices: test.choices, Sets: test.sets})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		var got []string
		for _, i := range p.Items(nil) {
			got = append(got, i.Key+" "+shapeText(i.Shape))
		}
		slices.Sort(got)
		var want []string
		for _, n := range tensors(t, test.deploy) {
			want = append(want, n.Key+" "+shapeText(n.Shape))
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s\nmakes %s\nwant  %s", test.name, taken(p), strings.Join(got, ", "), strings.Join(want, ", "))
		}
	}
}

func shapeText(shape []int) string {
	words := make([]string, len(shape))
	for k, n := range shape {
		words[k] = strconv.Itoa(n)
	}
	return strings.Join(words, "x")
}

// tensors is zeros under the keys of a list. What has one extent and no name of a
// tensor is a batch norm.
func tensors(t *testing.T, list string) []tensor.Named {
	t.Helper()
	var all []tensor.Named
	add := func(key string, shape ...int) {
		all = append(all, tensor.Named{Key: key, Tensor: tensor.Of(tensor.F32, shape, make([]float64, tensor.Elems(shape)))})
	}
	for _, entry := range strings.Split(list, ", ") {
		key, extents, _ := strings.Cut(entry, " ")
		var shape []int
		for _, w := range strings.Split(extents, "x") {
			n, err := strconv.Atoi(w)
			if err != nil {
				t.Fatalf("%q: %v", entry, err)
			}
			shape = append(shape, n)
		}
		name := key[strings.LastIndexByte(key, '.')+1:]
		if len(shape) > 1 || name == "weight" || name == "bias" || name == "gamma" {
			add(key, shape...)
			continue
		}
		for _, s := range []string{"weight", "bias", "running_mean", "running_var"} {
			add(key+"."+s, shape...)
		}
		add(key + ".num_batches_tracked")
	}
	return all
}
