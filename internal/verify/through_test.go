package verify_test

import (
	"slices"
	"testing"

	"repfuse/internal/plan"
	"repfuse/internal/tensor"
	"repfuse/internal/verify"
)

// kept is a plan of tensors that only pass through.
func kept(tensors ...tensor.Named) *plan.Plan {
	p := &plan.Plan{}
	for _, n := range tensors {
		p.Fates = append(p.Fates, plan.Fate{Named: n, Fate: plan.Kept, Block: -1, NewKey: n.Key})
	}
	return p
}

func vector(key string, t tensor.Type, v ...float64) tensor.Named {
	return tensor.Named{Key: key, Tensor: tensor.Of(t, []int{len(v)}, v)}
}

func raw(key string, t tensor.Type, shape []int, b ...byte) tensor.Named {
	return tensor.Named{Key: key, Tensor: tensor.FromBytes(t, shape, b)}
}

// long is more elements than are compared at a time, in a shape of two axes.
func long(change func(v []float64)) tensor.Named {
	v := make([]float64, 7*5000)
	for k := range v {
		v[k] = float64(k)
	}
	change(v)
	return tensor.Named{Key: "long", Tensor: tensor.Of(tensor.F32, []int{7, 5000}, v)}
}

func TestPassThrough(t *testing.T) {
	same := func([]float64) {}
	nan := []byte{0x00, 0x00, 0xc0, 0x7f}
	otherNaN := []byte{0x01, 0x00, 0xc0, 0x7f}
	for _, test := range []struct {
		name    string
		was, is tensor.Named
		typ     tensor.Type
		want    []string
	}{
		{"the same", long(same), long(same), 0, nil},
		{"an element", long(same), long(func(v []float64) { v[6*5000+4] = -1 }), 0, []string{"long[6 4] is -1, want 30004"}},
		{"the sign of zero", vector("k", tensor.F32, 0), raw("k", tensor.F32, []int{1}, 0, 0, 0, 0x80), 0,
			[]string{"k[0] is -0 (0x80000000), want 0 (0x00000000)"}},
		{"a bit of a NaN", raw("k", tensor.F32, []int{}, nan...), raw("k", tensor.F32, []int{}, otherNaN...), 0,
			[]string{"k[] is NaN (0x7fc00001), want NaN (0x7fc00000)"}},
		{"an integer", raw("k", tensor.I64, []int{1}, 1, 0, 0, 0, 0, 0, 0, 0), raw("k", tensor.I64, []int{1}, 2, 0, 0, 0, 0, 0, 0, 0x80), 0,
			[]string{"k[0] is -9223372036854775806, want 1"}},
		{"some other type", raw("k", tensor.I16, []int{1}, 1, 2), raw("k", tensor.I16, []int{1}, 1, 3), 0,
			[]string{"k[0] is 0x0301, want 0x0201"}},
		{"rounded once", vector("k", tensor.F32, 0.1, 1e-9), vector("k", tensor.F16, 0.1, 0), tensor.F16, nil},
		{"rounded up", vector("k", tensor.F32, 0.1), vector("k", tensor.F16, 0.10004), tensor.F16, []string{"k[0] is 0.10003662, want 0.099975586"}},
		{"any NaN, rounded", raw("k", tensor.F32, []int{1}, otherNaN...), raw("k", tensor.F16, []int{1}, 0x01, 0xfe), tensor.F16, nil},
		{"widened", vector("k", tensor.F16, 0.1), vector("k", tensor.F64, 0.0999755859375), tensor.F64, nil},
		{"narrowed, and nobody asked", vector("k", tensor.F32, 0.5), vector("k", tensor.F16, 0.5), 0, []string{"k has element type float16, want float32"}},
		{"widened, and nobody asked", vector("k", tensor.F16, 0.5), vector("k", tensor.F32, 0.5), 0, []string{"k has element type float32, want float16"}},
		{"the type asked for", vector("k", tensor.F32, 0.1), vector("k", tensor.F16, 0.1), tensor.F16, nil},
		{"another than was asked for", vector("k", tensor.F32, 0.1), vector("k", tensor.BF16, 0.1), tensor.F16,
			[]string{"k has element type bfloat16, want float16"}},
		{"no floating type", vector("k", tensor.F32, 1), raw("k", tensor.I32, []int{1}, 1, 0, 0, 0), 0,
			[]string{"k has element type int32, want float32"}},
		{"another shape", vector("k", tensor.F32, 1, 2), vector("k", tensor.F32, 1), 0, []string{"k has shape [1], want [2]"}},
		{"another key", vector("k", tensor.F32, 1), vector("l", tensor.F32, 1), 0,
			[]string{"k is missing, want it of shape [1]", "l of shape [1] is not on the plan"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := run(t, kept(test.was), []tensor.Named{test.is}, verify.Options{Types: func(string) tensor.Type { return test.typ }})
			var got []string
			for _, f := range r.Findings {
				got = append(got, f.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("findings %q, want %q", got, test.want)
			}
			if r.Passed != (len(test.want) == 0) {
				t.Errorf("passed is %t", r.Passed)
			}
		})
	}
}
