package conv_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"repfuse/internal/conv"
	"repfuse/internal/op"
)

// Runners give the same bits in memory that others have used, whatever is left in it:
// larger ones and smaller ones, in both types of element.
func TestMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	var memory conv.Memory
	for k := range 12 {
		channels, size := []int{40, 33, 64}[k%3], []int{[]int{9, 14, 5}[k/3%3], 10}
		a, b := op.Conv{Weight: kernel3x3(r, channels, channels, 0)}, op.Conv{Weight: kernel3x3(r, channels, channels, 0)}
		point := op.Conv{Weight: param("p", []int{channels, channels, 1, 1}, normal(r, channels*channels)...)}
		e := op.Sum{a, op.Seq{point, b}}
		x := conv.Random(channels, size, 0.1, uint64(k))
		for _, float32 := range []bool{false, true} {
			want := runAll(t, e, x, conv.Options{Float32: float32})
			if got := runAll(t, e, x, conv.Options{Float32: float32, Memory: &memory}); !slices.Equal(got, want) {
				t.Errorf("%s: not what a Runner in memory of its own gives", fmt.Sprint(k, float32))
			}
		}
	}
}
