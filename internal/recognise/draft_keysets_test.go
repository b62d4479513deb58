package recognise

import (
	"strings"
	"testing"

	"repfuse/internal/draft"
	"repfuse/internal/family"
	"repfuse/internal/golden"
	"repfuse/internal/tensor"
)

// Of real networks few have what looks like branches side by side: a 1×1 before a 3×3 of as many channels, branches that
// are concatenated. Plan takes the draft, which asks.
func TestDraftOfNetworks(t *testing.T) {
	sets, err := golden.KeySets("../..")
	if err != nil {
		t.Fatal(err)
	}
	for k, s := range sets {
		asks := s.Name == "timm/inception_v4" || strings.Contains(s.Name, "inception_next") || strings.Contains(s.Name, "cs3darknet_focus")
		if !asks && k%10 > 0 { // all of them take a minute
			continue
		}
		var tensors []tensor.Named
		for _, spec := range s.Tensors {
			tensors = append(tensors, tensor.Named{Key: spec.Key, Tensor: tensor.Tensor{Type: spec.Type, Shape: spec.Shape}})
		}
		families, err := family.Builtin()
		if err != nil {
			t.Fatal(err)
		}
		d, err := Draft(tensors, Options{Families: families, Ordered: true})
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		if len(d.Families) > 0 != asks {
			t.Errorf("%s: %d families", s.Name, len(d.Families))
		}
		if len(d.Families) == 0 {
			continue
		}
		text := draft.YAML(s.Name, d.Families)
		list, err := family.Load("mine.yaml", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		for _, f := range list {
			f.Own = true
		}
		if err := families.Add(list...); err != nil {
			t.Fatal(err)
		}
		if _, err := Blocks(tensors, Options{Families: families, Ordered: true}); err != nil && !strings.Contains(err.Error(), "no key says: ") {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
}
