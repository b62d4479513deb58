package verify

import (
	"fmt"

	"repfuse/internal/hint"
	"repfuse/internal/op"
	"repfuse/internal/text"
)

// What running a block may take unless ForceSize is set: bytes of the image with what its
// kernel sees around it, and multiply-adds of all trials. DeepLab's widest layer at the default
// size, 2,048 channels dilated 36 times, takes 0.4 GB and 2·10¹¹.
const (
	mostBytes = 512e6
	mostWork  = 1e12
)

// affordable is an error where running a block takes more than that. Both counts are
// floating: a size may be any number.
func (r *run) affordable(b Block, f op.Form) error {
	around := 1.0
	for a, n := range b.Size {
		around *= float64(n) + float64(f.Span(a))
	}
	bytes := 8 * around * float64(max(f.In, f.Out, 1))
	work := around * float64(max(b.Before.MultiplyAdds, 1)) * float64(r.Trials)
	if r.ForceSize || bytes <= mostBytes && work <= mostWork {
		return nil
	}
	err := fmt.Errorf("%s: images of %s, %d in all, take %.4g GB and %.4g multiply-adds, want at most %.4g GB and %.4g",
		b.Weight, text.Extents(b.Size), r.Trials, bytes/1e9, work, mostBytes/1e9, mostWork)
	return hint.Add(err, "--size and --trials make it less, --force-size runs it all the same")
}

// costOf counts the multiply-adds of an expression for one output position, and the
// bytes of the tensors that it reads.
func costOf(e op.Expr, f op.Form) Cost {
	var c Cost
	for _, p := range op.Params(e) {
		c.Bytes += p.Bytes()
	}
	c.MultiplyAdds, _ = op.Fold(multiplyAdds{}, e, f.In, f.Rank()) // which the plan has checked
	return c
}

// multiplyAdds is one for each element of a kernel, and one for each channel that is
// scaled; means count their taps.
type multiplyAdds struct{}

func (multiplyAdds) Conv(e op.Conv, _ op.Form) (int64, error)           { return int64(e.Weight.Len()), nil }
func (multiplyAdds) BatchNorm(_ op.BatchNorm, f op.Form) (int64, error) { return int64(f.In), nil }
func (multiplyAdds) Scale(_ op.Scale, f op.Form) (int64, error)         { return int64(f.In), nil }
func (multiplyAdds) AvgPool(_ op.AvgPool, f op.Form) (int64, error) {
	return int64(f.Taps() * f.In), nil
}
func (multiplyAdds) Shift(op.Shift, op.Form) (int64, error)       { return 0, nil }
func (multiplyAdds) Identity(op.Identity, op.Form) (int64, error) { return 0, nil }
func (multiplyAdds) Window(op.Window, op.Form) (int64, error)     { return 0, nil }
func (multiplyAdds) Select(op.Select, op.Form) (int64, error)     { return 0, nil }
func (multiplyAdds) Seq(parts []int64) (int64, error)             { return total(parts), nil }
func (multiplyAdds) Sum(parts []int64) (int64, error)             { return total(parts), nil }
func (multiplyAdds) Concat(parts []int64) (int64, error)          { return total(parts), nil }

func total(parts []int64) (n int64) {
	for _, p := range parts {
		n += p
	}
	return n
}
