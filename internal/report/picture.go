package report

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"repfuse/internal/fuse"
	"repfuse/internal/health"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// mostPictures is how many blocks are pictured: one of each kind, then the least fit.
const mostPictures = 6

// picture is a block's kernels: what each branch comes to by itself, and their sum as it
// was stored; and how the weights are spread before and after.
type picture struct {
	Name, Layer, Family string
	Maps                []heat
	Histogram           *histogram
}

// heat is the root mean square of a kernel's weights at each tap.
type heat struct {
	Label, Detail string
	Fused         bool
	Rows, Columns int
	Cells         []cell
	// Power is the mean square of all taps, in percent of the fused kernel's.
	Power float64
}

type cell struct {
	X, Y  int
	Shade float64 // 0 to 1
	Title string
}

// pictures draws the blocks that are worth it.
func pictures(ctx context.Context, in Input, rows []row) ([]picture, error) {
	stored := map[string]tensor.Tensor{}
	for _, t := range in.Stored {
		stored[t.Key] = t.Tensor
	}
	var all []picture
	for _, r := range worthPicturing(rows) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p := picture{Name: r.Name, Layer: r.Layer, Family: r.Family}
		var err error
		if p.Maps, err = heats(r, stored[r.Output.Weight]); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name, err)
		}
		if p.Histogram, err = histograms(r, stored[r.Output.Weight]); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// worthPicturing is the first block of each kind, then those least fit for int8.
func worthPicturing(rows []row) []row {
	var some []row
	kinds := map[string]bool{}
	var rest []row
	for _, r := range rows {
		if r.M.Skipped != "" || r.M.Health == nil {
			continue
		}
		kind := r.Family + extents(r.Output.Form.Kernel())
		for _, b := range branches(r.Output.Expr) {
			kind += " " + what(b)
		}
		if !kinds[kind] && len(some) < mostPictures {
			some, kinds[kind] = append(some, r), true
		} else {
			rest = append(rest, r)
		}
	}
	slices.SortStableFunc(rest, func(a, b row) int {
		switch {
		case a.M.Health.Worse(*b.M.Health):
			return -1
		case b.M.Health.Worse(*a.M.Health):
			return 1
		}
		return 0
	})
	some = append(some, rest[:min(len(rest), mostPictures-len(some))]...)
	slices.SortFunc(some, func(a, b row) int { return a.Position - b.Position })
	return some
}

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
				name = extents(e.Weight.Shape[2:])
			}
			steps = append(steps, name)
		case op.AvgPool:
			steps = append(steps, "mean "+extents(e.Kernel))
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
	params := op.Params(b.part)
	if len(params) == 0 {
		return "no tensor"
	}
	key := params[0].Key
	if module != "" {
		key = strings.TrimPrefix(key, module+".")
	}
	if at := strings.LastIndexByte(key, '.'); at >= 0 {
		key = key[:at]
	}
	return key
}

// heats is the maps of a block's branches and of their sum; nothing where kernels have
// more axes than a picture.
func heats(r row, fused tensor.Tensor) ([]heat, error) {
	f := r.Output.Form
	if f.Rank() > 2 {
		return nil, nil
	}
	list := branches(r.Output.Expr)
	powers := make([][]float64, len(list)+1)
	var err error
	for k, b := range list {
		if powers[k], err = branchPower(b, f); err != nil {
			return nil, err
		}
	}
	if powers[len(list)], err = health.TapPower(fused, f.Taps()); err != nil {
		return nil, err
	}
	strongest := 0.0
	for _, p := range powers {
		strongest = max(strongest, slices.Max(p))
	}
	all := make([]heat, len(powers))
	whole := sum(powers[len(list)])
	for k, p := range powers {
		all[k] = drawn(p, f.Kernel(), strongest)
		all[k].Power = 100 * sum(p) / max(whole, math.SmallestNonzeroFloat64)
		if k < len(list) {
			all[k].Label, all[k].Detail = what(list[k]), detail(list[k], r.Path)
		} else {
			all[k].Label, all[k].Detail, all[k].Fused = extents(f.Kernel()), "fused, as stored", true
			if f.Rank() == 0 {
				all[k].Label = "linear"
			}
		}
	}
	return all, nil
}

func sum(v []float64) float64 {
	s := 0.0
	for _, x := range v {
		s += x
	}
	return s
}

// drawn makes a picture of the power at each tap.
func drawn(power []float64, kernel []int, strongest float64) heat {
	h := heat{Rows: 1, Columns: 1}
	switch len(kernel) {
	case 1:
		h.Columns = kernel[0]
	case 2:
		h.Rows, h.Columns = kernel[0], kernel[1]
	}
	for k, p := range power {
		c := cell{X: k % h.Columns, Y: k / h.Columns, Title: figure(math.Sqrt(p))}
		if strongest > 0 {
			c.Shade = math.Round(1000*math.Sqrt(p/strongest)) / 1000
		}
		h.Cells = append(h.Cells, c)
	}
	return h
}

// branchPower is the mean square of a branch's weights at each tap of the fused kernel,
// computed a few rows at a time.
func branchPower(b branch, whole op.Form) ([]float64, error) {
	f, err := fuse.New(framed(b.whole, whole), tensor.F64)
	if err != nil {
		return nil, err
	}
	w := f.NewWorker()
	defer w.Close()
	step := f.RowsPerBlock(256 << 10)
	buf, taps := make([]byte, step*f.RowBytes()), f.Form.Taps()
	own := make([]float64, taps)
	var values []float64
	for a := 0; a < f.Rows(); a += step {
		n := min(step, f.Rows()-a)
		if err := w.Kernel(buf[:n*f.RowBytes()], a, a+n); err != nil {
			return nil, err
		}
		values = slices.Grow(values[:0], n*f.RowBytes()/8)[:n*f.RowBytes()/8]
		tensor.Decode(values, buf, tensor.F64)
		for k, v := range values {
			own[k%taps] += v * v
		}
	}
	all := make([]float64, whole.Taps())
	count := float64(tensor.Elems(whole.WeightShape()) / whole.Taps())
	for t, p := range own {
		all[placed(t, f.Form, whole)] += p / count
	}
	return all, nil
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

// bins is how many bins a histogram has.
const bins = 61

// histogram is how the weights are spread, before and after, as outlines in the box
// of charts. Heights are logarithmic: what matters to a quantizer is the few.
type histogram struct {
	Before, After string // the paths
	Low, High     string
	Elements      string
}

// histograms counts the stored kernels of the branches and the fused one.
func histograms(r row, fused tensor.Tensor) (*histogram, error) {
	limit := r.M.Health.Max
	limit = max(limit, -r.M.Health.Min)
	var kernels []tensor.Tensor
	op.Walk(r.Output.Expr, func(e op.Expr) {
		if c, ok := e.(op.Conv); ok && c.Weight.Type.IsFloat() {
			kernels = append(kernels, c.Weight.Tensor)
		}
	})
	for _, k := range kernels {
		v, err := health.Scan(k)
		if err != nil {
			return nil, err
		}
		limit = max(limit, v.Largest())
	}
	if limit == 0 {
		return nil, nil
	}
	before, after := make([]int, bins), make([]int, bins)
	for _, k := range kernels {
		if err := health.Histogram(before, k, limit); err != nil {
			return nil, err
		}
	}
	if err := health.Histogram(after, fused, limit); err != nil {
		return nil, err
	}
	return &histogram{Before: outline(before), After: outline(after), Low: figure(-limit), High: figure(limit),
		Elements: countText(int64(total(before))) + " → " + countText(int64(total(after)))}, nil
}

func total(counts []int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

// outline is the path around a histogram's bars: the share of the elements, from one in
// all of them at the bottom to all at the top, by its logarithm.
func outline(counts []int) string {
	var b strings.Builder
	all := float64(max(total(counts), 2))
	width := float64(side) / float64(len(counts))
	fmt.Fprintf(&b, "M0 %d", side)
	for k, n := range counts {
		y := float64(side)
		if n > 0 { // one element is a little above the line
			y = side * (1 - (math.Log10(float64(n))+0.3)/(math.Log10(all)+0.3))
		}
		fmt.Fprintf(&b, "V%.1fH%.1f", y, width*float64(k+1))
	}
	fmt.Fprintf(&b, "V%dZ", side)
	return b.String()
}
