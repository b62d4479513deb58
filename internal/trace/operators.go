package trace

import (
	"math"
	"strings"

	"repfuse/internal/graph"
	"repfuse/internal/op"
)

// call is an operator with the values around it.
type call struct {
	*reader
	*operator
}

// short is an operator's name without its namespace and its overload.
func short(name string) string {
	name = strings.TrimPrefix(name, "aten.")
	name, _, _ = strings.Cut(name, ".")
	return name
}

// linear is the operators of ATen that are linear along the axes of an image, each with
// what makes a node of it or says why this call is none. Those that write into their
// input are the same with an underscore.
var linear = map[string]func(call) (result, string){
	"convolution":                          func(c call) (result, string) { return c.convolution(convolution) },
	"_convolution":                         func(c call) (result, string) { return c.convolution(convolution) },
	"cudnn_convolution":                    func(c call) (result, string) { return c.convolution(cudnn) },
	"conv1d":                               func(c call) (result, string) { return c.convolution(functional) },
	"conv2d":                               func(c call) (result, string) { return c.convolution(functional) },
	"conv3d":                               func(c call) (result, string) { return c.convolution(functional) },
	"conv_transpose1d":                     func(c call) (result, string) { return c.convolution(transposed) },
	"conv_transpose2d":                     func(c call) (result, string) { return c.convolution(transposed) },
	"conv_transpose3d":                     func(c call) (result, string) { return c.convolution(transposed) },
	"native_batch_norm":                    func(c call) (result, string) { return c.batchNorm(5, 7) },
	"cudnn_batch_norm":                     func(c call) (result, string) { return c.batchNorm(5, 7) },
	"miopen_batch_norm":                    func(c call) (result, string) { return c.batchNorm(5, 7) },
	"batch_norm":                           func(c call) (result, string) { return c.batchNorm(5, 7) },
	"_native_batch_norm_legit":             func(c call) (result, string) { return c.batchNorm(5, 7) },
	"_native_batch_norm_legit_no_training": func(c call) (result, string) { return c.batchNorm(-1, 6) },
	"addmm":                                call.addmm,
	"mm":                                   call.mm,
	"bmm":                                  call.mm,
	"linear":                               call.linearLayer,
	"add":                                  func(c call) (result, string) { return c.add(1) },
	"add_":                                 func(c call) (result, string) { return c.add(1) },
	"sub":                                  func(c call) (result, string) { return c.add(-1) },
	"sub_":                                 func(c call) (result, string) { return c.add(-1) },
	"mul":                                  call.mul,
	"mul_":                                 call.mul,
	"div":                                  call.div,
	"div_":                                 call.div,
	"neg":                                  func(c call) (result, string) { return c.apply(op.Scale{Factor: -1}, nil), "" },
	"cat":                                  call.cat,
	"avg_pool1d":                           call.pool,
	"avg_pool2d":                           call.pool,
	"avg_pool3d":                           call.pool,
	"constant_pad_nd":                      func(c call) (result, string) { return c.pad(c.arg(2, "value")) },
	"pad":                                  call.padBy,
	"slice":                                call.slice,
	"dropout":                              call.dropout,
	"alias":                                call.identity,
	"detach":                               call.identity,
	"clone":                                call.identity,
	"contiguous":                           call.identity,
	"view":                                 call.reshape,
	"_unsafe_view":                         call.reshape,
	"_reshape_alias":                       call.reshape,
	"expand":                               call.reshape,
	"reshape":                              call.reshape,
	"flatten":                              call.reshape,
	"transpose":                            call.transpose,
	"permute":                              call.permute,
}

// arg is the k-th argument, or the named one.
func (c call) arg(k int, name string) any {
	if k >= 0 && k < len(c.In) {
		return c.In[k]
	}
	return c.Named[name]
}

// of is the value that an argument is, nil where it is none.
func (c call) of(x any) *value {
	if n, ok := reference(x); ok {
		return &c.values[n]
	}
	return nil
}

// param is the checkpoint's tensor that an argument is; nothing is nil and fits.
func (c call) param(x any) (p *op.Param, ok bool) {
	if x == nil {
		return nil, true
	}
	v := c.of(x)
	if v == nil || v.key == nil || v.turned {
		return nil, false
	}
	return v.key, true
}

// apply is a node that applies one operator to the first argument.
func (c call) apply(e op.Expr, after []int) result {
	return result{kind: graph.Linear, op: e, after: after, axis: graph.Channels}
}

// unknown is the reason where the arguments are others than torch's own.
const unknown = "in a form that is not known"

// computed is the reason where an operand is no tensor of the checkpoint.
const computed = "with weights that are computed before they are used"

// batchNorm is (x, weight, bias, running mean, running variance, …) with whether the
// batch's own statistics are taken, −1 where they never are, and ε.
func (c call) batchNorm(training, eps int) (result, string) {
	if t, _ := c.arg(training, "training").(bool); training >= 0 && t {
		return result{}, "in training mode"
	}
	var p [4]*op.Param
	for k := range p {
		var ok bool
		if p[k], ok = c.param(c.arg(1+k, "")); !ok {
			return result{}, computed
		}
	}
	e, ok := c.arg(eps, "eps").(float64)
	if p[2] == nil || p[3] == nil || !ok {
		return result{}, "without running statistics"
	}
	if (p[0] == nil) != (p[1] == nil) {
		return result{}, "with only one of weight and bias"
	}
	return c.apply(op.BatchNorm{Gamma: p[0], Beta: p[1], Mean: p[2], Var: p[3], Eps: e}, nil), ""
}

// matrix is a Linear layer: the weight [O, I] and the value that it is applied to.
func (c call) matrix(x, weight, bias any, turned bool) (result, string) {
	v, w := c.of(x), c.of(weight)
	if v == nil || w == nil || v.fixed {
		return result{}, ""
	}
	b, ok := c.param(bias)
	if !ok || w.key == nil || w.turned != turned {
		return result{}, computed
	}
	r := c.apply(op.Conv{Weight: *w.key, Bias: b}, nil)
	if len(v.shape) > 2 {
		r.axis = graph.LastAxis
	}
	return r, ""
}

func (c call) addmm() (result, string) {
	if !one(c.arg(-1, "beta")) || !one(c.arg(-1, "alpha")) {
		return result{}, "with factors"
	}
	return c.matrix(c.arg(1, "mat1"), c.arg(2, "mat2"), c.arg(0, "input"), true)
}

func (c call) mm() (result, string) {
	return c.matrix(c.arg(0, "input"), c.arg(1, "mat2"), nil, true)
}

func (c call) linearLayer() (result, string) {
	return c.matrix(c.arg(0, "input"), c.arg(1, "weight"), c.arg(2, "bias"), false)
}

// one reports whether a factor is absent or 1.
func one(x any) bool {
	v, ok := x.(float64)
	return x == nil || ok && v == 1
}

func (c call) cat() (result, string) {
	list, ok := c.arg(0, "tensors").([]any)
	axis, given := whole(c.arg(1, "dim"))
	if !ok || len(list) == 0 {
		return result{}, ""
	}
	first := c.of(list[0])
	for _, x := range list {
		if v := c.of(x); v == nil || v.fixed {
			return result{}, "with a constant part"
		}
	}
	if given && axis < 0 {
		axis += len(first.shape)
	}
	if !given || axis != 1 {
		return result{}, "along another axis than the channels'"
	}
	return result{kind: graph.Concat, axis: graph.Channels}, ""
}

// pool is (x, kernel, stride, padding, ceil mode, outside counts, divisor).
func (c call) pool() (result, string) {
	x := c.of(c.arg(0, "input"))
	if x == nil || len(x.shape) < 2 {
		return result{}, unknown
	}
	axes := len(x.shape) - 2
	kernel, ok := each(c.arg(1, "kernel_size"), axes, 1)
	stride, padding := kernel, make([]int, axes)
	if s, given := c.arg(2, "stride").([]any); given && len(s) > 0 && ok {
		stride, ok = each(s, axes, 1)
	}
	if p := c.arg(3, "padding"); p != nil && ok {
		padding, ok = each(p, axes, 0)
	}
	if !ok {
		return result{}, unknown
	}
	if ceil, _ := c.arg(4, "ceil_mode").(bool); ceil {
		return result{}, "that rounds its size up"
	}
	if c.arg(6, "divisor_override") != nil {
		return result{}, "with a divisor of its own"
	}
	counts, given := c.arg(5, "count_include_pad").(bool)
	return c.apply(op.AvgPool{Kernel: kernel, Stride: stride, Padding: padding, ExcludesPadding: given && !counts}, padding), ""
}

// pad is zeros around the last axes: the last axis first, before and after.
func (c call) pad(value any) (result, string) {
	x := c.of(c.arg(0, "input"))
	pads, ok := wholes(c.arg(1, "pad"))
	if number, given := value.(float64); given && number != 0 {
		return result{}, "by another value than zero"
	}
	if x == nil || !ok || len(pads)%2 != 0 {
		return result{}, unknown
	}
	axes := max(len(x.shape)-2, 0)
	before, after := make([]int, axes), make([]int, axes)
	for k := 0; k < len(pads)/2; k++ {
		a := axes - 1 - k
		if a < 0 {
			if pads[2*k] != 0 || pads[2*k+1] != 0 {
				return result{}, "of the channels"
			}
			continue
		}
		before[a], after[a] = pads[2*k], pads[2*k+1]
	}
	return c.apply(op.Identity{Padding: before}, after), ""
}

// padBy is (x, pads, mode, value).
func (c call) padBy() (result, string) {
	if mode := c.arg(2, "mode"); mode != nil && mode != "constant" {
		return result{}, "by another value than zero"
	}
	return c.pad(c.arg(3, "value"))
}

// dropout is (x, p, train).
func (c call) dropout() (result, string) {
	if train, _ := c.arg(2, "train").(bool); train {
		return result{}, "in training mode"
	}
	return c.identity()
}

// slice is (x, axis, start, end, step).
func (c call) slice() (result, string) {
	x := c.of(c.arg(0, "self"))
	axis, _ := whole(c.arg(1, "dim"))
	start, end, step := 0, math.MaxInt, 1
	for k, to := range []*int{&start, &end, &step} {
		if v, ok := c.arg(2+k, []string{"start", "end", "step"}[k]).(float64); ok {
			*to = int(min(v, 1<<52))
		}
	}
	if x == nil {
		return result{}, unknown
	}
	if axis < 0 {
		axis += len(x.shape)
	}
	if axis < 0 || axis >= len(x.shape) {
		return result{}, unknown
	}
	n := x.shape[axis]
	clamp := func(k int) int {
		if k < 0 {
			k += n
		}
		return min(max(k, 0), n)
	}
	start, end = clamp(start), clamp(end)
	switch {
	case start == 0 && end == n && step == 1:
		return c.identity()
	case axis == 1 && step == 1 && start < end:
		return c.apply(op.Select{From: start, To: end, Of: n}, nil), ""
	case axis < 2 || start >= end || step < 1:
		return result{}, "of the batch, or backwards"
	}
	axes := len(x.shape) - 2
	e, after := op.Identity{Padding: make([]int, axes), Stride: make([]int, axes)}, make([]int, axes)
	for a := range axes {
		e.Stride[a] = 1
	}
	e.Padding[axis-2], e.Stride[axis-2], after[axis-2] = -start, step, end-n
	return c.apply(e, after), ""
}

// identity changes nothing.
func (c call) identity() (result, string) {
	return result{kind: graph.Linear, op: op.Identity{}, axis: graph.AnyAxis}, ""
}
