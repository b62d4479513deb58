package main

import (
	"math"

	"repfuse/internal/tensor"
)

// entry is one tensor and the bounds of its values.
type entry struct {
	tensor.Spec
	low, high float32
}

// checkpoint is a state_dict in the making; its methods add what a module of
// PyTorch has.
type checkpoint []entry

func (c *checkpoint) add(key string, low, high float32, shape ...int) {
	*c = append(*c, entry{tensor.Spec{Key: key, Type: tensor.F32, Shape: shape}, low, high})
}

// weight adds values of standard deviation 1/√fan-in.
func (c *checkpoint) weight(key string, shape ...int) {
	bound := float32(math.Sqrt(3 / float64(tensor.Elems(shape[1:]))))
	c.add(key, -bound, bound, shape...)
}

// bias adds a vector of small values.
func (c *checkpoint) bias(key string, n int) { c.add(key, -0.1, 0.1, n) }

// conv adds a convolution without bias; in is the input channels of one group.
func (c *checkpoint) conv(path string, out, in, kernel int) {
	c.weight(path+".weight", out, in, kernel, kernel)
}

// linear adds a linear layer, or a 1×1 convolution where extents say so.
func (c *checkpoint) linear(path string, out, in int, extents ...int) {
	c.weight(path+".weight", append([]int{out, in}, extents...)...)
	c.bias(path+".bias", out)
}

// norm adds a scale and a shift.
func (c *checkpoint) norm(path string, n int) {
	c.add(path+".weight", 0.5, 1.5, n)
	c.bias(path+".bias", n)
}

// normalise adds the vectors that a batch norm computes with.
func (c *checkpoint) normalise(path string, n int) {
	c.norm(path, n)
	c.add(path+".running_mean", -0.5, 0.5, n)
	c.add(path+".running_var", 0.1, 2, n)
}

// bn adds a batch norm.
func (c *checkpoint) bn(path string, n int) {
	c.normalise(path, n)
	*c = append(*c, entry{Spec: tensor.Spec{Key: path + ".num_batches_tracked", Type: tensor.I64}})
}

// convBN adds a convolution and its batch norm, under the names conv and bn.
func (c *checkpoint) convBN(path string, out, in, kernel int) {
	c.conv(path+".conv", out, in, kernel)
	c.bn(path+".bn", out)
}
