package family

import (
	"slices"
	"testing"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// given is an argument that counts up from 1, or zeros.
func given(key string, counting bool, shape ...int) argument {
	v := make([]float64, tensor.Elems(shape))
	for k := range v {
		if counting {
			v[k] = float64(k + 1)
		}
	}
	return argument{word: key, tensor: &op.Param{Key: key, Tensor: tensor.Of(tensor.F64, shape, v)}}
}

// made is what a generator makes of its arguments.
func made(of func([]argument) ([]int, formula, error), a []argument) ([]int, []float64, error) {
	g := &generator{params: []kind{required}, prepare: of}
	t, err := g.tensor(a)
	if err != nil {
		return nil, nil, err
	}
	v, err := t.Floats()
	return t.Shape, v, err
}

// With two groups of two outputs the rows of the pointwise kernel are interleaved, as
// the reference's view(O/g, g, I/g, e) has them:
//
//	w[c·O/g + a, j, t] = Σ_s dw[c, j, s, t] · pw[a, c, j, s]
func TestOREPAGroups(t *testing.T) {
	const out, groups, width, expand, mid, taps = 4, 2, 3, 2, 3, 9
	vector := given("vector", false, 6, out)
	ones := make([]float64, 6*out)
	for o := range out {
		ones[5*out+o] = 1
	}
	vector.tensor.Tensor = tensor.Of(tensor.F64, []int{6, out}, ones)
	dw := given("dw", true, groups*width*expand, 1, 3, 3)
	pw := given("pw", true, out, width*expand, 1, 1)
	shape, got, err := made(orepa, []argument{{word: "0"}, vector,
		given("origin", true, out, width, 3, 3), given("avg_conv", true, out, width, 1, 1), given("avg_avg", true, 3, 3),
		given("pfir", true, out, width, 1, 1), given("prior", true, out, 3, 3),
		given("idconv1", true, groups*mid, width, 1, 1), given("id_tensor", true, groups*mid, width, 1, 1),
		given("conv2", true, out, mid, 3, 3), given("1x1", true, out, width, 1, 1), dw, pw})
	if err != nil || !slices.Equal(shape, []int{out, width, 3, 3}) {
		t.Fatal(shape, err)
	}
	for c := range groups {
		for a := range out / groups {
			for j := range width {
				for tap := range taps {
					want := 0.0
					for s := range expand {
						// dw counts along (c, j, s, t), pw along (a, c, j, s).
						want += float64(((c*width+j)*expand+s)*taps+tap+1) * float64(((a*groups+c)*width+j)*expand+s+1)
					}
					if v := got[((c*out/groups+a)*width+j)*taps+tap]; v != want {
						t.Fatalf("w[%d, %d, %d] = %v, want %v", c*out/groups+a, j, tap, v, want)
					}
				}
			}
		}
	}
}

func TestTurned(t *testing.T) {
	k := given("k", true, 1, 2, 1, 3)
	for n, want := range map[string][]float64{"0": {1, 2, 3, 4, 5, 6}, "1": {3, 2, 1, 6, 5, 4}} {
		if _, got, err := made(turned, []argument{k, {word: n}}); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v %v, want %v", n, got, err, want)
		}
	}
}

// A patch of 2×3 that is not square: the height must be said, and the kernel's middle
// lies over the output's own place.
func TestUnrolled(t *testing.T) {
	conv, fc := given("conv", true, 1, 1, 1, 3), given("fc3", false, 6, 6, 1, 1)
	if _, _, err := unrolled([]argument{conv, fc, {word: "square"}}); err == nil {
		t.Error("six elements are no square")
	}
	_, got, err := made(unrolled, []argument{conv, fc, {word: "2"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []float64{
		2, 3, 0, 0, 0, 0,
		1, 2, 3, 0, 0, 0,
		0, 1, 2, 0, 0, 0,
		0, 0, 0, 2, 3, 0,
		0, 0, 0, 1, 2, 3,
		0, 0, 0, 0, 1, 2,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A gap in a chain of kernels is a key that is missing.
func TestChainWithGap(t *testing.T) {
	n, err := Parse("seq<n>(kernel(turned(weight<n>, <n>)))")
	if err != nil {
		t.Fatal(err)
	}
	keys := listed{"weight0": given("weight0", true, 2, 2, 3, 3).tensor, "weight2": given("weight2", true, 2, 2, 3, 3).tensor}
	f := &Family{Name: "chain", Make: []Output{{Key: "out", Expr: n}}}
	m := f.Match(Site{Keys: keys, Said: func(string) (string, bool) { return "", false }})
	if !slices.Equal(m.Missing, []string{"weight1"}) {
		t.Errorf("missing %v, want weight1", m.Missing)
	}
}

type listed map[string]*op.Param

func (l listed) Lookup(module, key string) (*tensor.Named, bool) {
	p, ok := l[Whole(module, key)]
	return p, ok
}

func (l listed) Below(string) []string {
	var keys []string
	for k := range l {
		keys = append(keys, k)
	}
	return keys
}
