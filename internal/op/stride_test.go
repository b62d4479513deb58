package op_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/op/optest"
)

func kernel(shape ...int) op.Conv { return op.Conv{Weight: param(shape...)} }

// strided is a 4 → 4 kernel of the given extents and stride.
func strided(extent int, stride ...int) op.Conv {
	c := kernel(4, 4, extent, extent)
	c.Weight.Key, c.Stride = fmt.Sprintf("k%d.weight", extent), stride
	return c
}

// Strides are the whole's by multiplying in a row and by agreeing side by side, and what
// follows one is spread by it.
func TestStride(t *testing.T) {
	for _, test := range []struct {
		name        string
		e           op.Expr
		stride      string
		lo, hi, gap int // of the first axis
	}{
		{"said of nobody", strided(3), "[]", -1, 1, 1},
		{"one number", strided(3, 2), "[2 2]", -1, 1, 1},
		{"one an axis", strided(3, 2, 1), "[2 1]", -1, 1, 1},
		{"said of one branch", op.Sum{strided(3, 2), strided(1)}, "[2 2]", -1, 1, 1},
		{"of the other", op.Sum{strided(1), strided(3, 2)}, "[2 2]", -1, 1, 1},
		{"a batch norm has 1", norm(4), "[1 1]", 0, 0, 0},
		// 3×3 behind a stride of 2: shifts −1, 0, 1 and 2·(−1, 0, 1).
		{"in a row", op.Seq{strided(3, 2), norm(4), strided(3, 3)}, "[6 6]", -3, 3, 1},
		{"a 1×1 with stride", op.Seq{strided(1, 2), strided(3, 1)}, "[2 2]", -2, 2, 2},
		{"partly said", op.Seq{strided(1, 2), strided(3)}, "[]", -2, 2, 2},
		{"padding is spread", op.Seq{op.Identity{Stride: []int{2}}, op.AvgPool{Kernel: []int{3, 3}, Stride: []int{1}, Padding: []int{-1}}}, "[2 2]", 2, 6, 2},
		{"so is the centre", op.Seq{op.Identity{Stride: []int{2}}, op.AvgPool{Kernel: []int{2, 2}, Stride: []int{1}}}, "[2 2]", 0, 2, 2},
		{"pad and crop", op.Seq{op.Identity{Padding: []int{3}}, op.Identity{Padding: []int{-1}}}, "[1 1]", -2, -2, 0},
	} {
		f, err := op.CheckFrom(test.e, 4, 2)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got := fmt.Sprintf("%v %d %d %d", f.Stride, f.Lo[0], f.Hi[0], f.Step[0]); got != fmt.Sprintf("%s %d %d %d", test.stride, test.lo, test.hi, test.gap) {
			t.Errorf("%s: %s, want %s %d %d %d", test.name, got, test.stride, test.lo, test.hi, test.gap)
		}
	}
}

// Without its strides an expression looks at the same places, each once.
func TestAtStride1(t *testing.T) {
	for seed := range uint64(500) {
		e := optest.Random(seed, optest.Options{Rank: -1})
		f, err := op.Check(e)
		if err != nil {
			t.Fatal(err)
		}
		g, err := op.CheckFrom(op.AtStride1(e, f.Rank()), f.In, f.Rank())
		if err != nil || !reflect.DeepEqual([][]int{f.Lo, f.Hi, f.Step}, [][]int{g.Lo, g.Hi, g.Step}) {
			t.Errorf("seed %d: %s has the form %+v, at stride 1 %+v (%v)", seed, e, f, g, err)
		}
		op.Walk(op.AtStride1(e, f.Rank()), func(e op.Expr) {
			if strings.Contains(e.String(), "stride") {
				t.Errorf("seed %d: %s at stride 1", seed, e)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	reflected := func(extent int) op.Conv {
		c := strided(extent, 1)
		c.PaddingMode = "reflect"
		return c
	}
	up := op.Conv{Weight: param(4, 4, 2, 2), Transposed: true, Groups: 1}
	deep := op.Expr(norm(4))
	for range 2000 {
		deep = op.Seq{deep}
	}
	for _, test := range []struct {
		e    op.Expr
		want string // "" is accepted
	}{
		{op.Sum{strided(3, 2), strided(1, 1)}, "k1 has stride [1 1], want [2 2] as k3 has"},
		{op.Sum{strided(3), strided(5, 2), strided(1, 1)}, "k1 has stride [1 1], want [2 2] as k5 has"},
		{op.Sum{strided(3, 2), op.Identity{}}, "x has stride [1 1], want [2 2] as k3 has"},
		{op.Sum{strided(3, 2), norm(4)}, "has stride [1 1], want [2 2] as k3 has"},
		{op.Sum{strided(3, 2), op.Seq{norm(4), op.Identity{Stride: []int{2}}}}, ""},
		{op.Concat{strided(3, 2), strided(1, 2, 1)}, "k1 has stride [2 1], want [2 2] as k3 has"},
		{op.Conv{Weight: param(4, 4, 3, 3), Stride: []int{0}}, "w has stride 0 and dilation 1, want at least 1"},
		{op.Conv{Weight: param(4, 4, 3, 3), Padding: []int{1, 1, 1}}, "w has 2 axes, want as many strides, paddings and dilations ([1 1 1])"},
		{op.Conv{Weight: param(4, 4, 3, 3), Padding: []int{1 << 40}}, "want one over at most 1048576 positions"},
		{op.Seq{op.Identity{Padding: []int{1 << 19, 0}}, op.Identity{Padding: []int{1 << 19, 0}}, norm(4)}, "want one over at most 1048576 positions"},
		{op.Seq{norm(4), op.AvgPool{Kernel: []int{1024, 1024}}}, ""},
		{op.Seq{norm(4), op.AvgPool{Kernel: []int{1024, 1025}}}, "want one over at most 1048576 positions"},
		{op.Seq{strided(1, 1<<15), strided(1, 1<<15)}, "want one over at most 1048576 positions"},
		{op.Seq{up, norm(4)}, ""},
		{op.Seq{up, op.Identity{Stride: []int{2}}}, "a transposed convolution stands beside another kernel"},
		{op.Concat{op.Seq{up, norm(4)}, norm(4)}, "a transposed convolution stands beside another branch"},

		{op.Conv{Weight: param(4, 4, 3, 3), PaddingMode: "mirror"}, `w has padding mode "mirror", want reflect, replicate or circular`},
		{op.Sum{reflected(3), strided(1, 1)}, ""},
		{op.Sum{reflected(3), strided(5, 1)}, "k5 pads by zeros, want reflect as k3 does"},
		{op.Sum{reflected(3), op.AvgPool{Kernel: []int{3, 3}}}, "pads by zeros, want reflect as k3 does"},
		{op.Seq{reflected(1), norm(4), reflected(3), strided(1, 1)}, ""},
		{op.Seq{reflected(3), strided(1, 2)}, ""},
		{op.Seq{strided(1, 2), reflected(3)}, "padding by reflect, want it where nothing else in the sequence reaches outside, and no stride is before it"},
		{op.Seq{strided(3, 1), reflected(3)}, "padding by reflect, want it where nothing else in the sequence reaches outside, and no stride is before it"},
		{op.Seq{reflected(3), strided(3, 1)}, "padding by reflect, want it where nothing else in the sequence reaches outside, and no stride is before it"},

		{op.Seq{norm(4), op.AvgPool{Kernel: []int{3, 3}, Padding: []int{0}, ExcludesPadding: true}}, ""},
		{op.Seq{norm(4), op.AvgPool{Kernel: []int{3, 3}, Padding: []int{1}, ExcludesPadding: true}}, "a mean that leaves its padding out divides by fewer at the border, want padding 0"},
		{op.Seq{norm(4), op.AvgPool{Kernel: []int{3, 3}, ExcludesPadding: true}}, "want padding 0"},
		{append(op.Seq{norm(4)}, slices.Repeat([]op.Expr{op.Identity{}}, 100000)...), ""},
		{deep, "nested more than 1000 deep"},
	} {
		_, err := op.Check(test.e)
		if (err == nil) != (test.want == "") || err != nil && !strings.HasSuffix(err.Error(), test.want) {
			t.Errorf("%.60s: error %v, want %q", test.e, err, test.want)
		}
	}
}
