package verify

import (
	"fmt"
	"math"
	"slices"

	"repfuse/internal/micro"
	"repfuse/internal/op"
	"repfuse/internal/tensor"
)

// absKernel sums the magnitudes of a stored kernel's elements.
type absKernel struct {
	of   op.Param
	in   []float64
	form op.Form
	taps int
	even []bool // whether a group's part of in is one number
}

// blockBytes is how much of a kernel is read at a time.
const blockBytes = 256 << 10

// sumKernel adds to sum what each output channel's elements come to.
func (r *run) sumKernel(k *absKernel, sum []float64) error {
	d, err := k.of.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", k.of.Key, err)
	}
	defer d.Close()
	for part := range slices.Chunk(k.in, k.of.Shape[1]) {
		k.even = append(k.even, uniform(part))
	}
	rows, size := k.of.Shape[0], int(k.of.Bytes())/k.of.Shape[0]
	step := max(1, blockBytes/size)
	jobs := r.Jobs
	if k.form.Transposed { // its rows are input channels, and each adds to many sums
		jobs = 1
	}
	return r.adders.Each(r.ctx, jobs, (rows+step-1)/step, func(h *adder, task int) error {
		a := task * step
		b := min(rows, a+step)
		h.stored = tensor.Sized(h.stored, (b-a)*size)
		if err := tensor.ReadFull(d, h.stored, int64(a)*int64(size)); err != nil {
			return fmt.Errorf("%s: %w", k.of.Key, err)
		}
		for row := a; row < b; row++ {
			h.add(k, sum, row, h.stored[(row-a)*size:][:size])
		}
		return nil
	})
}

// adder is one goroutine's memory for summing kernels.
type adder struct {
	stored []byte
	wide   []float64
}

// add takes in one stored row of k.
func (h *adder) add(k *absKernel, sum []float64, row int, b []byte) {
	inner := k.of.Shape[1]
	group := row / (k.of.Shape[0] / k.form.Groups)
	from := group * inner // of in, or transposed, of sum
	if !k.form.Transposed && k.even[group] && k.of.Type == tensor.F32 {
		sum[row] += micro.AbsoluteF32(b) * k.in[from]
		return
	}
	h.wide = tensor.Sized(h.wide, inner*k.taps)
	micro.Decode(h.wide, b, k.of.Type)
	for i := range inner {
		s := 0.0
		for _, v := range h.wide[i*k.taps:][:k.taps] {
			s += math.Abs(v)
		}
		if k.form.Transposed {
			sum[from+i] += s * k.in[row]
		} else {
			sum[row] += s * k.in[from+i]
		}
	}
}

func uniform(v []float64) bool {
	for _, x := range v {
		if x != v[0] {
			return false
		}
	}
	return true
}

// find is the first element, of those that output channel o is made of, that is no
// finite number.
func (k *absKernel) find(o int) error {
	v, err := k.of.Floats()
	if err != nil {
		return fmt.Errorf("%s: %w", k.of.Key, err)
	}
	for i, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return &notFinite{k.of.Key, tensor.Place(i, k.of.Shape), x}
		}
	}
	return fmt.Errorf("%s: channel %d is too large to be summed in float64", k.of.Key, o)
}
