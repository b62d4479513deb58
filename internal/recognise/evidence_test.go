package recognise_test

import (
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
