package fuse

import (
	"errors"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// Collapse makes the convolution that e is, in memory. Only tests call it.
func Collapse(e op.Expr, out tensor.Type) (op.Conv, error) {
	f, err := New(e, out)
	if err != nil {
		return op.Conv{}, err
	}
	w := f.NewWorker(new(Workspace))
	kernel, bias := make([]byte, f.Rows()*f.RowBytes()), make([]byte, f.Form.Out*out.Size())
	_, err = w.Kernel(kernel, 0, f.Rows())
	if err == nil && f.Form.Bias {
		_, err = w.Bias(bias)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return op.Conv{}, err
	}
	c := op.Conv{
		Weight:      op.Param{Key: "weight", Tensor: tensor.FromBytes(out, f.Form.WeightShape(), kernel)},
		Dilation:    f.Form.Dilation(),
		Stride:      f.Form.Stride,
		Padding:     f.Form.Padding(),
		PaddingMode: f.Form.PaddingMode,
		Transposed:  f.Form.Transposed,
		Groups:      f.Form.Groups,
	}
	if f.Form.Bias {
		c.Bias = &op.Param{Key: "bias", Tensor: tensor.FromBytes(out, []int{f.Form.Out}, bias)}
	}
	return c, nil
}
