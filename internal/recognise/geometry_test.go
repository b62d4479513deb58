package recognise_test

import (
	"strings"
	"testing"

	"repfuse/internal/facts"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
)

const repvggKeys = `b.rbr_dense.conv.weight[8,8,3,3] b.rbr_dense.bn:8 b.rbr_1x1.conv.weight[8,8,1,1] b.rbr_1x1.bn:8`

func geometry(stride int, mode string) *facts.Model {
	return &facts.Model{Version: facts.Version, Modules: map[string]facts.Module{
		"b.rbr_dense.conv": {Class: "Conv2d", Kernel: []int{3, 3}, Stride: []int{2, 2}, PaddingMode: mode},
		"b.rbr_1x1.conv":   {Class: "Conv2d", Kernel: []int{1, 1}, Stride: []int{stride, stride}, PaddingMode: "zeros"},
	}}
}

// Branches that step differently cannot be added, whatever their kernels.
func TestStridesDiffer(t *testing.T) {
	for stride, want := range map[int]string{2: "", 1: "b.rbr_1x1.conv has stride [1 1], want [2 2] as b.rbr_dense.conv has"} {
		_, err := recognise.Plan(named(t, repvggKeys), recognise.Options{Families: builtin(t), Facts: geometry(stride, "zeros")})
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("1×1 of stride %d: error %v, want %q", stride, err, want)
		}
	}
}

// A padding that is not zeros is the deploy convolution's business too, and said.
func TestPaddingMode(t *testing.T) {
	for mode, want := range map[string]bool{"zeros": false, "": false, "reflect": true} {
		p, err := recognise.Plan(named(t, repvggKeys), recognise.Options{Families: builtin(t), Facts: geometry(2, mode)})
		if err != nil {
			t.Fatal(err)
		}
		if got := noted(p, "b: pads by reflect"); got != want {
			t.Errorf("padding mode %q: noted %t, want %t", mode, got, want)
		}
	}
}

// A model of which some blocks are fused already is fused further, and says so.
func TestHalfFused(t *testing.T) {
	p, err := recognise.Plan(named(t, repvggKeys+` a.rbr_reparam.weight[8,8,3,3] a.rbr_reparam.bias[8]`), recognise.Options{Families: builtin(t)})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Blocks) != 1 || !noted(p, "a: fused already") {
		t.Errorf("%d blocks, notes %v; want one and a word about the fused one", len(p.Blocks), p.Notes)
	}
}

func noted(p *plan.Plan, text string) bool {
	for _, n := range p.Notes {
		if strings.HasPrefix(n.String(), text) {
			return true
		}
	}
	return false
}
