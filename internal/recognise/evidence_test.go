package recognise_test

import (
	"fmt"
	"strings"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

// stored is tensors without elements, by "KEY 8x8x3x3".
func stored(lines ...string) map[string]tensor.Named {
	all := map[string]tensor.Named{}
	for _, line := range lines {
		key, extents, _ := strings.Cut(line, " ")
		all[key] = tensor.Named{Key: key, Tensor: tensor.Tensor{Type: tensor.F32, Shape: shape(extents)}}
	}
	return all
}

func shape(text string) []int {
	var s []int
	for word := range strings.SplitSeq(text, "x") {
		n := 0
		for _, digit := range word {
			n = 10*n + int(digit-'0')
		}
		s = append(s, n)
	}
	return s
}

// TestGraphAnswers: a block that names find has the graph's expression and the family's keys; what
// names leave open the graph answers; and where the two differ the error shows both.
func TestGraphAnswers(t *testing.T) {
	have := stored("b.rbr_3x3.weight 8x8x3x3", "b.rbr_3x3.bias 8", "b.rbr_1x1.weight 8x8x1x1", "b.rbr_1x1.bias 8")
	conv := func(name string, padding int) op.Expr {
		bias := have["b."+name+".bias"]
		return op.Conv{Weight: have["b."+name+".weight"], Bias: &bias, Stride: []int{1, 1}, Padding: []int{padding, padding}}
	}
	both := op.Sum{conv("rbr_3x3", 1), conv("rbr_1x1", 0)}
	for name, row := range map[string]struct {
		graph op.Expr
		want  string // the expression, or the error
	}{
		"the input is added":     {append(op.Sum{op.Identity{}}, both...), " + x"},
		"and where it is not":    {both, ""},
		"the graph has one less": {op.Seq{conv("rbr_3x3", 1), conv("rbr_1x1", 0)}, "the graph shows conv(rbr_3x3"},
	} {
		form, err := op.Check(row.graph)
		if err != nil {
			t.Fatal(err)
		}
		shown := &plan.Found{Blocks: []plan.Block{{Path: "b", Family: "graph",
			Outputs: []plan.Output{{Weight: "b.rbr_3x3.weight", Bias: "b.rbr_3x3.bias", Expr: row.graph, Form: form}}}}}
		var tensors []tensor.Named
		for key, x := range have {
			tensors = append(tensors, x)
			shown.Blocks[0].Used = append(shown.Blocks[0].Used, key)
		}
		found, err := recognise.Blocks(tensors, recognise.Options{Families: builtin(t), Choices: []string{"repplain"},
			Shown: func([]tensor.Named) (*plan.Found, error) { return shown, nil }})
		switch {
		case strings.HasPrefix(row.want, "the graph"):
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%s: error %v, want one with %q", name, err, row.want)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case len(found.Blocks) != 1 || found.Blocks[0].Family == "graph":
			t.Errorf("%s: %v, want one block by its family", name, found.Blocks)
		default:
			o := found.Blocks[0].Outputs[0]
			if got := o.Expr.String(); strings.Contains(got, "x + ") != (row.want != "") || o.Weight != "b.rep_conv.weight" {
				t.Errorf("%s: %s = %s", name, o.Weight, got)
			}
			if len(found.Notes) > 0 {
				t.Errorf("%s: %v, want nothing assumed", name, found.Notes)
			}
		}
	}
}

// TestGraphAlone: where no family fits, the graph's block is taken as it is, and a near
// miss by names is none.
func TestGraphAlone(t *testing.T) {
	have := stored("a.big.weight 8x8x5x5", "a.small.weight 8x8x3x3")
	e := op.Sum{op.Conv{Weight: have["a.big.weight"]}, op.Conv{Weight: have["a.small.weight"]}}
	form, err := op.Check(e)
	if err != nil {
		t.Fatal(err)
	}
	b := plan.Block{Path: "a", Family: "graph", Used: []string{"a.big.weight", "a.small.weight"}, Outputs: []plan.Output{{Weight: "a.big.weight", Expr: e, Form: form}}}
	found, err := recognise.Blocks([]tensor.Named{have["a.big.weight"], have["a.small.weight"]}, recognise.Options{Families: builtin(t),
		Shown: func([]tensor.Named) (*plan.Found, error) { return &plan.Found{Blocks: []plan.Block{b}}, nil }})
	if err != nil || len(found.Blocks) != 1 || found.Blocks[0].Outputs[0].Weight != "a.big.weight" {
		t.Errorf("%v, error %v, want the graph's block", found, err)
	}
}

// TestGraphAnswersPlain: whether a plain folder's block adds its input the graph says, also of one that is
// asked for by name.
func TestGraphAnswersPlain(t *testing.T) {
	have := stored("conv3x3.weight 4x4x3x3", "conv3x3.bias 4", "conv1x1.weight 4x4x1x1", "conv1x1.bias 4")
	conv := func(name string, padding int) op.Expr {
		bias := have[name+".bias"]
		return op.Conv{Weight: have[name+".weight"], Bias: &bias, Stride: []int{1, 1}, Padding: []int{padding, padding}}
	}
	both := op.Sum{conv("conv3x3", 1), conv("conv1x1", 0)}
	for _, e := range []op.Expr{both, append(op.Sum{op.Identity{}}, both...)} {
		form, err := op.Check(e)
		if err != nil {
			t.Fatal(err)
		}
		shown := plan.Block{Family: "graph", Outputs: []plan.Output{{Weight: "conv3x3.weight", Bias: "conv3x3.bias", Expr: e, Form: form}}}
		var tensors []tensor.Named
		for key, x := range have {
			tensors = append(tensors, x)
			shown.Used = append(shown.Used, key)
		}
		found, err := recognise.Blocks(tensors, recognise.Options{Families: builtin(t), Choices: []string{"plain"},
			Shown: func([]tensor.Named) (*plan.Found, error) { return &plan.Found{Blocks: []plan.Block{shown}}, nil }})
		if err != nil || len(found.Blocks) != 1 || op.Canonical(found.Blocks[0].Outputs[0].Expr) != op.Canonical(e) {
			t.Errorf("%+v, %v, want %s", found, err, op.Canonical(e))
		}
	}
}

// TestGraphIsSilent: of weights that the network computes in steps that the graph does not follow,
// names decide as they do without a graph: questions are asked, and the verdict is under a condition.
func TestGraphIsSilent(t *testing.T) {
	have := stored("b.conv3x3.weight 4x4x3x3", "b.conv3x3.bias 4", "b.conv1x1_3x3.k0 8x4x1x1", "b.conv1x1_3x3.b0 8", "b.conv1x1_3x3.k1 4x8x3x3", "b.conv1x1_3x3.b1 4")
	for _, edge := range []string{"sbx", "sby", "lpl"} {
		for key, x := range stored("b.conv1x1_"+edge+".k0 4x4x1x1", "b.conv1x1_"+edge+".b0 4", "b.conv1x1_"+edge+".mask 4x1x3x3", "b.conv1x1_"+edge+".scale 4x1x1x1", "b.conv1x1_"+edge+".bias 4") {
			have[key] = x
		}
	}
	var tensors []tensor.Named
	for _, x := range have {
		tensors = append(tensors, x)
	}
	blocks := func(computed bool, choices, sets []string) (*plan.Found, error) {
		return recognise.Blocks(tensors, recognise.Options{Families: builtin(t), Choices: choices, Sets: sets,
			Shown: func([]tensor.Named) (*plan.Found, error) {
				return &plan.Found{Computed: map[string]bool{"b.conv1x1_sbx.scale": computed}}, nil
			}})
	}
	no := []string{"identity=no"}
	if _, err := blocks(false, nil, no); err == nil || !strings.Contains(err.Error(), "the graph shows no one layer") {
		t.Errorf("a graph that knows all weights: error %v", err)
	}
	if _, err := blocks(true, nil, nil); err == nil || !strings.Contains(err.Error(), "whether the block adds its input") {
		t.Errorf("without an answer: error %v, want the question", err)
	}
	for by, choices := range map[string][]string{plan.Assumed: nil, plan.YourWord: {"ecbsr"}} {
		found, err := blocks(true, choices, no)
		if err != nil {
			t.Fatal(err)
		}
		all := plan.Conditions(found.Notes)
		if len(found.Blocks) != 1 || len(all) != 1 || all[0].By != by || all[0].If != "what computes its weights is a block of ecbsr" {
			t.Errorf("%s: %d blocks, conditions %+v", by, len(found.Blocks), all)
		}
	}
}

// What a graph shows of the blocks of which names alone say something else: two layers in a row under the keys of two
// side by side, and a norm before its layer under the keys of one behind it. None is taken as the names have it.
func TestGraphOverNames(t *testing.T) {
	norm := func(have map[string]tensor.Named, module string) op.Expr {
		mean, variance := have[module+".running_mean"], have[module+".running_var"]
		return op.BatchNorm{Mean: &mean, Var: &variance, Eps: 1e-5}
	}
	row := stored("b.conv1.conv.weight 8x8x3x3", "b.conv1.bn.running_mean 8", "b.conv1.bn.running_var 8",
		"b.conv2.conv.weight 8x8x1x1", "b.conv2.bn.running_mean 8", "b.conv2.bn.running_var 8")
	before := stored("b.bn1.running_mean 8", "b.bn1.running_var 8", "b.conv1.weight 8x8x1x1")
	for _, test := range []struct {
		name   string
		have   map[string]tensor.Named
		choice string
		graph  op.Expr
		// The errors by names alone and beside the graph.
		names, both string
	}{
		{"in a row", row, "repconv", op.Seq{op.Conv{Weight: row["b.conv1.conv.weight"]}, norm(row, "b.conv1.bn"), op.Conv{Weight: row["b.conv2.conv.weight"]}, norm(row, "b.conv2.bn")},
			"b: no key says: whether conv1 and conv2 stand side by side, and are not two layers one after the other",
			"b: by its names a repconv, conv(conv1.conv, unbiased) > bn(conv1.bn, eps 0.001)\n+ "},
		{"a norm before its layer", before, "conv-bn-numbered", op.Seq{norm(before, "b.bn1"), op.Conv{Weight: before["b.conv1.weight"]}},
			"<nil>", "b: by its names a conv-bn-numbered, conv(conv1, unbiased) > bn(bn1, eps 1e-05); the graph shows bn(bn1, eps 1e-05) > conv(conv1, unbiased)"},
	} {
		form, err := op.Check(test.graph)
		if err != nil {
			t.Fatal(err)
		}
		shown := &plan.Found{Blocks: []plan.Block{{Path: "b", Family: "graph", Outputs: []plan.Output{{Weight: "b.conv1.weight", Bias: "b.conv1.bias", Expr: test.graph, Form: form}}}}}
		var tensors []tensor.Named
		for key, x := range test.have {
			tensors = append(tensors, x)
			shown.Blocks[0].Used = append(shown.Blocks[0].Used, key)
		}
		o := recognise.Options{Families: builtin(t), Choices: []string{test.choice}}
		if _, err := recognise.Blocks(tensors, o); fmt.Sprint(err) != test.names {
			t.Errorf("%s: names alone give %v, want %s", test.name, err, test.names)
		}
		o.Shown = func([]tensor.Named) (*plan.Found, error) { return shown, nil }
		if _, err := recognise.Blocks(tensors, o); err == nil || !strings.HasPrefix(err.Error(), test.both) {
			t.Errorf("%s: with the graph %v, want %s", test.name, err, test.both)
		}
	}
}
