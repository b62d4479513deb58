package unfuse_test

import (
	"bytes"
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

const (
	input   = "it adds its input as it is, which no other branch takes away exactly"
	small   = "no one kernel of it holds"
	formula = "computes what would have to be set"
)

// refused is the families that have a block that cannot be given any kernel, each with the reason.
var refused = map[string]string{
	"arrlfn": input, "clrfdn": input, "fastvit-repcpe": input, "lkdn": input, "mfdnet": input, "plainusr": input, "plainusr-block": input,
	"repghost": input, "residual-conv2d-bn": input, "rrrb": input, "timm-repcpe": input, "timm-repcpe/network": input, "yolov6-qarepvgg": input,
	"omnishift": small, "rtmosr": small, "slak": small, "wespeaker-repspk": small,
	"deanet": formula, "gmp": formula, "mobileone-scale": formula, "orepa": formula, "orepa-large": formula, "orepa-large-base": formula,
	"orepa-repvgg": formula, "repmlp": formula, "spectral-norm": formula, "weight-norm": formula, "yoloe-text": formula,
	"orepa-1x1": "does not pass its input on",
	"etds":      "no kernel of it can hold another", // of two kernels that are stacked
	"rmnet":     "no kernel of it can hold another", "rmnet-rmblock": "no kernel of it can hold another",
	"slab-merging": "nothing behind its kernel adds a bias",
	"syenet/tenth": "scale(0.1) is no power of two",
}

// nearly is the families of which a batch norm takes the input away, so nearly that what is not far below 1 comes
// back, and a zero does not.
var nearly = []string{"fastvit-repmixer", "qarepvgg", "qarepvgg-v6", "repsr", "repvit-dw-legacy", "timm-repmixer"}

// Every block of every reference case, given the kernel of another, fuses to that kernel
// bit for bit; or it cannot be, for the reason that stands above.
func TestFamilies(t *testing.T) {
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
		for k := range p.Blocks {
			b := &p.Blocks[k]
			switch err := roundTrip(t, c.Train, o, b); {
			case err == nil:
				done[b.Family] = true
			case refused[b.Family] == "" || !strings.Contains(err.Error(), refused[b.Family]):
				t.Errorf("%s: %v", name, err)
			default:
				met[b.Family] = true
			}
		}
	}
	for name := range refused {
		if !met[name] {
			t.Errorf("%s is refused by no case", name)
		}
	}
	if len(done) < 91 { // of the cases of today
		t.Errorf("%d families, want 91", len(done))
	}
}

// roundTrip unfuses random kernels into a block, plans the tensors anew, and fuses them.
func roundTrip(t *testing.T, train []tensor.Named, o recognise.Options, b *plan.Block) error {
	t.Helper()
	deployed := map[string]tensor.Tensor{}
	one := &plan.Plan{Blocks: []plan.Block{*b}}
	for _, item := range one.Items(nil) {
		deployed[item.Key] = random(item.Spec, !slices.Contains(nearly, b.Family))
	}
	set, err := unfuse.Values(one, func(key string) tensor.Tensor { return deployed[key] })
	if err != nil {
		return err
	}
	changed := slices.Clone(train)
	for k := range changed {
		if to, ok := set[changed[k].Key]; ok {
			changed[k].Tensor = to
		}
	}
	p, err := recognise.Plan(changed, o)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(p.Blocks, func(c plan.Block) bool { return c.Path == b.Path })
	for _, out := range p.Blocks[at].Outputs {
		c, err := fuse.Collapse(out.Expr, deployed[out.Weight].Type)
		if err != nil {
			t.Fatalf("%s (%s): %v", out.Weight, b.Family, err)
		}
		if !equal(t, c.Weight.Tensor, deployed[out.Weight]) || out.Bias != "" && !equal(t, c.Bias.Tensor, deployed[out.Bias]) {
			t.Errorf("%s (%s): other bytes than were unfused", out.Weight, b.Family)
		}
	}
	return nil
}

func equal(t *testing.T, got, want tensor.Tensor) bool {
	t.Helper()
	a, err := got.ReadAll()
	b, err2 := want.ReadAll()
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return bytes.Equal(a, b)
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
