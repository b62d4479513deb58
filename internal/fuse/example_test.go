package fuse_test

import (
	"fmt"

	"repfuse/internal/fuse"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// A 1×1 convolution is a 3×3 with zeros about it, and the identity one with a single
// one; side by side with a mean of nine they are added tap by tap.
func ExampleCollapse() {
	point := op.Conv{Weight: op.Param{Key: "conv1x1.weight", Tensor: tensor.Of(tensor.F32, []int{1, 1, 1, 1}, []float64{2})}}
	e := op.Sum{point, op.Identity{}, op.Seq{op.Scale{Factor: 9}, op.AvgPool{Kernel: []int{3, 3}}}}
	c, err := fuse.Collapse(e, tensor.F32)
	if err != nil {
		fmt.Println(err)
		return
	}
	kernel, _ := c.Weight.Floats()
	fmt.Println(e)
	fmt.Println(c.Weight.Shape, kernel)
	// Output:
	// conv(conv1x1.weight 1×1×1×1) + x + scale(9) > avgpool(3×3)
	// [1 1 3 3] [1 1 1 1 4 1 1 1 1]
}
