package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repfuse"
)

// layers writes the keys of a network as listedTensors reads them.
type layers struct{ strings.Builder }

func (l *layers) kernel(module string, shape ...int) {
	fmt.Fprintf(l, "%s.weight %s\n", module, strings.Trim(fmt.Sprint(shape), "[]"))
}

// biased is a layer with a bias.
func (l *layers) biased(module string, shape ...int) {
	l.kernel(module, shape...)
	fmt.Fprintf(l, "%s.bias %d\n", module, shape[0])
}

func (l *layers) norm(module string, channels int) {
	for _, name := range []string{"weight", "bias", "running_mean", "running_var"} {
		fmt.Fprintf(l, "%s.%s %d\n", module, name, channels)
	}
}

// block is branches of LAYER and NORM below a module, each of one digit of rows by one of columns, and the identity's norm where
// as many channels go in as come out.
func (l *layers) block(module, layer, norm, identity string, in, out int, branches ...string) {
	for _, b := range branches {
		name, extents, _ := strings.Cut(b, " ")
		l.kernel(module+"."+name+layer, out, in, int(extents[0]-'0'), int(extents[2]-'0'))
		l.norm(module+"."+name+norm, out)
	}
	if in == out {
		l.norm(module+"."+identity, out)
	}
}

// leyolo is LeYOLO: inverted bottlenecks in a Sequential, convolutions with a bias before their norms.
func leyolo(l *layers) {
	conv := func(module string, in, out, k, groups int) {
		l.biased(module+".c", out, in/groups, k, k)
		l.norm(module+".bn", out)
	}
	conv("model.0", 3, 16, 3, 1)
	conv("model.1", 16, 16, 1, 1)
	for k, c := range [][3]int{{16, 16, 16}, {16, 96, 32}, {32, 96, 32}} {
		m := fmt.Sprintf("model.%d.conv.", k+2)
		conv(m+"0", c[0], c[1], 1, 1)
		conv(m+"1", c[1], c[1], 3, c[1])
		l.biased(m+"2", c[2], c[1], 1, 1)
		l.norm(m+"3", c[2])
	}
	for _, m := range []string{"model.5.cv2.0.", "model.5.cv3.0."} {
		l.kernel(m+"0.conv", 16, 32, 3, 3)
		l.norm(m+"0.bn", 16)
		l.biased(m+"1", 4, 16, 1, 1)
	}
}

// fast is czzup/FAST, whose TextNet docTR has with other names for main_conv.
func fast(l *layers) {
	l.kernel("module.backbone.first_conv.conv", 8, 3, 3, 3)
	l.norm("module.backbone.first_conv.bn", 8)
	rep := func(module string, in, out int, branches ...string) {
		l.block(module, "_conv", "_bn", "rbr_identity", in, out, branches...)
	}
	full := []string{"main 3x3", "ver 3x1", "hor 1x3"}
	rep("module.backbone.stage1.0", 8, 8, full...)
	rep("module.backbone.stage1.1", 8, 8, "main 1x3", "ver 1x1")
	rep("module.backbone.stage1.2", 8, 8, "main 3x1", "hor 1x1")
	rep("module.backbone.stage2.0", 8, 16, full...)
	rep("module.neck.reduce_layer1", 8, 8, full...)
	rep("module.neck.reduce_layer2", 16, 8, full...)
	rep("module.det_head.conv", 32, 8, full...)
	l.kernel("module.det_head.final.conv", 5, 8, 1, 1)
}

// loftr is EfficientLoFTR as transformers has it.
func loftr(l *layers) {
	const m = "efficientloftr."
	for k, c := range [][2]int{{1, 8}, {8, 8}, {8, 16}, {16, 16}} {
		l.block(fmt.Sprintf(m+"backbone.stages.%d.blocks.%d", k/2, k%2), ".conv", ".norm", "identity", c[0], c[1], "conv1 3x3", "conv2 1x1")
	}
	for _, a := range []string{"self_attention", "cross_attention"} {
		at := m + "local_feature_transformer.layers.0." + a
		l.kernel(at+".aggregation.q_aggregation", 16, 1, 4, 4)
		l.biased(at+".aggregation.norm", 16)
		for _, p := range []string{"q_proj", "k_proj", "v_proj", "o_proj"} {
			l.kernel(at+".attention."+p, 16, 16)
		}
		l.kernel(at+".mlp.fc1", 32, 32)
		l.kernel(at+".mlp.fc2", 16, 32)
		l.biased(at+".mlp.layer_norm", 16)
	}
	l.kernel("refinement_layer.out_conv", 16, 16, 1, 1)
	l.kernel("refinement_layer.out_conv_layers.0.out_conv1", 16, 8, 1, 1)
	l.kernel("refinement_layer.out_conv_layers.0.out_conv2", 16, 16, 3, 3)
	l.norm("refinement_layer.out_conv_layers.0.batch_norm", 16)
	l.kernel("refinement_layer.out_conv_layers.0.out_conv3", 8, 16, 3, 3)
}

// birder is its RepVGG.
func birder(l *layers) {
	branches := []string{"conv_kxk 3x3", "conv_1x1 1x1"}
	for k, c := range [][2]int{{3, 8}, {8, 8}, {8, 16}, {16, 16}} {
		name := fmt.Sprintf("body.stage%d.%d", (k+1)/2, (k+1)%2)
		if k == 0 {
			name = "stem"
		}
		l.block(name, ".conv", ".bn", "rbr_identity", c[0], c[1], branches...)
	}
	l.biased("classifier", 10, 16)
}

// repspk is wespeaker's RepSPK, whose second branch is dilated.
func repspk(l *layers) {
	for k, c := range [][2]int{{1, 8}, {8, 8}, {8, 16}, {16, 16}} {
		l.block(fmt.Sprintf("stage%d.%d", k/2, k%2), ".conv", ".bn", "rbr_identity", c[0], c[1], "rbr_dense 3x3", "rbr_dense_dilation 3x3")
	}
	l.biased("seg_1", 16, 64)
}

// Networks that issues name, as whole key sets: none is stopped or misled. Their blocks are found, all of them; the norms
// behind other layers stay, as long as nobody asks for --fold-bn, of which a note says; and what comes out is proven.
func TestNamedNetworks(t *testing.T) {
	for name, test := range map[string]struct {
		write func(*layers)
		// left is the norms that stay, unnamed those of them whose names do not say which layer they are behind.
		blocks, left, unnamed int
	}{
		"LeYOLO":                       {leyolo, 2, 11, 0},
		"FAST":                         {fast, 7, 1, 0},
		"EfficientLoFTR, transformers": {loftr, 4, 1, 1},
		"birder's RepVGG":              {birder, 4, 0, 0},
		"RepSPK":                       {repspk, 4, 0, 0},
	} {
		var l layers
		test.write(&l)
		dir := t.TempDir()
		src, out := filepath.Join(dir, "src.pth"), filepath.Join(dir, "out.pth")
		writePickled(t, src, listedTensors(t, l.String()))
		for _, flag := range []string{"", "--fold-bn "} {
			stdout, stderr, code := typed("plan --json " + flag + src)
			var planned repfuse.Planned
			if err := json.Unmarshal([]byte(stdout), &planned); code != exitYes || err != nil {
				t.Errorf("%s: %s%v", name, stderr, err)
				continue
			}
			blocks, left := test.blocks, test.left
			if flag != "" {
				blocks, left = blocks+left-test.unnamed, test.unnamed
			}
			norms := 0
			for _, f := range planned.Tensors {
				if strings.HasSuffix(f.Key, ".running_mean") && f.Fate != "fused" {
					norms++
				}
			}
			if len(planned.Blocks) != blocks || norms != left {
				t.Errorf("%s: plan %s: %d blocks and %d norms left, want %d and %d", name, flag, len(planned.Blocks), norms, blocks, left)
			}
			if says := slices.ContainsFunc(planned.Notes, func(n repfuse.Note) bool { return strings.HasPrefix(n.Hint, "--fold-bn") }); says != (norms > test.unnamed) {
				t.Errorf("%s: plan %s: --fold-bn is in the notes: %t", name, flag, says)
			}
			for _, line := range []string{"fuse -q -f " + flag + src + " " + out, "verify -q " + flag + src + " " + out} {
				if _, stderr, code := typed(line); code != exitYes {
					t.Errorf("%s: %s: %s", name, line, stderr)
				}
			}
		}
	}
}
