package plan_test

import (
	"slices"
	"strings"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

func tensors(keys ...string) []tensor.Named {
	var list []tensor.Named
	for _, key := range keys {
		list = append(list, tensor.Named{Key: key, Tensor: tensor.Of(tensor.F32, []int{1, 1}, []float64{1})})
	}
	return list
}

// output is a convolution of a kernel that is one of the tensors.
func output(weight, bias, of string) plan.Output {
	return plan.Output{Weight: weight, Bias: bias, Expr: op.Conv{Weight: tensors(of)[0]}, Form: op.Form{In: 1, Out: 1, Groups: 1}}
}

// What becomes of every key follows from the blocks and from what their maker says of
// other keys, and each that is no block's alone has a reason.
func TestFates(t *testing.T) {
	list := tensors("p.a.w", "p.a.left", "p.a.aux", "p.b.w", "p.n.running_mean", "p.n.weight", "p.done.x.weight", "p.head.w", "p.said.w")
	p, err := plan.New(plan.Sources(list, "p."), plan.Selection{Prefix: "p."}, plan.Found{
		Blocks: []plan.Block{
			{Path: "a", Used: []string{"a.w", "a.left"}, Stale: []string{"a.left"}, Outputs: []plan.Output{output("a.fused", "", "a.w")}},
			{Path: "b", Used: []string{"b.w"}, Outputs: []plan.Output{output("b.fused", "b.bias", "b.w")}},
		},
		Deployed: []string{"done"},
		Dropped:  map[string]string{"a.aux": "for training"},
		Renamed:  map[string]string{"head.w": "top.w", "a.w": "of no use"},
		Kept:     map[string]string{"said.w": "said so", "b.w": "of no use"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		fate   string
		block  int
		newKey string
		why    string
	}{
		{plan.Fused, 0, "of no use", ""},
		{plan.Kept, 0, "a.left", "stays beside what it was fused into"},
		{plan.Dropped, -1, "a.aux", "for training"},
		{plan.Fused, 1, "b.w", ""},
		{plan.Kept, -1, "n.running_mean", "a norm that no block takes"},
		{plan.Kept, -1, "n.weight", "a norm that no block takes"},
		{plan.Kept, -1, "done.x.weight", "fused already"},
		{plan.Kept, -1, "top.w", "in no block"},
		{plan.Kept, -1, "said.w", "said so"},
	}
	for k, f := range p.Fates {
		w := want[k]
		if f.Key != list[k].Key || f.Fate != w.fate || f.Block != w.block || f.NewKey != w.newKey || !strings.HasPrefix(f.Why, w.why) || (w.why == "") != (f.Why == "") {
			t.Errorf("%s: %s, block %d, %s, %q; want %+v", f.Key, f.Fate, f.Block, f.NewKey, f.Why, w)
		}
	}
	var keys []string
	for _, i := range p.Items(nil) {
		keys = append(keys, i.Key)
	}
	if want := strings.Fields("a.fused a.left b.fused b.bias n.running_mean n.weight done.x.weight top.w said.w"); !slices.Equal(keys, want) {
		t.Errorf("writes %q, want %q", keys, want)
	}
}

// Two tensors of the result under one key are refused, whoever makes them.
func TestWrittenTwice(t *testing.T) {
	for _, test := range []struct {
		a, b          plan.Output
		renamed, want string
	}{
		{output("x.weight", "x.bias", "a"), output("y.weight", "y.bias", "b"), "", ""},
		{output("x.weight", "x.bias", "a"), output("x.weight", "y.bias", "b"), "", "x.weight would be written twice: by m (f) and by n (g)"},
		{output("x.weight", "x.bias", "a"), output("y.weight", "x.bias", "b"), "", "x.bias would be written twice: by m (f) and by n (g)"},
		{output("x.weight", "x.bias", "a"), output("x.bias", "", "b"), "", "x.bias would be written twice"},
		{output("kept", "x.bias", "a"), output("y.weight", "", "b"), "", "kept would be written twice: by kept and by m (f)"},
		{output("x.weight", "kept", "a"), output("y.weight", "", "b"), "", "kept would be written twice: by kept and by m (f)"},
		{output("kept", "", "a"), output("y.weight", "", "b"), "moved", ""},
		{output("moved", "", "a"), output("y.weight", "", "b"), "moved", "moved would be written twice"},
		{output("x.weight", "", "a"), output("y.weight", "", "b"), "other", "other would be written twice: by kept and by other"},
	} {
		found := plan.Found{Blocks: []plan.Block{
			{Path: "m", Family: "f", Used: []string{"a"}, Outputs: []plan.Output{test.a}},
			{Path: "n", Family: "g", Used: []string{"b"}, Outputs: []plan.Output{test.b}}}}
		if test.renamed != "" {
			found.Renamed = map[string]string{"kept": test.renamed}
		}
		_, err := plan.New(plan.Sources(tensors("a", "b", "kept", "other"), ""), plan.Selection{}, found)
		if (err == nil) != (test.want == "") || err != nil && !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%v and %v: error %v, want %q", test.a, test.b, err, test.want)
		}
	}
}

// What several blocks read is gone once, and each of them is made, even where it reads
// nothing of its own.
func TestSharedKeys(t *testing.T) {
	p, err := plan.New(plan.Sources(tensors("w", "v"), ""), plan.Selection{}, plan.Found{Blocks: []plan.Block{
		{Path: "a", Used: []string{"w"}, Outputs: []plan.Output{output("a.w", "", "w")}},
		{Path: "b", Used: []string{"w"}, Outputs: []plan.Output{output("b.w", "", "w")}}}})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, i := range p.Items(nil) {
		keys = append(keys, i.Key)
	}
	if want := []string{"a.w", "v", "b.w"}; !slices.Equal(keys, want) {
		t.Errorf("writes %q, want %q", keys, want)
	}
}

// A key of an adapter has its number and a colon before the key; others are a network's own.
func TestIsAdapterKey(t *testing.T) {
	for key, want := range map[string]bool{
		plan.AdapterKey(1, "a.weight"): true, plan.AdapterKey(12, ""): true,
		"adapter:a": false, "adapter1.a": false, "adapter1": false, "adapter": false, "1:a": false, "my.adapter1:a": false,
	} {
		if got := plan.IsAdapterKey(key); got != want {
			t.Errorf("%s: %t, want %t", key, got, want)
		}
	}
}
