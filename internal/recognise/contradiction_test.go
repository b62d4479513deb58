package recognise_test

import (
	"strings"
	"testing"

	"repfuse/internal/facts"
	"repfuse/internal/hint"
	"repfuse/internal/recognise"
)

// seq is a Sequential whose last layer stands before a norm of the parent, as modules.json has it.
const seq = `"": {"class": "Net"}, "head1": {"class": "Sequential"}, "head1.0": {"class": "Conv2d", "kernel": [3, 3]}, `

// TestFactsAgainstPair: facts that speak against a pair of --fold-bn are an error, whose hint leaves
// that norm; those that do not speak against it change nothing.
func TestFactsAgainstPair(t *testing.T) {
	const pair, within = "z.conv.weight[8,4,3,3] z.bn:8", "head1.0.weight[8,4,3,3] bn1:8"
	for name, row := range map[string]struct {
		keys, facts string
		sets        []string
		want        string // part of the error
	}{
		"nothing against it":             {pair, `"z": {"class": "Net"}, "z.conv": {"class": "Conv2d", "kernel": [3, 3]}, "z.bn": {"class": "SyncBatchNorm"}`, nil, ""},
		"a norm of each image":           {pair, `"z.bn": {"class": "InstanceNorm2d"}`, nil, "by its facts z.bn is a InstanceNorm2d"},
		"a table":                        {"z.0.weight[8,8] z.1:8", `"z.0": {"class": "Embedding"}, "z.1": {"class": "BatchNorm1d"}`, nil, "by its facts z.0 is a Embedding"},
		"registered before":              {pair, `"z": {"class": "Net"}, "z.bn": {"class": "BatchNorm2d"}, "z.conv": {"class": "Conv2d", "kernel": [3, 3]}, "a": {"class": "ReLU"}`, nil, "z.bn was registered before z.conv"},
		"before, but sorted by name":     {pair, `"z": {"class": "Net"}, "z.bn": {"class": "BatchNorm2d"}, "z.conv": {"class": "Conv2d", "kernel": [3, 3]}`, nil, ""},
		"an activation within":           {within, seq + `"head1.1": {"class": "ReLU"}, "bn1": {"class": "BatchNorm2d"}`, nil, "by its facts head1.1, a ReLU, stands between"},
		"a function of one's own":        {within, seq + `"head1.1": {"class": "Clip"}, "bn1": {"class": "BatchNorm2d"}`, nil, "by its facts head1.1, a Clip, stands between"},
		"what passes all":                {within, seq + `"head1.1": {"class": "Dropout2d"}, "bn1": {"class": "BatchNorm2d"}`, nil, ""},
		"behind the norm":                {within, seq + `"bn1": {"class": "BatchNorm2d"}, "act": {"class": "ReLU"}`, nil, ""},
		"registered between, called any": {within, `"": {"class": "Net"}, "head1": {"class": "Block"}, "head1.0": {"class": "Conv2d"}, "head1.1": {"class": "ReLU"}, "bn1": {"class": "BatchNorm2d"}`, nil, ""},
		"another ε":                      {pair, `"z.bn": {"class": "BatchNorm2d", "eps": 0.001}`, []string{"eps=1e-5"}, "eps=1e-5, want 0.001, which the facts say of z.bn"},
		"the same ε":                     {pair, `"z.bn": {"class": "BatchNorm2d", "eps": 0.001}`, []string{"eps=1e-3"}, ""},
		"no ε":                           {pair, ``, []string{"eps=none"}, "eps=none, want a number"},
		"other groups":                   {pair, `"z.conv": {"class": "Conv2d", "kernel": [3, 3], "groups": 1}`, []string{"groups=2"}, "has groups 2 by your word, want 1"},
		"another kernel":                 {pair, `"z.conv": {"class": "Conv2d", "kernel": [5, 5]}`, nil, "want a [5 5] kernel"},
		"transposed by its facts":        {"z.conv.weight[8,8,3,3] z.bn:8", `"z.conv": {"class": "ConvTranspose2d", "kernel": [3, 3], "transposed": true}`, nil, ""},
	} {
		m, err := facts.Read([]byte(`{"version": 1, "modules": {` + row.facts + `}}`))
		if err != nil {
			t.Fatal(err)
		}
		o := recognise.Options{Families: builtin(t), FoldNorms: true, Ordered: true, Facts: m, Sets: row.sets}
		p, err := recognise.Plan(named(t, row.keys), o)
		if row.want == "" {
			if err != nil || len(p.Blocks) != 1 {
				t.Errorf("%s: %v, want one block", name, err)
			} else if text := p.Blocks[0].Outputs[0].Expr.String(); strings.HasPrefix(name, "transposed") != strings.HasPrefix(text, "convt(") {
				t.Errorf("%s: %s", name, text)
			}
			continue
		}
		wantError(t, err, row.want)
		left, ok := strings.CutSuffix(strings.TrimPrefix(hint.Of(err), "--family "), " leaves it as it is")
		if row.sets != nil && !strings.Contains(row.want, "groups") {
			continue // the flag is what is amiss
		}
		if !ok {
			t.Errorf("%s: the hint is %q", name, hint.Of(err))
			continue
		}
		o.Choices = []string{left}
		keys := row.keys + " y.0.weight[8,4,3,3] y.1:8"
		if p, err := recognise.Plan(named(t, keys), o); err != nil || len(p.Blocks) != 1 || p.Blocks[0].Path != "y" {
			t.Errorf("%s: with %s: %v", name, left, err)
		}
	}
}

// TestFoldBeforePlain: kernels of one size that cannot be added up are no plain folder, and --fold-bn is the
// user's word on two that could.
func TestFoldBeforePlain(t *testing.T) {
	const net = "conv1.weight[8,3,3,3] bn1:8 conv2.weight[4,8,3,3] bn2:4"
	if p, err := recognise.Plan(named(t, net), recognise.Options{Families: builtin(t)}); err != nil || len(p.Blocks) > 0 {
		t.Errorf("without a flag: %v", err)
	}
	for _, keys := range []string{net, "conv1.weight[8,8,3,3] bn1:8 conv2.weight[8,8,3,3] bn2:8"} {
		if p, err := recognise.Plan(named(t, keys), recognise.Options{Families: builtin(t), FoldNorms: true, Ordered: true}); err != nil || len(p.Blocks) != 2 {
			t.Errorf("%s: %v, want two blocks", keys, err)
		}
	}
}

// TestLeft: a module that is left stays with all below it, whatever else is asked for, except for what another glob
// names; and a setting that stands for a number is none.
func TestLeft(t *testing.T) {
	const keys = "a.0.conv.weight[8,4,3,3] a.0.bn:8 a.1.conv.weight[8,4,3,3] a.1.bn:8 b.conv.weight[8,4,3,3] b.bn:8"
	for _, row := range []struct {
		choices string
		want    string // the modules of blocks
	}{
		{"conv-bn", "a.0 a.1 b"},
		{"conv-bn a=none", "b"},
		{"a=none conv-bn", "b"},
		{"conv-bn a=none a.1=conv-bn", "a.1 b"},
		{"a.1=conv-bn a=none", "a.1"},
		{"none b=conv-bn", "b"},
		{"none conv-bn", "a.0 a.1 b"},
	} {
		p, err := recognise.Plan(named(t, keys), recognise.Options{Families: builtin(t), Choices: strings.Fields(row.choices)})
		if err != nil {
			t.Errorf("%s: %v", row.choices, err)
			continue
		}
		var got []string
		for _, b := range p.Blocks {
			got = append(got, b.Path)
		}
		if strings.Join(got, " ") != row.want {
			t.Errorf("%s: blocks at %v, want %s", row.choices, got, row.want)
		}
	}
	_, err := recognise.Plan(named(t, keys), recognise.Options{Families: builtin(t), Sets: []string{"scaling=VALUE"}})
	wantError(t, err, "--set scaling=VALUE: VALUE stands for what you know")
}
