package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"repfuse/internal/fuse"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
	"repfuse/internal/text"
)

// branch is a part of a sum with what stands before and after it: the kernels of the
// branches add up to the block's.
type branch struct{ whole, part op.Expr }

// branches cuts an expression at its outermost sum.
func branches(e op.Expr) []branch {
	switch e := e.(type) {
	case op.Sum:
		var all []branch
		for _, p := range e {
			all = append(all, branch{p, p})
		}
		return all
	case op.Seq:
		for k, p := range e {
			sum, ok := p.(op.Sum)
			if !ok {
				continue
			}
			var all []branch
			for _, part := range sum {
				whole := append(append(append(op.Seq{}, e[:k]...), part), e[k+1:]...)
				all = append(all, branch{whole, part})
			}
			return all
		}
	}
	return []branch{{e, e}}
}

// what a branch is, in two words: the kernels on its way, or identity.
func what(b branch) string {
	var steps []string
	op.Walk(b.part, func(e op.Expr) {
		switch e := e.(type) {
		case op.Conv:
			name := "linear"
			if len(e.Weight.Shape) > 2 {
				name = text.Extents(e.Weight.Shape[2:])
			}
			steps = append(steps, name)
		case op.AvgPool:
			steps = append(steps, "mean "+text.Extents(e.Kernel))
		}
	})
	switch {
	case len(steps) == 0:
		return "identity"
	case len(steps) > 4:
		return fmt.Sprintf("%s … %s", steps[0], steps[len(steps)-1])
	}
	return strings.Join(steps, " then ")
}

// detail is where a branch's tensors are, below the block's module.
func detail(b branch, module string) string {
	params := slices.Collect(op.Params(b.part))
	if len(params) == 0 {
		return "no tensor"
	}
	key := params[0].Key
	if module != "" {
		key = strings.TrimPrefix(key, module+".")
	}
	return cmp.Or(tensor.Parent(key), key)
}

// branchPower is the mean square of a branch's weights at each tap of the fused kernel,
// computed a few rows at a time.
func branchPower(b branch, whole op.Form) ([]float64, error) {
	f, err := fuse.New(framed(b.whole, whole), tensor.F64)
	if err != nil {
		return nil, err
	}
	w := f.NewWorker(new(fuse.Workspace))
	defer w.Close()
	own := make([]float64, f.Form.Taps())
	err = eachRows(f, w, func(_ int, values []float64) error {
		for k, v := range values {
			own[k%len(own)] += v * v
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	all := make([]float64, whole.Taps())
	count := float64(tensor.Elems(whole.WeightShape()) / whole.Taps())
	for t, p := range own {
		all[placed(t, f.Form, whole)] += p / count
	}
	return all, nil
}

// eachRows visits a kernel that is fused to float64, some rows at a time, of which the first is row a.
func eachRows(f *fuse.Fused, w *fuse.Worker, visit func(a int, values []float64) error) error {
	step, per := f.RowsPerBlock(256<<10), f.RowBytes()/8
	buf, values := make([]byte, step*f.RowBytes()), make([]float64, step*per)
	for a := 0; a < f.Rows(); a += step {
		n := min(step, f.Rows()-a)
		if _, err := w.Kernel(buf[:n*f.RowBytes()], a, a+n); err != nil {
			return err
		}
		tensor.Decode(values[:n*per], buf[:n*f.RowBytes()], tensor.F64)
		if err := visit(a, values[:n*per]); err != nil {
			return err
		}
	}
	return nil
}

// framed is a branch behind as many channels as the block has, which it may not say.
func framed(e op.Expr, whole op.Form) op.Expr {
	ones := slices.Repeat([]float64{1}, whole.In)
	by := &op.Param{Key: "1", Tensor: tensor.Of(tensor.F64, []int{whole.In}, ones)}
	return op.Seq{op.Scale{By: by}, e}
}

// placed is where tap t of a branch lies among the taps of the whole kernel.
func placed(t int, f, whole op.Form) int {
	kernel, to := f.Kernel(), whole.Kernel()
	at, stride := 0, 1
	for a := whole.Rank() - 1; a >= 0; a-- {
		shift := 0 // of a branch without axes
		if a < f.Rank() {
			shift = f.Lo[a] + t%kernel[a]*max(f.Step[a], 1)
			t /= kernel[a]
		}
		at += (shift - whole.Lo[a]) / max(whole.Step[a], 1) * stride
		stride *= to[a]
	}
	return at
}
