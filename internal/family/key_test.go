package family_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/op"
	"repfuse/internal/op/optest"
	"repfuse/internal/tensor"
)

// words is what keys are made of that something in the notation could take for its own.
var words = []string{"conv", "weight", "bias", "running_mean", "_mean", "x", "eps", "dilation", "transposed", "kernel(", "repeat(a, b)",
	".", "..", "_", "-", ":", "::", " ", ",", "(", ")", "[", "]", "<", ">", "<n>", "<<>", "*", "**", "?", "!", "+", "|", "\"", "\\", "'", "#", "\n",
	"\t", "\x00", "\xff", "1", "1e5", "inf", "ä", "\u2028", "卷积", "🙂"}

func randomKey(r *rand.Rand) string {
	var s strings.Builder
	for range 1 + r.IntN(5) {
		s.WriteString(words[r.IntN(len(words))])
	}
	return s.String()
}

// rekeyed is e with its tensors under other keys, which it lists by those keys.
func rekeyed(e op.Expr, key func() string) (op.Expr, checkpoint) {
	all := checkpoint{}
	put := func(p *op.Param) *op.Param {
		if p == nil {
			return nil
		}
		k := key()
		for _, taken := all[k]; taken; _, taken = all[k] {
			k = key()
		}
		all[k] = p.Tensor
		return &op.Param{Key: k, Tensor: p.Tensor}
	}
	var walk func(e op.Expr) op.Expr
	each := func(list []op.Expr) []op.Expr {
		list = slices.Clone(list)
		for k := range list {
			list[k] = walk(list[k])
		}
		return list
	}
	walk = func(e op.Expr) op.Expr {
		switch e := e.(type) {
		case op.Conv:
			e.Weight, e.Bias = *put(&e.Weight), put(e.Bias)
			return e
		case op.BatchNorm:
			return op.BatchNorm{Gamma: put(e.Gamma), Beta: put(e.Beta), Mean: put(e.Mean), Var: put(e.Var), Eps: e.Eps}
		case op.Scale:
			return op.Scale{By: put(e.By), Factor: e.Factor}
		case op.Shift:
			return op.Shift{By: put(e.By), Term: e.Term}
		case op.Seq:
			return op.Seq(each(e))
		case op.Sum:
			return op.Sum(each(e))
		case op.Concat:
			return op.Concat(each(e))
		}
		return e
	}
	return walk(e), all
}

// checkpoint is tensors by their whole keys.
type checkpoint map[string]tensor.Tensor

func (c checkpoint) Lookup(module, key string) (*tensor.Named, bool) {
	key = family.Whole(module, key)
	t, ok := c[key]
	return &tensor.Named{Key: key, Tensor: t}, ok
}

func (c checkpoint) Below(string) []string { return nil }

// params is the keys that an expression reads, in its order.
func params(e op.Expr) []string {
	var keys []string
	for p := range op.Params(e) {
		keys = append(keys, p.Key)
	}
	return keys
}

// settings is everything but the tensors of an expression's operators, in its order.
func settings(e op.Expr) []string {
	var all []string
	op.Walk(e, func(e op.Expr) {
		switch e := e.(type) {
		case op.Seq, op.Sum, op.Concat:
		case op.Conv:
			e.Weight, e.Bias = op.Param{}, nil
			all = append(all, fmt.Sprintf("%#v", e))
		case op.BatchNorm:
			all = append(all, fmt.Sprintf("%g", e.Eps))
		case op.Scale:
			all = append(all, fmt.Sprintf("scale %g", e.Factor))
		case op.Shift:
			all = append(all, fmt.Sprintf("shift %g", e.Term))
		default:
			all = append(all, fmt.Sprintf("%#v", e))
		}
	})
	return all
}

// Whatever keys the tensors of an expression have, and below whichever module: what is
// written of it is read as the same expression over the same tensors.
func TestAnyKey(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		module := ""
		if seed%2 == 0 {
			module = randomKey(r)
		}
		random := optest.Random
		if seed%8 == 0 {
			random = optest.Transposed
		}
		plane := op.OnPlane(random(seed, optest.Options{Rank: 1 + int(seed%3), Depth: 1 + int(seed%4), Modes: true}))
		e, keys := rekeyed(plane, func() string { return family.Whole(module, randomKey(r)) })
		text := family.Format(e, module)
		again := readBack(t, text, keys, module)
		if got, want := params(again), params(e); !slices.Equal(got, want) {
			t.Fatalf("seed %d: %s\nreads %q, want %q", seed, text, got, want)
		}
		if got, want := settings(again), settings(e); !slices.Equal(got, want) {
			t.Fatalf("seed %d: %s\nis %q, want %q", seed, text, got, want)
		}
		flat := family.Format(again, module) // without the brackets that change nothing
		if got := family.Format(readBack(t, flat, keys, module), module); got != flat {
			t.Fatalf("seed %d: %s\nis read and written as\n%s", seed, flat, got)
		}
	}
}

// readBack is the expression that a text stands for.
func readBack(t *testing.T, text string, keys family.Keys, module string) op.Expr {
	t.Helper()
	n, err := family.Parse(text)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	m := built(n, keys, module)
	if len(m.Made) != 1 {
		t.Fatalf("%s\nmakes %d, lacks %q: %v", text, len(m.Made), m.Missing, m.Err)
	}
	return m.Made[0].Expr
}

// A module's other tensors are read with it, so that where they are not meant, keys are
// named one by one.
func TestFormatAmong(t *testing.T) {
	vector, kernel := tensor.Of(tensor.F32, []int{1}, []float64{1}), tensor.Of(tensor.F32, []int{1, 1}, []float64{1})
	at := func(key string) *op.Param { return &op.Param{Key: key, Tensor: vector} }
	conv := op.Conv{Weight: op.Param{Key: "m.c.weight", Tensor: kernel}}
	norm := op.BatchNorm{Mean: at("m.b.running_mean"), Var: at("m.b.running_var"), Eps: 1}
	for _, test := range []struct {
		e     op.Expr
		other string
		want  string
	}{
		{conv, "m.d.bias", "conv(c, unbiased)"},
		{conv, "m.c.bias", "kernel(c.weight)"},
		{norm, "m.c.weight", "bn(b, eps 1)"},
		{norm, "m.b.weight", "norm(b.running_mean, b.running_var, eps 1)"},
		{op.Seq{conv, op.Shift{By: at("m.c.bias")}}, "", "kernel(c.weight) > shift(c.bias)"},
	} {
		keys := map[string]bool{test.other: true}
		for p := range op.Params(test.e) {
			keys[p.Key] = true
		}
		if got := family.FormatAmong(keys, test.e, "m"); got != test.want {
			t.Errorf("%s beside %s is written %s, want %s", test.e, test.other, got, test.want)
		}
		if test.other == "" && family.Format(test.e, "m") != test.want {
			t.Errorf("%s is written %s, want %s", test.e, family.Format(test.e, "m"), test.want)
		}
	}
}

// What is a word stays one; what else there is stands in quotes.
func TestQuote(t *testing.T) {
	for key, want := range map[string]string{"conv.weight": "conv.weight", "a-b_0.1": "a-b_0.1", "a.": "a.", "-": "-",
		"onnx::Conv_497": `"onnx::Conv_497"`, "conv:3": `"conv:3"`, "": ".", ".": `"."`, ".a": `".a"`, "a..b": `"a..b"`, "a b": `"a b"`, `a"b\c`: `"a\"b\\c"`, "ä": `"ä"`, "\xff\n": `"\xff\n"`, "a<n>": `"a<n>"`} {
		if got := family.QuoteKey(key); got != want {
			t.Errorf("%q is written %s, want %s", key, got, want)
		}
	}
}

// A key as a glob fits itself alone, and as a field of a file is itself again.
func TestKeyInFields(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		key, other := randomKey(r), randomKey(r)
		if got := family.Untext(family.Text(key)); got != key {
			t.Fatalf("%q is %q again", key, got)
		}
		g := family.CompileGlob(family.QuoteGlob(key))
		if !g.Match(key) || other != key && g.Match(other) {
			t.Fatalf("%s fits %q: %t, %q: %t", family.QuoteGlob(key), key, g.Match(key), other, g.Match(other))
		}
	}
}

// An output's two keys are what it is written under, whatever they are.
func TestOutputKeys(t *testing.T) {
	weight := tensor.Of(tensor.F32, []int{1, 1}, []float64{1})
	r := rand.New(rand.NewPCG(3, 4))
	for k := range 2000 {
		w, b := randomKey(r), randomKey(r)
		if k%3 == 0 {
			w, b = w+".weight", w+".bias"
		}
		f := &family.Family{Name: "t", Make: []family.Output{family.NewOutput(w, b, "")}}
		f.Make[0].Expr, _ = family.Parse("kernel(w) > shift(1)")
		m := f.Match(family.Site{Keys: checkpoint{"w": weight}, Said: func(string) (string, bool) { return "", false }})
		if len(m.Made) != 1 || m.Made[0].Weight != w || m.Made[0].Bias != b {
			t.Fatalf("%q and %q are written %q, read as %+v, %v", w, b, f.Make[0].Key, m.Made, m.Err)
		}
	}
	f := &family.Family{Name: "t", Make: []family.Output{{Key: "kernel(w2)"}}}
	f.Make[0].Expr, _ = family.Parse("kernel(w) > shift(1)")
	m := f.Match(family.Site{Keys: checkpoint{"w": weight}, Said: func(string) (string, bool) { return "", false }})
	if want := "w2 has a bias, want a key for it: kernel(KEY, KEY)"; m.Err == nil || fmt.Sprint(m.Err) != want {
		t.Errorf("error %v, want %s", m.Err, want)
	}
}
