package tensor_test

import (
	"testing"

	"repfuse/internal/tensor"
)

// The module that keys share has whole names: layer1 and layer10 are two.
func TestCommon(t *testing.T) {
	for _, test := range []struct {
		want string
		keys []string
	}{
		{"a.b", []string{"a.b.conv.weight", "a.b.bn.bias"}}, {"a.b.c", []string{"a.b.c.weight"}}, {"a", []string{"a.x.c.w", "a.xy.w", "a.x.w"}},
		{"", []string{"layer1.w", "layer10.w"}}, {"", []string{"weight"}}, {"", []string{"a.w", "b.w"}},
	} {
		if got := tensor.Common(test.keys...); got != test.want {
			t.Errorf("%v: %q, want %q", test.keys, got, test.want)
		}
	}
}
