package unfuse_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/fuse"
	"repfuse/internal/golden"
	"repfuse/internal/plan"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
	"repfuse/internal/unfuse"
)

// some is the families that have a block that takes no kernel whatever, and takes back the one that it came to, each with
// what stands against another.
var some = map[string]string{
	"etds": "a part of its kernel is zero", "rmnet": "a part of its kernel is the identity", "rmnet-rmblock": "a part of its kernel is the identity",
	"slak":             "the corners of its kernel are zero",
	"wespeaker-repspk": "taps of its kernel are zero", "mobileone-scale": "its kernel is diagonal",
	"repmlp": "its bias is one number for some channels", "yolov6-qarepvgg": "a ninth is added, which no kernel takes away exactly",
	"weight-norm": "the norm of a row is a number of g's type", "gmp": "the norm of a row is a number of r's type",
	"fastvit-repcpe": adds, "timm-repcpe": adds, "timm-repcpe/network": adds, "lkdn": adds, "mfdnet": adds, "repghost": adds, "residual-conv2d-bn": adds,
}

// adds is what stands against a kernel that is not 1 and something where 1 is.
const adds = "its input is added as it is, to one kernel alone"

// nearly is the families of which a batch norm takes the input away, so nearly that what is not far below 1 comes
// back, and a zero does not.
var nearly = []string{"fastvit-repmixer", "qarepvgg", "qarepvgg-v6", "repsr", "repvit-dw-legacy", "timm-repmixer"}

// Every block of every reference case, given the kernel of another, fuses to that kernel bit for bit, or is of a family
// that takes back its own alone, or of a case that cannot be.
func TestFamilies(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute in an emulator, and one goroutine for the race detector")
	}
	set, err := family.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	done, met := map[string]bool{}, map[string]bool{}
	for _, name := range golden.Cases(t) {
		c := golden.Load(t, name)
		o := recognise.Options{Families: set, Facts: c.Facts()}
		p, err := recognise.Plan(c.Train, o)
		if err != nil {
			continue // refused, or asks: package recognise's tests say which
		}
		why := golden.NotUnfused[name]
		refused := why == ""
		for k := range p.Blocks {
			b := &p.Blocks[k]
			err := roundTrip(t, c.Train, o, b, random, 0)
			if err == nil {
				done[b.Family] = true
				if slices.Contains(nearly, b.Family) && !met[b.Family] {
					zeros := func(s tensor.Spec, _ bool) tensor.Tensor { return random(s, true) }
					met[b.Family] = roundTrip(t, c.Train, o, b, zeros, 0) != nil
				}
				if err := roundTrip(t, c.Train, o, b, random, 0.25); err != nil {
					t.Errorf("%s (%s): %v, where other branches have a quarter", name, b.Family, err)
				}
				continue
			}
			if some[b.Family] != "" {
				met[b.Family] = true
				err = roundTrip(t, c.Train, o, b, nil, 0)
			}
			if refused = refused || err != nil; err != nil && (why == "" || !strings.Contains(err.Error(), why)) {
				t.Errorf("%s (%s): %v, want %q", name, b.Family, err, why)
			}
		}
		if !refused {
			t.Errorf("%s comes back, want %q", name, why)
		}
	}
	for _, name := range slices.AppendSeq(slices.Clone(nearly), maps.Keys(some)) {
		if !met[name] {
			t.Errorf("%s takes every kernel", name)
		}
	}
	if len(done) < 105 { // of the cases of today
		t.Errorf("%d families, want 105", len(done))
	}
}

// roundTrip unfuses kernels into a block, plans the tensors anew, and fuses them. The kernels are what make makes of a
// spec, or those that the block comes to.
func roundTrip(t *testing.T, train []tensor.Named, o recognise.Options, b *plan.Block, make func(s tensor.Spec, zeros bool) tensor.Tensor, small float64) error {
	t.Helper()
	deployed, err := fused(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range (&plan.Plan{Blocks: []plan.Block{*b}}).Items(nil) {
		if make != nil {
			deployed[item.Key] = make(item.Spec, !slices.Contains(nearly, b.Family))
		}
	}
	train = golden.Halved(t, train) // the training form of another network
	like := planned(t, train, o, b.Path)
	set, err := unfuse.Values(&plan.Plan{Blocks: []plan.Block{*like}}, func(key string) tensor.Tensor { return deployed[key] }, small)
	if err != nil {
		return err
	}
	for k := range train {
		if to, ok := set[train[k].Key]; ok {
			train[k].Tensor = to
		}
	}
	back, err := fused(planned(t, train, o, b.Path))
	if err != nil {
		return err
	}
	for key, want := range deployed {
		if !equal(t, back[key], want) {
			return fmt.Errorf("%s: other bytes than were unfused", key)
		}
	}
	return nil
}

// planned is the block at a path.
func planned(t *testing.T, train []tensor.Named, o recognise.Options, path string) *plan.Block {
	t.Helper()
	p, err := recognise.Plan(train, o)
	if err != nil {
		t.Fatal(err)
	}
	return &p.Blocks[slices.IndexFunc(p.Blocks, func(b plan.Block) bool { return b.Path == path })]
}

// fused is what a block comes to.
func fused(b *plan.Block) (map[string]tensor.Tensor, error) {
	all := map[string]tensor.Tensor{}
	typ := (&plan.Plan{Blocks: []plan.Block{*b}}).Items(nil)[0].Type
	for _, out := range b.Outputs {
		c, err := fuse.Collapse(out.Expr, typ)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", out.Weight, err)
		}
		if all[out.Weight] = c.Weight.Tensor; out.Bias != "" {
			all[out.Bias] = c.Bias.Tensor
		}
	}
	return all, nil
}

func equal(t *testing.T, a, b tensor.Tensor) bool {
	t.Helper()
	same, err := tensor.Equal(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return same
}

// random is a tensor of random elements: some small ones, powers of two, next to which elements lie twice as near on
// one side, and zeros, if they are wanted.
func random(s tensor.Spec, zeros bool) tensor.Tensor {
	r := rand.New(rand.NewPCG(1, uint64(len(s.Key))))
	v := make([]float64, tensor.Elems(s.Shape))
	for k := range v {
		switch k % 5 {
		case 1:
			v[k] = math.Ldexp(r.NormFloat64(), -r.IntN(15))
		case 2:
			v[k] = math.Ldexp(1, -r.IntN(12))
		case 3:
			v[k] = math.Ldexp(r.NormFloat64(), 3)
		case 4:
			if zeros {
				break
			}
			fallthrough
		default:
			v[k] = r.NormFloat64()
		}
	}
	return tensor.Of(s.Type, s.Shape, v)
}
