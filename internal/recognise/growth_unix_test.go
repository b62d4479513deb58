//go:build unix

package recognise_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"repfuse/internal/draft"
	"repfuse/internal/family"
	"repfuse/internal/recognise"
	"repfuse/internal/tensor"
)

// Sixteen times the tensors take some sixteen times as long, where all are alike and where all differ. What looks
// at every tensor for each takes 256 times: half way between the two, by factors, is 64.
func TestGrowth(t *testing.T) {
	shape := func(dims ...int) tensor.Tensor { return tensor.Tensor{Type: tensor.F32, Shape: dims} }
	norm := func(path string) []tensor.Named {
		var all []tensor.Named
		for _, name := range []string{"weight", "bias", "running_mean", "running_var"} {
			all = append(all, tensor.Named{Key: path + "." + name, Tensor: shape(4)})
		}
		return all
	}
	for name, test := range map[string]struct {
		one func(k int) []tensor.Named
		run func([]tensor.Named)
	}{
		"a plain folder": {func(k int) []tensor.Named {
			return append(norm(fmt.Sprintf("bn%d", k)), tensor.Named{Key: fmt.Sprintf("conv%d.weight", k), Tensor: shape(4, 4, 3, 3)})
		}, func(all []tensor.Named) { recognise.Plan(all, recognise.Options{Families: &family.Set{}}) }},
		"kinds of draft": {func(k int) []tensor.Named {
			path := fmt.Sprintf("m%d.", k)
			all := append(norm(path+"wide_bn"), norm(path+fmt.Sprintf("point%d_bn", k))...)
			return append(all, tensor.Named{Key: path + "wide.weight", Tensor: shape(4, 4, 3, 3)}, tensor.Named{Key: path + fmt.Sprintf("point%d.weight", k), Tensor: shape(4, 4, 1, 1)})
		}, func(all []tensor.Named) {
			var in draft.Input
			for _, t := range all {
				in.Tensors = append(in.Tensors, t.Spec())
			}
			draft.Propose(in)
		}},
	} {
		took := func(n int) time.Duration {
			var all []tensor.Named
			for k := range n {
				all = append(all, test.one(k)...)
			}
			least := time.Hour
			for range 3 {
				begun := worked(t)
				test.run(all)
				least = min(least, worked(t)-begun)
			}
			return least
		}
		if small, large := took(400), took(6400); large > 64*small {
			t.Errorf("%s: sixteen times as many take %v in place of %v", name, large, small)
		} else {
			t.Logf("%s: %v, %v: %.0f times", name, small, large, float64(large)/float64(small))
		}
	}
}

// worked is the processor's time that the process has had, which does not depend on what else runs.
func worked(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
