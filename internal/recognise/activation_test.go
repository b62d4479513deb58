package recognise_test

import (
	"strings"
	"testing"

	"repfuse/internal/facts"
	"repfuse/internal/recognise"
)

// An activation that the module tree shows within a branch is no convolution, though no
// key speaks of it; one behind the sum is the block's own.
func TestActivationWithinBranch(t *testing.T) {
	const (
		repvgg  = `b.rbr_dense.conv.weight[8,8,3,3] b.rbr_dense.bn:8 b.rbr_1x1.conv.weight[8,8,1,1] b.rbr_1x1.bn:8`
		inARow  = `b.conv1.conv.weight[8,8,3,3] b.conv1.bn:8 b.conv2.conv.weight[8,8,1,1] b.conv2.bn:8`
		convolv = `b.block.conv.weight[8,8,3,3] b.block.bn:8`
	)
	for _, test := range []struct{ keys, choice, place, child, class, want string }{
		{repvgg, "", "b", "nonlinearity", "ReLU", ""},
		{repvgg, "", "b.rbr_dense", "act", "Identity", ""},
		{repvgg, "", "b.rbr_dense", "act", "ReLU", "b.rbr_dense.act is a ReLU within a branch"},
		{repvgg, "", "b.rbr_1x1.bn", "act", "SiLU", "b.rbr_1x1.bn.act is a SiLU within a branch"},
		{inARow, "", "b.conv1", "act", "SiLU", "b.conv1.act is a SiLU within a branch"},
		{convolv, "yolov6-conv", "b.block", "act", "ReLU", ""},
	} {
		o := recognise.Options{Families: builtin(t), Facts: &facts.Model{Version: facts.Version, Modules: map[string]facts.Module{
			test.place: {Class: "Some", Keyless: map[string]string{test.child: test.class}}}}}
		if test.choice != "" {
			o.Choices = []string{test.choice}
		}
		p, err := recognise.Plan(named(t, test.keys), o)
		switch {
		case test.want == "" && (err != nil || len(p.Blocks) != 1):
			t.Errorf("%s.%s a %s: %v, want one block", test.place, test.child, test.class, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s.%s a %s: error %v, want %q", test.place, test.child, test.class, err, test.want)
		}
	}
}

// torch.nn's non-linear activations without parameters, as its documentation lists them
// (and torch.nn.modules.activation.__all__ of PyTorch 1.13), and its pools of maxima.
const torchNonlinear = `Threshold ReLU RReLU Hardtanh ReLU6 Sigmoid Hardsigmoid Tanh SiLU Mish Hardswish ELU CELU SELU GLU GELU
	Hardshrink LeakyReLU LogSigmoid Softplus Softshrink Softsign Tanhshrink Softmin Softmax Softmax2d LogSoftmax
	MaxPool1d MaxPool2d MaxPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d`

// Each of them within a branch is refused; what does nothing when a network is run is not.
func TestActivationClasses(t *testing.T) {
	const keys = `b.rbr_dense.conv.weight[8,8,3,3] b.rbr_dense.bn:8 b.rbr_1x1.conv.weight[8,8,1,1] b.rbr_1x1.bn:8`
	plan := func(class string) error {
		_, err := recognise.Plan(named(t, keys), recognise.Options{Families: builtin(t), Facts: &facts.Model{Version: facts.Version,
			Modules: map[string]facts.Module{"b.rbr_dense": {Class: "Some", Keyless: map[string]string{"act": class}}}}})
		return err
	}
	for _, class := range strings.Fields(torchNonlinear) {
		if err := plan(class); err == nil || !strings.Contains(err.Error(), "is a "+class+" within a branch") {
			t.Errorf("%s: error %v, want it refused", class, err)
		}
	}
	for _, class := range []string{"Identity", "Dropout", "Dropout2d", "AlphaDropout", "DropPath"} {
		if err := plan(class); err != nil {
			t.Errorf("%s: %v", class, err)
		}
	}
}
