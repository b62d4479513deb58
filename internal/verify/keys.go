package verify

import (
	"fmt"
	"slices"

	"repfuse/internal/plan"
	"repfuse/internal/tensor"
)

// keys holds the keys, shapes and types of the result to those on the plan.
func (r *run) keys(items []plan.Item, dst []tensor.Named) {
	r.amiss = map[string]bool{}
	wanted := map[string]bool{}
	for _, item := range items {
		wanted[item.Key] = true
		if f, ok := r.compareSpec(item.Spec, item.Kept != nil); !ok {
			r.amiss[item.Key] = true
			r.report.Findings = append(r.report.Findings, f)
		}
	}
	for _, t := range dst {
		if !wanted[t.Key] {
			r.report.Findings = append(r.report.Findings, Finding{Kind: Unexpected, Key: t.Key, Got: fmt.Sprint(t.Shape)})
		}
	}
}

// compareSpec holds one tensor of the result to what it should be. A floating type
// other than the one that was asked for is a finding; where none was asked for, what passes through
// keeps its own, and what is fused is compared as what it is.
func (r *run) compareSpec(want tensor.Spec, kept bool) (Finding, bool) {
	got, ok := r.dst[want.Key]
	switch {
	case !ok:
		return Finding{Kind: Missing, Key: want.Key, Want: fmt.Sprint(want.Shape)}, false
	case !slices.Equal(got.Shape, want.Shape):
		return Finding{Kind: Shape, Key: want.Key, Got: fmt.Sprint(got.Shape), Want: fmt.Sprint(want.Shape)}, false
	case got.Type == want.Type,
		!kept && r.Types.Of(want.Key) == tensor.Invalid && got.Type.IsFloat() && want.Type.IsFloat():
		return Finding{}, true
	default:
		return Finding{Kind: Type, Key: want.Key, Got: got.Type.String(), Want: want.Type.String()}, false
	}
}
