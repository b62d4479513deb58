package recognise_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/golden"
	"repfuse/internal/hint"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

// two is two blocks that keep open whether they add their input.
const two = `a.rbr_dense.weight[8,8,3,3] a.rbr_1x1.weight[8,8,1,1] a.bn:8 s.b.rbr_dense.weight[8,8,3,3] s.b.rbr_1x1.weight[8,8,1,1] s.b.bn:8`

// The last setting whose glob fits a block decides it.
func TestSettings(t *testing.T) {
	for _, test := range []struct {
		sets string
		want string // the answers of a and of s.b
		err  string
	}{
		{"identity=yes", "yes yes", ""},
		{"identity=no", "no no", ""},
		{"identity=1", "1 1", ""},
		{"**=identity=yes", "yes yes", ""},
		{"identity=yes a=identity=no", "no yes", ""},
		{"identity=yes s.b=identity=no", "yes no", ""},
		{"identity=yes s.*=identity=no", "yes no", ""},
		{"*=identity=yes s.**=identity=no", "yes no", ""},
		{"a=identity=no s.b=identity=yes", "no yes", ""},
		{"a=identity=yes", "", "s.b: no key says"},
		{"a=identity=no identity=yes", "", "--identity a=no: is overruled by --identity yes behind it, wherever it fits"},
		{"identity=no a=identity=yes s.b=identity=yes", "", "--identity no: is overruled by --identity "},
		{"identity=yes c=identity=no", "", "--identity c=no: fits no block"},
		{"identity=yes other=yes", "", "--set other=yes: fits no block"},
		{"identity=yes .=identity=no", "", "--identity .=no: fits no block"},
		{"identity=Yes", "", "a (qarepvgg): identity=Yes, want yes or no"},
		{"identity=", "", "identity=, want yes or no"},
		{"identity=yes eps=small", "", "eps=small, want a number"},
		{"identity", "", "identity: want [GLOB=]NAME=VALUE"},
		{"a=b=c=d", "", "a=b=c=d: want [GLOB=]NAME=VALUE"},
	} {
		p, err := recognise.Plan(named(t, two), recognise.Options{Families: builtin(t), Sets: strings.Fields(test.sets)})
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: error %v, want one that says %q", test.sets, err, test.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.sets, err)
			continue
		}
		var got []string
		for _, b := range p.Blocks {
			for _, a := range b.Answers {
				got = append(got, a.Value)
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: answers %v, want %s", test.sets, got, test.want)
		}
	}
}

// The last --family whose glob fits a module decides it; none leaves it.
func TestChoices(t *testing.T) {
	c := golden.Load(t, "yolov6-repvgg-id") // the block blk
	for _, test := range []struct {
		choices string
		want    string
		err     string
	}{
		{"", "repvgg", ""},
		{"repvgg/yolov6", "repvgg/yolov6", ""},
		{"blk=repvgg/yolov6", "repvgg/yolov6", ""},
		{"repvgg blk=repvgg/yolov6", "", "--family repvgg: fits no block"},
		{"blk=none", "", ""},
		{"none", "", ""},
		{"blk=repvgg/yolov6 nowhere=repvgg", "", "--family nowhere=repvgg: fits no block"},
		{"repvgg/other", "", "no such dialect"},
		{"rep-vgg", "", `no family is called "rep-vgg"`},
		{"a=b=c", "", "a=b=c: want [GLOB=]FAMILY"},
	} {
		p, err := recognise.Plan(c.Train, recognise.Options{Families: builtin(t), Choices: strings.Fields(test.choices)})
		switch {
		case test.err == "" && err != nil, test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%q: error %v, want %q", test.choices, err, test.err)
		case test.err == "" && taken(p) != test.want:
			t.Errorf("%q: taken as %q, want %q", test.choices, taken(p), test.want)
		}
	}
}

// A prefix that is said, or the wrappers that all keys have, are taken off.
func TestPrefix(t *testing.T) {
	block := `PREa.rbr_dense.conv.weight[8,8,3,3] PREa.rbr_dense.bn:8 PREa.rbr_1x1.conv.weight[8,8,1,1] PREa.rbr_1x1.bn:8`
	for _, test := range []struct{ on, said, prefix, key, err string }{
		{on: "", key: "a.rbr_reparam.weight"},
		{on: "module.", prefix: "module.", key: "a.rbr_reparam.weight"},
		{on: "_orig_mod.module.", prefix: "_orig_mod.module.", key: "a.rbr_reparam.weight"},
		{on: "net.", key: "net.a.rbr_reparam.weight"},
		{on: "net.", said: "net.", prefix: "net.", key: "a.rbr_reparam.weight"},
		{on: "net.", said: "other.", err: `does not begin with the prefix "other."`},
	} {
		p, err := recognise.Plan(named(t, strings.ReplaceAll(block, "PRE", test.on)), recognise.Options{Families: builtin(t), Selection: plan.Selection{Prefix: test.said}})
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%+v: error %v", test, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", test, err)
			continue
		}
		if keys := written(p); p.Prefix != test.prefix || !slices.Contains(keys, test.key) {
			t.Errorf("%+v: the prefix %q, written %v", test, p.Prefix, keys)
		}
	}
	mixed := named(t, strings.ReplaceAll(block, "PRE", "module.")+" head.weight[2,8]")
	if p, err := recognise.Plan(mixed, recognise.Options{Families: builtin(t)}); err != nil || p.Prefix != "" || !slices.Contains(written(p), "head.weight") {
		t.Errorf("one key without the wrapper: %v, written %v", err, written(p))
	}
}

func written(p *plan.Plan) []string {
	var keys []string
	for _, i := range p.Items(nil) {
		keys = append(keys, i.Key)
	}
	return keys
}

// A block is one layer: a part of it that is to be left is an error, and so is a glob that fits such a part.
func TestPartLeft(t *testing.T) {
	c := golden.Load(t, "repvgg-model-tiny")
	for _, test := range []struct{ choice, want, hint string }{
		{"stage1.0.rbr_dense.bn=none", "--family stage1.0.rbr_dense.bn=none: stage1.0.rbr_dense.bn is a part of stage1.0, a repvgg block, want all of it left or none",
			"--family stage1.0=none leaves the block as it is"},
		{"**.rbr_identity=none", "--family **.rbr_identity=none: stage1.1.rbr_identity is a part of stage1.1, a repvgg block, want all of it left or none",
			"--family stage1.1=none leaves the block as it is"},
		{"stage1.**=none", "", ""},
	} {
		_, err := recognise.Plan(c.Train, recognise.Options{Families: builtin(t), Choices: []string{test.choice}})
		if got := fmt.Sprint(err); err == nil != (test.want == "") || err != nil && (got != test.want || hint.Of(err) != test.hint) {
			t.Errorf("--family %s: %v (%s), want %q (%s)", test.choice, err, hint.Of(err), test.want, test.hint)
		}
	}
}

// A hint about a module is of that module alone, whatever its name has.
func TestHintOfOneModule(t *testing.T) {
	c := golden.Load(t, "repvgg-block-s1")
	var tensors []tensor.Named
	for _, x := range c.Train {
		if x.Key == "rbr_1x1.bn.running_var" {
			continue
		}
		for _, module := range []string{"a*", "ab"} {
			if module == "a*" || x.Key != "rbr_dense.bn.weight" {
				tensors = append(tensors, tensor.Named{Key: module + "." + x.Key, Tensor: x.Tensor})
			}
		}
	}
	slices.SortFunc(tensors, func(a, b tensor.Named) int { return strings.Compare(a.Key, b.Key) })
	_, err := recognise.Plan(tensors, recognise.Options{Families: builtin(t)})
	if got, want := hint.Of(err), `--family '"a*"=none' leaves it as it is`; got != want {
		t.Fatalf("%v: hint %s, want %s", err, got, want)
	}
	_, err = recognise.Plan(tensors, recognise.Options{Families: builtin(t), Choices: []string{`"a*"=none`}})
	if got, want := hint.Of(err), "--family ab=none leaves it as it is"; got != want {
		t.Errorf("%v: hint %s, want %s", err, got, want)
	}
}
