package recognise

import (
	"slices"
	"strings"
	"testing"

	"repfuse/internal/family"
	"repfuse/internal/golden"
	"repfuse/internal/op"
	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// keySets plans every key set, with --fold-bn or without.
func keySets(t *testing.T, fold bool, each func(s golden.KeySet, blocks map[string]string, deployed []string, err error)) {
	t.Helper()
	sets, err := golden.KeySets("../..")
	if err != nil {
		t.Fatal(err)
	}
	families, err := family.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for k, s := range sets {
		if testing.Short() && k%10 > 0 {
			continue
		}
		var tensors []tensor.Named
		for _, spec := range s.Tensors {
			tensors = append(tensors, tensor.Named{Key: spec.Key, Tensor: tensor.Tensor{Type: spec.Type, Shape: spec.Shape}})
		}
		found, err := Blocks(tensors, Options{Families: families, FoldNorms: fold, Ordered: true})
		if err != nil {
			each(s, nil, nil, err)
			continue
		}
		for _, n := range found.Notes {
			if strings.HasPrefix(n.Text, "kept") { // a false alarm: no family's block is left in these
				t.Errorf("%s: %s", s.Name, n)
			}
		}
		blocks := map[string]string{}
		for _, b := range found.Blocks {
			used := map[string]bool{}
			for _, key := range b.Used {
				used[key] = true
			}
			if b.Family == foldName {
				wantOwnEps(t, s, b)
			}
			for _, key := range b.Used {
				norm, ok := strings.CutSuffix(key, ".running_mean")
				switch layer := s.Layer[norm]; {
				case !ok:
				case used[layer+".weight"]: // a family's block may hold several
					blocks[norm] = layer
				case b.Family == foldName:
					blocks[norm] = b.Outputs[0].Weight
				}
			}
		}
		each(s, blocks, found.Deployed, nil)
	}
}

// wantOwnEps fails where a declared network's ε, which is not the usual one, is not the model's.
func wantOwnEps(t *testing.T, s golden.KeySet, b plan.Block) {
	t.Helper()
	op.Walk(b.Outputs[0].Expr, func(e op.Expr) {
		if n, ok := e.(op.BatchNorm); ok && n.Eps != family.EpsDefault && !slices.Equal(s.Eps, []float64{n.Eps}) {
			t.Errorf("%s: %s has ε %g, want one of %v", s.Name, n.Mean.Key, n.Eps, s.Eps)
		} else if ok && n.Eps == family.EpsDefault && slices.Equal(s.Eps, []float64{1e-3}) && !sharesKeys[s.Name] {
			t.Errorf("%s: %s has ε 1e-5, want 1e-3", s.Name, n.Mean.Key)
		}
	})
}

// sharesKeys is models of ε 1e-3 whose keys other models of ε 1e-5 have as well.
var sharesKeys = map[string]bool{
	"timm/mobilenetv3_rw": true, "timm/tf_mobilenetv3_large_minimal_100": true, "timm/tf_mobilenetv3_small_minimal_100": true,
	"timm/tf_efficientnetv2_b0": true, "timm/tf_efficientnetv2_b1": true, "timm/tf_efficientnetv2_b2": true, "timm/tf_efficientnetv2_b3": true,
	"timm/xception65p": true,
}

// TestKeySets: names of networks without a re-parameterized block neither stop a plan nor
// are called fused.
func TestKeySets(t *testing.T) {
	keySets(t, false, func(s golden.KeySet, _ map[string]string, fused []string, err error) {
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if len(fused) > 0 {
			t.Errorf("%s: %s is called fused", s.Name, fused[0])
		}
	})
}

// TestFoldKeySets: with --fold-bn at least 97 of 100 pairs that forward passes show are folded,
// and no other.
func TestFoldKeySets(t *testing.T) {
	traced, folded, wrong := 0, 0, 0
	keySets(t, true, func(s golden.KeySet, blocks map[string]string, _ []string, err error) {
		if !s.Traced {
			return
		}
		if err != nil && len(s.Layer) > 0 {
			t.Errorf("%s: %v", s.Name, err)
		}
		traced += len(s.Layer)
		for norm, layer := range blocks {
			switch {
			case s.Layer[norm] == layer:
				folded++
			case !s.Idle[norm]:
				wrong++
				t.Errorf("%s: %s is not behind %s", s.Name, norm, layer)
			}
		}
	})
	t.Logf("%d traced, %d folded, %d wrong", traced, folded, wrong)
	if traced == 0 || float64(folded) < 0.97*float64(traced) {
		t.Errorf("%d of %d traced pairs are folded, want 97 %%", folded, traced)
	}
}
