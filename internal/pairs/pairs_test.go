package pairs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"repfuse/internal/golden"
	"repfuse/internal/tensor"
	"repfuse/internal/text"
)

// measure holds what Find gives to what traced passes show: the traced pairs, those of
// them that were found, and those found that no pass shows.
func measure(t *testing.T, ordered bool) (traced, found, wrong int) {
	t.Helper()
	sets, err := golden.KeySets("../..")
	if err != nil {
		t.Fatal(err)
	}
	for k, s := range sets {
		if !s.Traced || testing.Short() && k%10 > 0 {
			continue
		}
		tensors := s.Tensors
		if !ordered {
			tensors = slices.Clone(tensors)
			slices.SortFunc(tensors, func(a, b tensor.Spec) int { return -text.Natural(a.Key, b.Key) })
		}
		traced += len(s.Layer)
		pairs, _ := Find(tensors, ordered)
		for _, p := range pairs {
			switch {
			case s.Layer[p.Norm] == p.Layer:
				found++
			case !s.Idle[p.Norm]:
				wrong++
				if wrong < 20 {
					t.Errorf("%s: %s is not behind %s", s.Name, p.Norm, p.Layer)
				}
			}
		}
	}
	return traced, found, wrong
}

// TestTraced: of the pairs that forward passes through torchvision's and timm's models show,
// all but the pre-activation networks' last and DPN's are found, and no other.
func TestTraced(t *testing.T) {
	traced, found, wrong := measure(t, true)
	t.Logf("%d traced, %d found (%.2f %%), %d wrong", traced, found, 100*float64(found)/float64(traced), wrong)
	if traced == 0 || float64(found) < 0.97*float64(traced) || wrong > 0 {
		t.Errorf("%d of %d traced pairs found, %d wrong; want 97 %% and none", found, traced, wrong)
	}
}

// TestTracedWithoutOrder: a .safetensors file or a directory has no order. What names and
// channels do not decide is left, and nothing wrong is found.
func TestTracedWithoutOrder(t *testing.T) {
	traced, found, wrong := measure(t, false)
	t.Logf("%d traced, %d found (%.2f %%), %d wrong", traced, found, 100*float64(found)/float64(traced), wrong)
	if traced == 0 || float64(found) < 0.75*float64(traced) || wrong > 0 {
		t.Errorf("%d of %d traced pairs found, %d wrong; want 75 %% and none", found, traced, wrong)
	}
}

// keys makes specs of "KEY 64x3x3" lines.
func keys(lines ...string) []tensor.Spec {
	var list []tensor.Spec
	for _, line := range lines {
		path, what, _ := strings.Cut(line, " ")
		shape := func(text string) []int {
			var s []int
			for word := range strings.SplitSeq(text, "x") {
				n, _ := strconv.Atoi(word)
				s = append(s, n)
			}
			return s
		}
		if c, ok := strings.CutPrefix(what, "bn"); ok {
			for _, name := range []string{"weight", "bias", "running_mean", "running_var"} {
				list = append(list, tensor.Spec{Key: path + "." + name, Shape: shape(c)})
			}
			continue
		}
		list = append(list, tensor.Spec{Key: path + ".weight", Shape: shape(what)})
	}
	return list
}

// TestPairs: one row for each thing that decides.
func TestPairs(t *testing.T) {
	for name, row := range map[string]struct {
		keys      []tensor.Spec
		unordered bool
		want      []Pair
	}{
		"neighbours of a Sequential":          {keys: keys("0 8x3x3x3", "1 bn8"), want: []Pair{{"0", "1", false}}},
		"an index between is an activation's": {keys: keys("0 8x3x3x3", "2 bn8")},
		"the norm comes first":                {keys: keys("bn1 bn8", "conv1 8x8x3x3")},
		"a norm of all branches":              {keys: keys("conv 8x8x3x3", "conv1 8x8x1x1", "bn bn8")},
		"a PReLU between":                     {keys: keys("conv 8x8x3x3", "act 8", "bn bn8")},
		"two norms of one layer":              {keys: keys("conv 8x4x3x3", "bn_source bn8", "bn_target bn8")},
		"lists side by side":                  {keys: keys("convs.0 8x8x3", "convs.1 8x8x3", "bns.0 bn8", "bns.1 bn8"), want: []Pair{{"convs.0", "bns.0", false}, {"convs.1", "bns.1", false}}},
		"transposed, by shape":                {keys: keys("up 8x4x2x2", "bn bn4"), want: []Pair{{"up", "bn", true}}},
		"transposed or not":                   {keys: keys("up 4x4x2x2", "bn bn4")},
		"more channels":                       {keys: keys("conv 8x4x3x3", "bn bn4")},
		"a projection's neighbour":            {keys: keys("proj 8x8", "norm bn8")},
		"last of a module with the number":    {keys: keys("conv1.0 8x3x3x3", "conv1.3 8x8x3x3", "bn1 bn8"), want: []Pair{{"conv1.3", "bn1", false}}},

		"no order, square":                     {keys: keys("conv1 8x8x3x3", "bn1 bn8"), unordered: true},
		"no order, others show it":             {keys: keys("a.bn1 bn8", "a.conv1 8x8x3x3", "b.bn1 bn8", "b.conv1 8x4x3x3"), unordered: true, want: []Pair{{"a.conv1", "a.bn1", false}, {"b.conv1", "b.bn1", false}}},
		"no order, others show pre-activation": {keys: keys("a.bn1 bn8", "a.conv1 8x8x3x3", "b.bn1 bn4", "b.conv1 8x4x3x3"), unordered: true},
		"no order, attention between":          {keys: keys("b.bn1 bn8", "b.conv1 8x4x3x3", "b.se.0 2x8", "b.se.2 8x2"), unordered: true},
	} {
		got, left := Find(row.keys, !row.unordered)
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: %v, want %v (left: %v)", name, got, row.want, left)
		}
		if norms := strings.Count(fmt.Sprint(row.keys), "running_mean"); len(got)+len(left) != norms {
			t.Errorf("%s: %d pairs and %d left of %d norms", name, len(got), len(left), norms)
		}
	}
}
