package recognise_test

import (
	"slices"
	"strings"
	"testing"

	"repfuse/internal/plan"
	"repfuse/internal/recognise"
)

// trained is the keys of a block that begin with PRE.
const trained = `PREa.rbr_dense.conv.weight[8,8,3,3] PREa.rbr_dense.bn:8 PREa.rbr_1x1.conv.weight[8,8,1,1] PREa.rbr_1x1.bn:8 `

func block(prefix string) string { return strings.ReplaceAll(trained, "PRE", prefix) }

// Which tensors are looked at, what is taken off their keys, and what becomes of the others.
func TestSelection(t *testing.T) {
	student := plan.Selection{Only: []string{"S.**"}, Prefix: "S."}
	for _, test := range []struct {
		keys, wrapper string
		asked         plan.Selection
		want          string // what is written
		note, err     string
	}{
		{keys: block("model._orig_mod."), want: "model.a.rbr_reparam", note: "keys with _orig_mod., which torch.compile puts in: 10"},
		{keys: block("model._orig_mod."), wrapper: "model.", want: "a.rbr_reparam"},
		{keys: block("model.") + "loss.weight[1]", wrapper: "model.", want: "model.a.rbr_reparam loss.weight"},
		{keys: block("model.model."), wrapper: "model.", want: "model.a.rbr_reparam"},
		{keys: strings.ReplaceAll(block(""), "a.", "a._orig_mod.") + "head.weight[2,8]", want: "a.rbr_reparam head.weight"},
		{keys: block("module._orig_mod."), want: "a.rbr_reparam"},
		{keys: block("_orig_mod.module."), want: "a.rbr_reparam"},
		{keys: block("my_orig_mod."), want: "my_orig_mod.a.rbr_reparam"},
		{keys: block("module.") + "n_averaged[1]", want: "a.rbr_reparam", note: "every key begins with module."},
		{keys: block("S.") + block("T."), asked: student, want: "a.rbr_reparam"},
		{keys: block("S.") + block("T."), asked: plan.Selection{Prefix: "S."}, err: `T.a.rbr_dense.conv.weight does not begin with the prefix "S."`},
		{keys: block("S.") + block("T."), asked: plan.Selection{Without: []string{"T.**"}}, want: "S.a.rbr_reparam"},
		{keys: block("S.") + "T.b.weight[2,8]", asked: plan.Selection{Only: []string{"S.**"}, KeepRest: true}, want: "S.a.rbr_reparam T.b.weight"},
		{keys: block("S.") + block("T."), asked: plan.Selection{Only: []string{"X.**"}}, err: "--only X.** fits no key"},
		{keys: block("S.") + block("T."), asked: plan.Selection{Without: []string{"S.*"}}, err: "--drop S.* fits no key"},
		{keys: block(""), asked: plan.Selection{KeepRest: true}, err: "--rest keep without --only"},
		{keys: block("") + "a.weight[1] a._orig_mod.weight[1]", err: "are both a.weight without _orig_mod."},
		{keys: block("") + "a.rbr_dense.activation_post_process.scale[1] a.rbr_dense.conv.weight_fake_quant.activation_post_process.min_val[8] " +
			"activation_post_process_12.eps[1] a.rbr_1x1.conv.weight_fake_quant.zero_point[1] a.rbr_1x1.conv.bias_fake_quant.scale[1]", want: "a.rbr_reparam", note: "5 tensors are state of quantization observers"},
	} {
		p, err := recognise.Plan(named(t, test.keys), recognise.Options{Families: builtin(t), Selection: test.asked, Wrapper: test.wrapper})
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: error %v, want %s", test.keys, err, test.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.keys, err)
			continue
		}
		var want []string
		for _, name := range strings.Fields(test.want) {
			if strings.HasSuffix(name, "rbr_reparam") {
				want = append(want, name+".bias")
				name += ".weight"
			}
			want = append(want, name)
		}
		got := written(p)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: written %v, want %v", test.keys, got, want)
		}
		if !slices.ContainsFunc(p.Notes, func(n plan.Note) bool { return strings.HasPrefix(n.Text, test.note) }) {
			t.Errorf("%s: no note %s among %v", test.keys, test.note, p.Notes)
		}
	}
}
