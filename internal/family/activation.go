package family

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// nonlinear is the module classes without parameters after which a branch is no
// convolution: torch.nn's non-linear activations and its pools of maxima, and what timm
// and others call theirs.
var nonlinear = classes(`
	ReLU ReLU6 LeakyReLU RReLU ELU CELU SELU GELU GLU SiLU Mish Hardswish Sigmoid Hardsigmoid LogSigmoid
	Tanh Hardtanh Tanhshrink Softplus Softsign Softshrink Hardshrink Threshold
	Softmin Softmax Softmax2d LogSoftmax
	MaxPool1d MaxPool2d MaxPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d
	Swish HSwish HardSwish HSigmoid HardSigmoid GELUTanh QuickGELU PReLU`)

func classes(names string) map[string]bool {
	all := map[string]bool{}
	for _, name := range strings.Fields(names) {
		all[name] = true
	}
	return all
}

// linear holds an expression to the module tree: where a kernel and its batch norm are
// the children of one module within the block, an activation beside them stands in the
// branch, which no key shows. What comes behind the whole sum is the block's own: inner says
// that something comes behind e, a part of it.
func (b *builder) linear(e op.Expr, inner bool) error {
	switch e := e.(type) {
	case op.Sum:
		for _, p := range e {
			if err := b.linear(p, true); err != nil {
				return err
			}
		}
	case op.Seq:
		for k, p := range e {
			last := k == len(e)-1
			if err := b.linear(p, inner || !last); err != nil {
				return err
			}
			if n, ok := p.(op.BatchNorm); ok && k > 0 && (inner || !last) {
				if err := b.linearPair(e[k-1], n); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// linearPair looks for an activation beside a convolution and its batch norm, and in
// the batch norm, where timm's classes have it.
func (b *builder) linearPair(before op.Expr, n op.BatchNorm) error {
	c, ok := before.(op.Conv)
	if !ok || b.site.Facts == nil {
		return nil
	}
	norm, conv := tensor.Parent(n.Mean.Key), tensor.Parent(c.Weight.Key)
	places := []string{norm}
	if p := tensor.Parent(norm); p == tensor.Parent(conv) && p != b.site.Module {
		places = append(places, p)
	}
	for _, place := range places {
		keyless := b.site.Facts.Modules[place].Keyless
		for _, child := range slices.Sorted(maps.Keys(keyless)) {
			if nonlinear[keyless[child]] {
				return fmt.Errorf("%s.%s is a %s within a branch, which is no convolution then", place, child, keyless[child])
			}
		}
	}
	return nil
}
