package family_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/tensor"
)

// stored is the shapes of a checkpoint's tensors, by key.
type stored map[string][]int

func (s stored) Lookup(module, key string) (*tensor.Named, bool) {
	key = family.Whole(module, key)
	shape, ok := s[key]
	return &tensor.Named{Key: key, Tensor: tensor.Of(tensor.F32, shape, make([]float64, tensor.Elems(shape)))}, ok
}

func (s stored) Below(module string) []string {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(s)) {
		if rest, ok := strings.CutPrefix(key, module+"."); ok || module == "" {
			keys = append(keys, rest)
		}
	}
	return keys
}

// block is tensors for every form of the notation, of two channels, under m: kernels
// w0, w1, w2 of growing extents, batch norms b and the like.
var block = stored{
	"m.c1.weight": {2, 2, 1, 1}, "m.c1.bias": {2}, "m.c3.weight": {2, 2, 3, 3}, "m.d3.weight": {2, 1, 3, 3},
	"m.s.0.weight": {2, 2, 1, 1}, "m.s.1.weight": {2, 2, 1, 1}, "m.s.10.weight": {2, 2, 1, 1},
	"m.k3_2.weight": {2, 2, 3, 3}, "m.k5_1.weight": {2, 2, 5, 5},
	"m.up.weight": {2, 2, 2, 2}, "m.up.bias": {2},
	"m.k0": {2, 2, 1, 1}, "m.b0": {2}, "m.g": {2}, "m.alpha": {1},
	"m": {2}, "m.weight": {2, 2, 1, 1}, "m.wide.weight": {2, 3, 1, 1}, "m.tall.weight": {4, 2, 1, 1},
	"m.b.weight": {2}, "m.b.bias": {2}, "m.b.running_mean": {2}, "m.b.running_var": {2}, "m.b.num_batches_tracked": {},
	"m.p._mean": {2}, "m.p._variance": {2}, "m.u_running_mean": {2}, "m.u_running_var": {2},
	"m.one.running_mean": {1}, "m.one.running_var": {1},
}

// built is what an expression comes to over some tensors, below a module.
func built(expression family.Node, keys family.Keys, module string) *family.Match {
	f := &family.Family{Name: "t", Make: []family.Output{{Key: "out", Expr: expression}},
		Ask: []family.Question{{Name: "q", Default: "yes"}, {Name: "never", Default: "no"}}}
	return f.Match(family.Site{Keys: keys, Module: module, Said: func(string) (string, bool) { return "", false }})
}

// come parses an expression and writes what it comes to over block.
func come(t *testing.T, text string) string {
	t.Helper()
	n, err := family.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	m := built(n, block, "m")
	if m.Err != nil || len(m.Missing) > 0 || len(m.Made) != 1 {
		t.Fatalf("%s: makes %d, lacks %v: %v", text, len(m.Made), m.Missing, m.Err)
	}
	return family.Format(m.Made[0].Expr, "m")
}

// What an expression comes to is written in the notation, decided and spelled out,
// and comes to the same again.
func TestFormat(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"conv(c1)", "conv(c1)"},
		{"conv(c1, biased)", "conv(c1)"},
		{"conv(c3)", "conv(c3, unbiased)"},
		{"conv(.)", "conv(., unbiased)"},
		{"conv(c3, dilation 2)", "conv(c3, unbiased, dilation 2x2)"},
		{"conv(c3, dilation 2x1, padding 0x1)", "conv(c3, unbiased, padding 0x1, dilation 2x1)"},
		{"conv(d3, groups 2)", "conv(d3, unbiased, groups 2)"},
		{"convt(up)", "convt(up)"},
		{"kernel(k0)", "kernel(k0)"},
		{"kernel(k0, b0)", "kernel(k0, b0)"},
		{"conv(c1) > scale(.)", "conv(c1) > scale(.)"},
		{"kernel(k0, dilation 3)", "kernel(k0, dilation 3x3)"},
		{"kernel(turned(c3.weight, 1), b0)", "kernel(turned(c3.weight, 1), b0)"},
		{"kernel( eye( k0 ,  1 ) )", "kernel(eye(k0, 1))"},
		{"bn(b)", "bn(b, eps 1e-05)"},
		{"bn(b, eps 1e-3)", "bn(b, eps 0.001)"},
		{"bn(b, eps 0)", "bn(b, eps 0)"},
		{"norm(p._mean, p._variance)", "bn(p, eps 1e-05)"},
		{"norm(b0, g, g, b0, eps 0)", "norm(b0, g, g, b0, eps 0)"},
		{"kernel(k0, transposed)", "kernel(k0, transposed)"},
		{"bn(p)", "bn(p, eps 1e-05)"},
		{"bn(u_)", "bn(u_, eps 1e-05)"},
		{"conv(c1) > bn(one, repeat c1.weight)", "conv(c1) > bn(one, eps 1e-05, repeat c1.weight)"},
		{"conv(c1) + x", "conv(c1)\n+ x"},
		{"conv(c3, stride 2, padding -1x3, mode reflect)", "conv(c3, unbiased, stride 2, padding -1x3, mode reflect)"},
		{"conv(c3, stride 2x1) + x(padding -1x0, stride 2x1)", "conv(c3, unbiased, stride 2x1)\n+ x(stride 2x1, padding -1x0)"},
		{"conv(c1) > avgpool(2x3, stride 2, padding 0x-1, dilation 1x2)", "conv(c1) > avgpool(2x3, stride 2, padding 0x-1, dilation 1x2)"},
		{"conv(c1) > avgpool(3x3, padding 0, uncounted)", "conv(c1) > avgpool(3x3, padding 0, uncounted)"},
		{"conv(c1) > avgpool(3x3, padding 1, mode plane)", "conv(c1) > avgpool(3x3, padding 1, mode plane)"},
		{"bn(p) > x(padding 1x0, mode plane)", "bn(p, eps 1e-05) > x(padding 1x0, mode plane)"},
		{"conv(c1) > scale(g) > scale(-0.5) > shift(b0) > shift(1)", "conv(c1) > scale(g) > scale(-0.5) > shift(b0) > shift(1)"},
		{"conv(c1) > scale(truthy(alpha))", "conv(c1) > scale(truthy(alpha))"},
		{"conv(c1) > avgpool(c3.weight, mode plane)", "conv(c1) > avgpool(3x3, mode plane)"},
		{"conv(c1, biased) > avgpool(2x3, mode plane)", "conv(c1) > avgpool(2x3, mode plane)"},
		{"conv(c1) > (conv(c3, mode plane) + x)", "conv(c1) > (conv(c3, unbiased, mode plane) + x)"},
		{"kernel(k0) > conv(c3, mode plane, groups 1)", "kernel(k0) > conv(c3, unbiased, mode plane, groups 1)"},
		{"split(1, c1.weight, wide.weight) > conv(wide)", "channels(2, 5, 5) > conv(wide, unbiased)"},
		{"channels(1, end, c1.weight) > scale(2)", "channels(1, 2, 2) > scale(2)"},
		{"channels(0, 2, 7) > conv(c1)", "channels(0, 2, 7) > conv(c1)"},
		{"split(1, c1.weight, wide.weight, apart) > conv(wide)", "channels(2, 5, 5, apart) > conv(wide, unbiased)"},
		{"channels(0, 2, 7, apart) > conv(c1)", "channels(0, 2, 7, apart) > conv(c1)"},
		{"concat(conv(c1), conv(tall) + conv(tall))", "concat(conv(c1), conv(tall, unbiased)\n+ conv(tall, unbiased))"},
		{"ask(q: conv(c1)) + conv(c3)", "conv(c1)\n+ conv(c3, unbiased)"},
		{"ask(never: conv(c1), kernel(k0)) + ask(never: x) + conv(c3)", "kernel(k0)\n+ conv(c3, unbiased)"},
		{"conv(c1) + conv(no)? + bn(none)?", "conv(c1)"},
		{"conv(no) | conv(c1)", "conv(c1)"},
		{"sum<n>(conv(s.<n>))", "conv(s.0, unbiased)\n+ conv(s.1, unbiased)\n+ conv(s.10, unbiased)"},
		{"sum<k,r>(conv(k<k>_<r>, dilation <r>))", "conv(k3_2, unbiased, dilation 2x2)\n+ conv(k5_1, unbiased, dilation 1x1)"},
		{"sum<k,max>(conv(k<k>_<max>, dilation 1x<max>))", "conv(k3_2, unbiased, dilation 1x2)\n+ conv(k5_1, unbiased, dilation 1x1)"},
		{"sum<n>(conv(s.<n>) > conv(c1))", "conv(s.0, unbiased) > conv(c1)\n+ conv(s.1, unbiased) > conv(c1)\n+ conv(s.10, unbiased) > conv(c1)"},
	} {
		got := come(t, test.text)
		if got != test.want {
			t.Errorf("%s comes to\n%s\nwant\n%s", test.text, got, test.want)
		}
		if again := come(t, got); again != got {
			t.Errorf("%s comes to %s, written and read again to %s", test.text, got, again)
		}
	}
}

// Shapes say no to a part of a block that a question is about, and not to a number that another asks for.
func TestShapesRefuseNoNumber(t *testing.T) {
	n, err := family.Parse("conv(tall, dilation <far>) + ask(q: x)")
	if err != nil {
		t.Fatal(err)
	}
	f := &family.Family{Name: "t", Make: []family.Output{{Key: "out", Expr: n}}, Ask: []family.Question{{Name: "far", Default: "ask"}, {Name: "q", Default: "ask"}}}
	m := f.Match(family.Site{Keys: block, Module: "m", Said: func(string) (string, bool) { return "", false }})
	if m.Err != nil || len(m.Open) != 1 || m.Open[0].Value != "1" || len(m.Answers) != 1 || m.Answers[0].By != "shapes" {
		t.Errorf("error %v, %v is open and %v answered; want the dilation open, the identity refused", m.Err, m.Open, m.Answers)
	}
}

// ? binds before >, > before +, + before |; brackets and line breaks do what they look
// like.
func TestPrecedence(t *testing.T) {
	for _, test := range [][2]string{
		{"conv(c1) > bn(b) + x", "(conv(c1) > bn(b)) + x"},
		{"x + conv(c1) > bn(b)", "x + (conv(c1) > bn(b))"},
		{"conv(c1) > bn(no)?", "conv(c1)"},
		{"(conv(c1) > bn(no)?) + x", "conv(c1) + x"},
		{"(conv(no) > bn(b2))? + x + conv(c1)", "x + conv(c1)"},
		{"conv(no) + x | conv(c1) + x", "(conv(no) + x) | (conv(c1) + x)"},
		{"conv(c1) + conv(no) | conv(c1) > bn(b)", "conv(c1) > bn(b)"},
		{"x + (x + conv(c1))", "x + x + conv(c1)"},
		{"conv(c1) > (bn(b) > bn(b))", "conv(c1) > bn(b) > bn(b)"},
		{"((((conv(c1)))))", "conv(c1)"},
		{"conv(c1)\n\t+\r\n x", "conv(c1)+x"},
	} {
		if a, b := come(t, test[0]), come(t, test[1]); a != b {
			t.Errorf("%s comes to\n%s\nand %s to\n%s", test[0], a, test[1], b)
		}
	}
	if a, b := come(t, "(conv(c1) + x) > bn(b)"), come(t, "conv(c1) + x > bn(b)"); a == b {
		t.Errorf("brackets make no difference: %s", a)
	}
}

func TestSyntaxErrors(t *testing.T) {
	for _, test := range []struct {
		text         string
		line, column int
		msg          string
	}{
		{"", 1, 1, "ends, want a name"},
		{"conv", 1, 5, "ends, want ( behind conv"},
		{"conv(", 1, 6, "ends, want a name"},
		{"conv(a", 1, 7, "ends, want )"},
		{"conv(a b)", 1, 8, `"b": want )`},
		{"conv(a) conv(b)", 1, 9, `"conv": want an operator (> + | ?) or the end`},
		{"conv(a))", 1, 8, `")": want an operator (> + | ?) or the end`},
		{"conv(a) +", 1, 10, "ends, want a name"},
		{"conv(a) >\n\n > bn(b)", 3, 2, `">": want a name`},
		{"conv(a)\n+ nom(b)", 2, 3, `"nom": want conv, kernel, convt, bn, norm, scale, shift, avgpool, split, channels, concat, ask, sum<n>, seq<n> or x`},
		{"conv(a)\n  + X", 2, 6, "ends, want ( behind X"},
		{"(conv(a)", 1, 9, "ends, want )"},
		{"conv(a)??", 1, 9, `"?": want an operator (> + | ?) or the end`},
		{"conv(a, bias)", 1, 9, `"bias": want one of biased, dilation, groups, mode, padding, stride, transposed, unbiased`},
		{"conv(a, groups two)", 1, 16, `"two": want a number above 0`},
		{"conv(a, stride 1xz)", 1, 16, `"1xz": want extents such as 3x3`},
		{"kernel(a, b, c)", 1, 14, `"c": want one of biased, dilation, groups, mode, padding, stride, transposed, unbiased`},
		{"kernel(magic(a))", 1, 14, `"a": magic is no generator`},
		{"kernel(gate(a b))", 1, 15, `"b": want ,`},
		{"bn(a, epsilon 1)", 1, 7, `"epsilon": want one of eps, repeat, unshifted`},
		{"bn(a, eps small)", 1, 11, `"small": want a number`},
		{"bn(a, eps -1)", 1, 11, `"-1": want a number`},
		{"avgpool(3x)", 1, 9, `"3x": want extents such as 3x3`},
		{"split(2, a, b)", 1, 14, `")": part 2 of 2`},
		{"split(a, b)", 1, 7, `"a": want a number`},
		{"channels(0, 1)", 1, 14, `")": want ,`},
		{"ask(q x)", 1, 7, `"x": want :`},
		{"sum<n(conv(a))", 1, 1, "ends, want > behind <"},
		{"sum<n>(conv(a))", 1, 15, `")": no key in it shows <n>`},
		{"conv(a.<<n>)", 1, 6, `"a.<<n>": want small letters between < and >`},
		{"conv(a..b)", 1, 6, `"a..b": want a name between any two dots`},
		{"sum<>(conv(a.<n>))", 1, 18, `")": no key in it shows <>`},
		{"seq<n>(x)", 1, 9, `")": no key in it shows <n>`},
		{"sum<k,r>(conv(a<k>) > conv(b<r>))", 1, 33, `")": no key in it shows <k>, <r>`},
		{"conv(ä)", 1, 6, `"\xc3": want a name`},
	} {
		_, err := family.Parse(test.text)
		var s *family.SyntaxError
		if !errors.As(err, &s) {
			t.Errorf("%q: error %v, want a syntax error", test.text, err)
			continue
		}
		if got, want := fmt.Sprintf("%d:%d %s", s.Line, s.Column, s.Msg), fmt.Sprintf("%d:%d %s", test.line, test.column, test.msg); got != want {
			t.Errorf("%q: %s, want %s", test.text, got, want)
		}
	}
}

// all is a checkpoint that has every key: vectors where the name says so, else
// kernels.
type all struct{}

func (all) Lookup(module, key string) (*tensor.Named, bool) {
	key = family.Whole(module, key)
	shape := []int{2, 2, 3, 3}
	for _, vector := range []string{"bias", "running_mean", "running_var", "bn.weight", "v"} {
		if strings.HasSuffix(key, vector) {
			shape = []int{2}
		}
	}
	t := tensor.Named{Key: key, Tensor: tensor.Of(tensor.F32, shape, make([]float64, tensor.Elems(shape)))}
	return &t, !strings.HasSuffix(key, "_mean") || strings.HasSuffix(key, "running_mean")
}

func (all) Below(string) []string { return []string{"n.0.weight", "n.1.weight", "n.1.bias"} }

// Parse takes or refuses any text, and what it takes is written and read again to the
// same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"conv(a) > bn(a.bn) + x", "sum<n>(conv(n.<n>))", "seq<n>(conv(n.<n>) > window)?", "x + (scale(v) | shift(-1))",
		"kernel(orepa_repvgg(0, v, a))", "split(0, a, b) > conv(a)", "ask(q: x, concat(x, x))", "channels(1, end, a)", "conv(", "sum<",
		`kernel("onnx::Conv_1", "eps") > norm("a<n>", ".", "\"\\", "")`, `conv("a:b", transposed) > bn("m.") + kernel(eye("a b", 1))`, `scale("1e5") > bn(., repeat "x\xff")`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := family.Parse(text)
		if err != nil {
			if s := (*family.SyntaxError)(nil); !errors.As(err, &s) || s.Line < 1 || s.Column < 1 {
				t.Fatalf("%q: %#v", text, err)
			}
			return
		}
		m := built(n, all{}, "")
		if len(m.Made) != 1 {
			return
		}
		written := family.Format(m.Made[0].Expr, "")
		again, err := family.Parse(written)
		if err != nil {
			t.Fatalf("%q is written %q: %v", text, written, err)
		}
		second := built(again, all{}, "")
		if len(second.Made) != 1 || second.Made[0].Expr.String() != m.Made[0].Expr.String() {
			t.Fatalf("%q is %s, written %q, which is %v", text, m.Made[0].Expr, written, second)
		}
	})
}
