package recognise_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/draft"
	"repfuse/internal/family"
	"repfuse/internal/fuse"
	"repfuse/internal/golden"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

// drafts is the cases whose draft, rightly answered, is the reference's: with the facts of the module tree and without, or
// with facts alone, which hold the dilations. Of those under no there is a draft, and no answer is the reference's: a factor is in
// a branch, the sum is a part of a larger one, or the reference has no weights, is wrong, or leaves the last norm. Of all others there is no draft.
var drafts = map[string]string{
	"facts names": `
		acnet-acb-k3 acnet-acb-k3-p0-crop acnet-acb-k3-s2-g2 acnet-acb-k5-p2 birder-mobileone birder-repvgg-s1 birder-repvggdw damoyolo-repconv
		dbb-dw-k3-s2 dbb-k3-g2-internal dbb-k3-in_ne_out dfine-vggblock edgesam-conv2dbn edgesam-repvggdw efficientloftr-repvgg fastvit-mobileone-dw-k1 fastvlm-patchembed field-textnet-doctr field-textnet-fast
		lcnetv3-paddle lcnetv3-rep-dw5 lcnetv3-rep-pw1 lcnetv4 loftr-hf-id lsnet-repvggdw luxonis-rep-dw luxonis-rep-s1 mmpretrain-mobileone-dw-k4
		mmpretrain-repvgg-id mmpretrain-repvgg-s1 mmpretrain-repvgg-s1-d2-p2 mmpretrain-repvgg-s2 mmpretrain-repvgg-se-refbug mmyolo-repvgg-id
		mobileone-block-dw-k4 mobileone-block-pw-k1 mobileone-model-tiny nanodet-repvggconvmodule orepa-convbn-dbb plksr-repconv ppyoloe-repvgg
		qarepvgg-base-s1-id qarepvgg-v2-s1-id qarepvgg-v2-s2-in_eq_out qarepvgg-v2-se-refbug qarepvgg-v6-id rdrnet-rb-s1 replknet-lkconv-dw-k13-s5
		replknet-model-tiny-deepfuse repplain-id reprlfn-repblock repvgg-block-g4 repvgg-block-s1 repvgg-block-s2-in_eq_out repvgg-block-se repvgg-model-tiny
		repvggplus-model-tiny repvit-model-tiny repvit-repvggdw rmnet-repblock rtdetr-repvggblock rtdetrv2-cspresnet-alpha0 rtdetrv2-repvggblock slak-lkconv-decom
		snowvision-reparamdw textnet-1x3 textnet-3x1 textnet-3x3 timm-mobileone-block-dw-k4 timm-mobileone-block-s2-k1 timm-mobileone-model-tiny
		timm-repvgg-block-gs4 timm-repvgg-block-s1 timm-repvgg-model-tiny timm-repvit-dw-legacy timm-repvit-dw-new tinyvim-axias-h ultralytics-conv-d2
		ultralytics-repconv ultralytics-repconv-bn wespeaker-repvgg-se yolomif-dbb yolomif-widedbb yolov10-cib-lk yolov10-repvggdw yolov6-qarepvgg-id-full
		yolov6-repvgg-id yolov6-repvgg-s2 yolov7-ckpt-half yolov7-repconv-g2-id yolov7-repconv-id yolov7-repconv-noid yolov9-repconvn yolov9-repncspelan4`,
	"facts": `
		overlock-dilated-k11 overlock-dilated-k19 overlock-dilated-k7 overlock-repconvblock unireplknet-dilated-k13 unireplknet-dilated-k17
		unireplknet-dilated-k5 unireplknet-dilated-k7 wespeaker-repspk-s1`,
	"no": `
		acnet-acb-k3-noaffine csrep-tdnnblock eecnet-eec efdn-edbb-idt-no13 fastvit-repmixer-ls fastvit-repmixer-nols fastvlm-repmixerblock field-yoloe-text
		gaterv3-conv3xc-nobias gcnet-gcblock-s1 mfdnet-repconv-REFBUG mmyolo-repvgg-alpha mobileclip-text-repmixer omnishift-flexnet orepa-repvgg-s1-id
		ppyoloe-repvgg-alpha qarepvgg-v3-s1-id repnext-dwconv-m-s1 repnext-model-tiny rtmosr-repconv sg-repvgg-alpha span-conv3xc span-conv3xc2-g2
		timm-fastvit-model-tiny timm-fastvit-repmixer timm-nextvit-ncb ultralytics-conv2 unireplknet-block-k7 yolomif-acdbb yolomif-deepacdbb yolomif-deepdbb yolomif-deepdbb-dw-s2
		yolonas-qarepvgg-d2-g2-full yolonas-qarepvgg-id-alpha-full yolonas-qarepvgg-id-alpha-partial yolov6-linearadd-id yolov6-qarepvgg-id yolov6-qarepvgg-s2
		yolov6-qarepvggv2-id yolov7-model-tiny-notebook yolov7-repconv-g2-id-REFBUG`,
}

// Of every reference case, with no family known: a draft is read back and planned, and with the right answers every
// block of it fuses to the reference's own kernels and biases, in the cases that the table lists.
func TestDraftOfCases(t *testing.T) {
	want := map[string]string{}
	for by, list := range drafts {
		for name := range strings.FieldsSeq(list) {
			want[name] = by
		}
	}
	for k, name := range golden.Cases(t) {
		if testing.Short() && k%8 > 0 {
			continue
		}
		c, got := golden.Load(t, name), ""
		for _, by := range []string{"facts", "names"} {
			o := recognise.Options{Families: &family.Set{}}
			if by == "facts" {
				o.Facts = c.Facts()
			}
			d, err := recognise.Draft(c.Train, o)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if len(d.Families) == 0 {
				continue
			}
			list, err := family.Load("mine.yaml", []byte(draft.YAML(name, d.Families)))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if answersThatHold(t, c, list) {
				got = strings.TrimSpace(got + " " + by)
			} else if got == "" {
				got = "no"
			}
		}
		if got != want[name] {
			t.Errorf("%s: right by %q, want %q", name, got, want[name])
		}
		delete(want, name)
	}
	if len(want) > 0 && !testing.Short() {
		t.Errorf("%v are no cases", slices.Sorted(maps.Keys(want)))
	}
}

// answersThatHold tries all answers to what a draft asks
// and reports whether its blocks are the reference's with some.
func answersThatHold(t *testing.T, c golden.Case, list []*family.Family) bool {
	t.Helper()
	names := map[string]bool{}
	for _, f := range list {
		f.Own = true
		for _, q := range f.Ask {
			names[q.Name] = true
		}
	}
	questions := slices.Sorted(maps.Keys(names))
	for bits := range 1 << len(questions) {
		var sets []string
		for k, name := range questions {
			sets = append(sets, fmt.Sprintf("%s=%s", name, []string{"yes", "no"}[bits>>k&1]))
		}
		set := &family.Set{}
		if err := set.Add(list...); err != nil {
			t.Fatal(err)
		}
		o := recognise.Options{Families: set, Facts: c.Facts(), Sets: sets}
		p, err := recognise.Plan(c.Train, o)
		if err != nil && strings.Contains(err.Error(), "--identity yes: fits no block") { // a norm takes its place
			o.Sets = slices.DeleteFunc(sets, func(s string) bool { return s == "identity=yes" })
			p, err = recognise.Plan(c.Train, o)
		}
		if err == nil && len(p.Blocks) > 0 && !slices.ContainsFunc(p.Blocks, func(b plan.Block) bool { return !isReference(t, b, c) }) {
			return true
		}
	}
	return false
}

// isReference reports whether the reference's deploy form has a block's kernel and bias below the block's module.
func isReference(t *testing.T, b plan.Block, c golden.Case) bool {
	t.Helper()
	reference := c.Deploy
	if reference == nil {
		reference = c.Derived
	}
	has := func(made tensor.Tensor) bool {
		values, err := made.Floats()
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(reference, func(r tensor.Named) bool {
			if !strings.HasPrefix(r.Key, b.Path) || !slices.Equal(r.Shape, made.Shape) || !r.Type.IsFloat() {
				return false
			}
			want, err := r.Floats()
			return err == nil && distance(values, want) <= 1e-5
		})
	}
	for _, o := range b.Outputs {
		conv, err := fuse.Collapse(o.Expr, tensor.F32)
		if err != nil {
			t.Fatal(err)
		}
		if !has(conv.Weight.Tensor) || conv.Bias != nil && !has(conv.Bias.Tensor) {
			return false
		}
	}
	return true
}
