package golden

import (
	"slices"
	"testing"

	"repfuse/internal/tensor"
)

// NotUnfused is the cases of which a block cannot be given the kernel that it came to, each with the reason as an error
// has it.
var NotUnfused = map[string]string{
	// a k×k kernel of several channels is no product of 3×3 ones, which it would have to be split into
	"orepa-large-k7":     "no one kernel of it holds [6 4 7 7]",
	"orepa-largebase-k5": "no one kernel of it holds [6 4 5 5]",
	// the bias is the kernel times a vector, which rounds
	"slab-merging": "nothing behind its kernel adds a bias",
	// the input is added as it is: of a small element, less 1, the last digits are lost
	"repvit-residual-dw": differs,
	"shvit-model-tiny":   differs,
	// a ninth is added, as is the input, and so with it
	"yolov6-qarepvggv2-id": differs,
	// the kernel is multiplied by what a text encoder gave, which is no parameter
	"field-yoloe-text": "exp(…) computes what would have to be set, and is not inverted",
}

const differs = "other bytes than were unfused"

// Halved is tensors whose floating-point elements are half of those given.
func Halved(t testing.TB, list []tensor.Named) []tensor.Named {
	t.Helper()
	list = slices.Clone(list)
	for k, n := range list {
		if !n.Type.IsFloat() {
			continue
		}
		v, err := n.Floats()
		if err != nil {
			t.Fatal(err)
		}
		for j := range v {
			v[j] /= 2
		}
		list[k].Tensor = tensor.Of(n.Type, n.Shape, v)
	}
	return list
}
