package verify

import "repfuse/internal/op"

// costOf counts the multiply-adds of an expression for one output position, and the
// bytes of the tensors that it reads.
func costOf(e op.Expr, f op.Form) Cost {
	var c Cost
	for _, p := range op.Params(e) {
		c.Bytes += p.Bytes()
	}
	c.MultiplyAdds, _ = multiplyAdds(e, f.In, f)
	return c
}

// multiplyAdds is one for each element of a kernel, and one for each channel that is
// scaled; means count their taps. f is the form of the whole expression. The second
// result is the output channels.
func multiplyAdds(e op.Expr, in int, f op.Form) (n int64, out int) {
	switch e := e.(type) {
	case op.Seq:
		out = in
		for _, p := range e {
			var m int64
			m, out = multiplyAdds(p, out, f)
			n += m
		}
		return n, out
	case op.Sum:
		for _, p := range e {
			var m int64
			m, out = multiplyAdds(p, in, f)
			n += m
		}
		return n, out
	case op.Concat:
		for _, p := range e {
			m, o := multiplyAdds(p, in, f)
			n, out = n+m, out+o
		}
		return n, out
	case op.Conv:
		if e.Transposed { // its shape [I, O/g] does not say O, but nothing after it changes that
			return int64(e.Weight.Len()), f.Out
		}
		return int64(e.Weight.Len()), e.Weight.Shape[0]
	case op.BatchNorm, op.Scale:
		return int64(in), in
	case op.AvgPool:
		taps := 1
		for _, k := range e.Kernel {
			taps *= k
		}
		return int64(taps * in), in
	case op.Select:
		return 0, e.To - e.From
	default:
		return 0, in
	}
}
