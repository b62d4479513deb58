package main

import (
	"fmt"
	"strconv"
	"strings"

	"repfuse/internal/tensor"
)

// models is what can be generated, by name. Sizes are those of the papers.
var models = map[string]func(*checkpoint){
	"A0":             repVGG([4]int{2, 4, 14, 1}, [5]int{48, 48, 96, 192, 1280}).add,
	"B1":             repVGGB1.add,
	"B3":             repVGG([4]int{4, 6, 16, 1}, [5]int{64, 192, 384, 768, 2560}).add,
	"mobileone-s0":   mobileOneS0().add,
	"dbb-r18":        dbbResNet18,
	"unireplknet-s":  uniRepLKNetS,
	"hifigan":        hifiGAN,
	"tinyllama":      tinyLlama,
	"tinyllama-lora": tinyLlamaLoRA,
	"huge":           func(c *checkpoint) { repVGGBlock("stage0", 4096, 4096, 1).add(c) }, // one block of 671 MB
}

// byName is a model, or several of one, whose keys begin with net0, net1 and so on.
func byName(name string) (c checkpoint, known bool) {
	name, times, several := strings.Cut(name, "*")
	build, known := models[name]
	if !known {
		return nil, false
	}
	if build(&c); !several {
		return c, true
	}
	n, err := strconv.Atoi(times)
	one := c
	c = nil
	for k := range n {
		for _, e := range one {
			e.Key = fmt.Sprintf("net%d.%s", k, e.Key)
			c = append(c, e)
		}
	}
	return c, err == nil && n > 0
}

// block is a re-parameterized block: convolutions side by side with a batch norm each, and
// a batch norm alone where the input is added.
type block struct {
	path                   string
	out, in                int
	kernel, groups, stride int
	dense, point, identity string // its modules
	branches               int    // like dense: "dense.0" and so on, where they are not 0
}

// skips says whether the input is added.
func (b block) skips() bool { return b.out == b.in && b.stride == 1 }

// convolutions are the modules that have one, and its kernel.
func (b block) convolutions(visit func(path string, kernel int)) {
	for k := range b.branches {
		visit(fmt.Sprintf("%s.%s.%d", b.path, b.dense, k), b.kernel)
	}
	if b.branches == 0 {
		visit(b.path+"."+b.dense, b.kernel)
	}
	if b.kernel > 1 {
		visit(b.path+"."+b.point, 1)
	}
}

func (b block) add(c *checkpoint) {
	if b.skips() {
		c.bn(b.path+"."+b.identity, b.out)
	}
	b.convolutions(func(path string, kernel int) { c.convBN(path, b.out, b.in/b.groups, kernel) })
}

// blocks is a network for 1,000 classes, its blocks one after the other.
type blocks []block

func (all blocks) add(c *checkpoint) {
	for _, b := range all {
		b.add(c)
	}
	c.linear("linear", 1000, all[len(all)-1].out)
}

var repVGGB1 = repVGG([4]int{4, 6, 16, 1}, [5]int{64, 128, 256, 512, 2048})

// repVGG is RepVGG (Ding et al., CVPR 2021) of so many blocks and channels a stage;
// stage 0 is one block. The first of a stage has stride 2.
func repVGG(depths [4]int, channels [5]int) blocks {
	all := blocks{repVGGBlock("stage0", channels[0], 3, 2)}
	in := channels[0]
	for s, n := range depths {
		out := channels[s+1]
		for k := range n {
			all = append(all, repVGGBlock(fmt.Sprintf("stage%d.%d", s+1, k), out, in, max(1, 2-k)))
			in = out
		}
	}
	return all
}

func repVGGBlock(path string, out, in, stride int) block {
	return block{path: path, out: out, in: in, kernel: 3, groups: 1, stride: stride,
		dense: "rbr_dense", point: "rbr_1x1", identity: "rbr_identity"}
}

// mobileOneS0 is MobileOne-S0 (Vasu et al., CVPR 2023): many small tensors. Every
// block is a depthwise and a pointwise convolution of four branches each.
func mobileOneS0() (all blocks) {
	add := func(path string, out, in, kernel, groups, stride, branches int) {
		all = append(all, block{path: path, out: out, in: in, kernel: kernel, groups: groups, stride: stride,
			dense: "rbr_conv", point: "rbr_scale", identity: "rbr_skip", branches: branches})
	}
	add("stage0", 48, 3, 3, 1, 2, 1)
	in := 48
	for s, stage := range []struct{ blocks, out int }{{2, 48}, {8, 128}, {10, 256}, {1, 1024}} {
		for b := range stage.blocks {
			at := fmt.Sprintf("stage%d.", s+1)
			add(fmt.Sprint(at, 2*b), in, in, 3, in, max(1, 2-b), 4)
			add(fmt.Sprint(at, 2*b+1), stage.out, in, 1, 1, 1, 4)
			in = stage.out
		}
	}
	return all
}

// dbbResNet18 is ResNet-18 with Diverse Branch Blocks (Ding et al., CVPR 2021) for
// its 3×3 convolutions: products of dense kernels.
func dbbResNet18(c *checkpoint) {
	c.convBN("stage0", 64, 3, 7)
	in := 64
	for s, out := range []int{64, 128, 256, 512} {
		for b := range 2 {
			at := fmt.Sprintf("stage%d.%d", s+1, b)
			if in != out {
				c.convBN(at+".shortcut", out, in, 1)
			}
			c.dbb(at+".conv1", out, in)
			c.dbb(at+".conv2", out, out)
			in = out
		}
	}
	c.linear("linear", 1000, in)
}

func (c *checkpoint) dbb(path string, out, in int) {
	c.convBN(path+".dbb_origin", out, in, 3)
	c.conv(path+".dbb_avg.conv", out, in, 1)
	c.bn(path+".dbb_avg.bn.bn", out)
	c.bn(path+".dbb_avg.avgbn", out)
	c.convBN(path+".dbb_1x1", out, in, 1)
	c.conv(path+".dbb_1x1_kxk.idconv1", in, in, 1)
	c.bn(path+".dbb_1x1_kxk.bn1.bn", in)
	c.conv(path+".dbb_1x1_kxk.conv2", out, in, 3)
	c.bn(path+".dbb_1x1_kxk.bn2", out)
}

// hifiGAN is the generator of HiFi-GAN V1 (Kong et al., NeurIPS 2020), weight norm throughout.
func hifiGAN(c *checkpoint) {
	normed := func(path string, bias int, shape ...int) {
		c.bias(path+".bias", bias)
		c.add(path+".weight_g", 0.5, 2, shape[0], 1, 1)
		c.weight(path+".weight_v", shape...)
	}
	normed("conv_pre", 512, 512, 80, 7)
	n := 512
	for s, kernel := range []int{16, 16, 4, 4} {
		normed(fmt.Sprintf("ups.%d", s), n/2, n, n/2, kernel) // transposed: its first axis is the input
		n /= 2
		for r, kernel := range []int{3, 7, 11} {
			for k := range 3 {
				for _, convs := range []string{"convs1", "convs2"} {
					normed(fmt.Sprintf("resblocks.%d.%s.%d", 3*s+r, convs, k), n, n, n, kernel)
				}
			}
		}
	}
	normed("conv_post", 1, 1, n, 7)
}

// uniRepLKNetS is UniRepLKNet-S (Ding et al., CVPR 2024): depthwise kernels of 13×13
// with dilated branches, or plain ones of 3×3.
func uniRepLKNetS(c *checkpoint) {
	c.linear("downsample_layers.0.0", 48, 3, 3, 3)
	c.norm("downsample_layers.0.1", 48)
	c.linear("downsample_layers.0.3", 96, 48, 3, 3)
	c.norm("downsample_layers.0.4", 96)
	for s, large := range []string{"...", "LLL", strings.Repeat("L..", 9), "LLL"} {
		n := 96 << s
		if s > 0 {
			c.linear(fmt.Sprintf("downsample_layers.%d.0", s), n, n/2, 3, 3)
			c.norm(fmt.Sprintf("downsample_layers.%d.1", s), n)
		}
		for b, kind := range large {
			c.uniRepLKBlock(fmt.Sprintf("stages.%d.%d", s, b), n, kind == 'L')
		}
	}
	c.norm("norm", 768)
	c.linear("head", 1000, 768)
}

func (c *checkpoint) uniRepLKBlock(path string, n int, large bool) {
	if large {
		c.conv(path+".dwconv.lk_origin", n, 1, 13)
		c.bn(path+".dwconv.origin_bn", n)
		for _, b := range [][2]int{{5, 1}, {7, 2}, {3, 3}, {3, 4}, {3, 5}} {
			c.conv(fmt.Sprintf("%s.dwconv.dil_conv_k%d_%d", path, b[0], b[1]), n, 1, b[0])
			c.bn(fmt.Sprintf("%s.dwconv.dil_bn_k%d_%d", path, b[0], b[1]), n)
		}
	} else {
		c.conv(path+".dwconv", n, 1, 3)
	}
	c.bn(path+".norm", n)
	c.linear(path+".se.down", n/4, n, 1, 1)
	c.linear(path+".se.up", n, n/4, 1, 1)
	c.linear(path+".pwconv1.1", 4*n, n)
	c.add(path+".act.1.gamma", -1, 1, 1, 1, 1, 4*n)
	c.add(path+".act.1.beta", -1, 1, 1, 1, 1, 4*n)
	c.weight(path+".pwconv2.0.weight", n, 4*n)
	c.bn(path+".pwconv2.2", n)
	c.add(path+".gamma", 0, 1, n)
}

// Sizes of TinyLlama-1.1B (Zhang et al., 2024).
const (
	llamaLayers = 22
	llamaWidth  = 2048
	llamaValues = 256 // channels of the keys and of the values
)

// tinyLlama is TinyLlama-1.1B as it is published, 2.2 GB of bfloat16.
func tinyLlama(c *checkpoint) {
	const vocabulary, inner = 32000, 5632
	c.weight("model.embed_tokens.weight", vocabulary, llamaWidth)
	for k := range llamaLayers {
		at := fmt.Sprintf("model.layers.%d.", k)
		for _, layer := range []struct {
			name    string
			out, in int
		}{
			{"self_attn.q_proj", llamaWidth, llamaWidth}, {"self_attn.k_proj", llamaValues, llamaWidth},
			{"self_attn.v_proj", llamaValues, llamaWidth}, {"self_attn.o_proj", llamaWidth, llamaWidth},
			{"mlp.gate_proj", inner, llamaWidth}, {"mlp.up_proj", inner, llamaWidth}, {"mlp.down_proj", llamaWidth, inner},
		} {
			c.weight(at+layer.name+".weight", layer.out, layer.in)
		}
		for _, name := range []string{"input_layernorm", "post_attention_layernorm"} {
			c.add(at+name+".weight", 0.5, 1.5, llamaWidth)
		}
	}
	c.add("model.norm.weight", 0.5, 1.5, llamaWidth)
	c.weight("lm_head.weight", vocabulary, llamaWidth)
	for k := range *c {
		(*c)[k].Type = tensor.BF16
	}
}

// tinyLlamaLoRA is a LoRA of rank 16 of the layers that PEFT takes by itself, the queries' and the values',
// under kohya's keys, which need no second file.
func tinyLlamaLoRA(c *checkpoint) {
	const rank = 16
	for k := range llamaLayers {
		at := fmt.Sprintf("lora_te_model_layers_%d_self_attn_", k)
		c.lora(at+"q_proj", llamaWidth, llamaWidth, rank)
		c.lora(at+"v_proj", llamaValues, llamaWidth, rank)
	}
}

func (c *checkpoint) lora(path string, out, in, rank int) {
	c.weight(path+".lora_down.weight", rank, in)
	c.weight(path+".lora_up.weight", out, rank)
	c.add(path+".alpha", float32(rank), float32(rank))
}
