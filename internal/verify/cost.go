package verify

import "repfuse/internal/op"

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
