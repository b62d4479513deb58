package main

import (
	"fmt"
	"strconv"
	"strings"
)

// models is what can be generated, by name. Sizes are those of the papers.
var models = map[string]func(*checkpoint){
	"A0":            repVGG([4]int{2, 4, 14, 1}, [5]int{48, 48, 96, 192, 1280}),
	"B1":            repVGG([4]int{4, 6, 16, 1}, [5]int{64, 128, 256, 512, 2048}),
	"B3":            repVGG([4]int{4, 6, 16, 1}, [5]int{64, 192, 384, 768, 2560}),
	"mobileone-s0":  mobileOneS0,
	"dbb-r18":       dbbResNet18,
	"unireplknet-s": uniRepLKNetS,
	"huge":          func(c *checkpoint) { c.repVGGBlock("stage0", 4096, 4096, true) }, // one block of 671 MB
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

// repVGG is RepVGG (Ding et al., CVPR 2021) of so many blocks and channels a stage;
// stage 0 is one block.
func repVGG(blocks [4]int, channels [5]int) func(*checkpoint) {
	return func(c *checkpoint) {
		c.repVGGBlock("stage0", channels[0], 3, false)
		in := channels[0]
		for s, n := range blocks {
			out := channels[s+1]
			for b := range n {
				c.repVGGBlock(fmt.Sprintf("stage%d.%d", s+1, b), out, in, b > 0)
				in = out
			}
		}
		c.linear("linear", 1000, in)
	}
}

func (c *checkpoint) repVGGBlock(path string, out, in int, identity bool) {
	if identity {
		c.bn(path+".rbr_identity", out)
	}
	c.convBN(path+".rbr_dense", out, in, 3)
	c.convBN(path+".rbr_1x1", out, in, 1)
}

// mobileOneS0 is MobileOne-S0 (Vasu et al., CVPR 2023): many small tensors. Every
// block is a depthwise and a pointwise convolution of four branches each.
func mobileOneS0(c *checkpoint) {
	c.mobileOneBlock("stage0", 48, 3, 3, 1, true, false)
	in := 48
	for s, stage := range []struct{ blocks, out int }{{2, 48}, {8, 128}, {10, 256}, {1, 1024}} {
		for b := range stage.blocks {
			at := fmt.Sprintf("stage%d.", s+1)
			c.mobileOneBlock(fmt.Sprint(at, 2*b), in, 1, 3, 4, true, b > 0)
			c.mobileOneBlock(fmt.Sprint(at, 2*b+1), stage.out, in, 1, 4, false, in == stage.out)
			in = stage.out
		}
	}
	c.linear("linear", 1000, in)
}

func (c *checkpoint) mobileOneBlock(path string, out, in, kernel, branches int, scale, skip bool) {
	if skip {
		c.bn(path+".rbr_skip", out)
	}
	for b := range branches {
		c.convBN(fmt.Sprint(path, ".rbr_conv.", b), out, in, kernel)
	}
	if scale {
		c.convBN(path+".rbr_scale", out, in, 1)
	}
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
