package conv

import "repfuse/internal/op"

// node is an expression with all that its shapes say: the channels that go in and
// come out, and how far it looks.
type node[T element] struct {
	in, out int
	// lo and hi are the first and the last place that is looked at, from the output's
	// own place. A transposed convolution looks back: its hi is 0.
	lo, hi []int
	parts  []*node[T]
	inARow bool // parts follow each other
	row    int  // bytes that an output channel has of the largest stored kernel
	// compile makes the source of the output on the box out; in is the input on the
	// box before.
	compile func(c *compiler[T], in source[T], out box) (source[T], error)
}

// nodes makes the nodes of an expression.
type nodes[T element] struct{}

func operator[T element](f op.Form, compile func(c *compiler[T], in source[T], out box) (source[T], error)) (*node[T], error) {
	n := &node[T]{in: f.In, out: f.Out, lo: f.Lo, hi: f.Hi, compile: compile}
	if f.Transposed {
		n.lo, n.hi = negated(f.Hi), negated(f.Lo)
	}
	return n, nil
}

func (nodes[T]) Conv(e op.Conv, f op.Form) (*node[T], error) {
	n, err := operator(f, func(c *compiler[T], in source[T], out box) (source[T], error) { return c.conv(e, f, in, out) })
	n.row = int(e.Weight.Bytes()) / max(n.out, 1)
	return n, err
}

func (nodes[T]) AvgPool(e op.AvgPool, f op.Form) (*node[T], error) {
	return operator(f, func(c *compiler[T], in source[T], out box) (source[T], error) {
		return c.mean(f, e.Kernel, in, out), nil
	})
}

func (nodes[T]) Identity(e op.Identity, f op.Form) (*node[T], error) {
	return operator(f, func(c *compiler[T], in source[T], out box) (source[T], error) {
		if e.Padding == nil {
			return in, nil
		}
		return c.mean(f, f.Kernel(), in, out), nil // of the one element that is moved
	})
}

func (nodes[T]) Select(e op.Select, f op.Form) (*node[T], error) {
	return operator(f, func(_ *compiler[T], in source[T], _ box) (source[T], error) { return &selected[T]{in, e.From}, nil })
}

func (nodes[T]) BatchNorm(e op.BatchNorm, f op.Form) (*node[T], error) {
	return pointwise(f, func() (func(c int, v []T), error) { return normaliser[T](e, f.Out) })
}

func (nodes[T]) Scale(e op.Scale, f op.Form) (*node[T], error) {
	return pointwise(f, func() (func(c int, v []T), error) {
		s, err := vector[T](e.By, f.Out, e.Factor)
		return func(c int, v []T) {
			for k := range v {
				v[k] *= s[c]
			}
		}, err
	})
}

func (nodes[T]) Shift(e op.Shift, f op.Form) (*node[T], error) {
	return pointwise(f, func() (func(c int, v []T), error) {
		s, err := vector[T](e.By, f.Out, e.Term)
		return func(c int, v []T) {
			for k := range v {
				v[k] += s[c]
			}
		}, err
	})
}

// pointwise is an operator that changes each element by itself, as what change gives does
// it to elements of channel c.
func pointwise[T element](f op.Form, change func() (func(c int, v []T), error)) (*node[T], error) {
	return operator(f, func(c *compiler[T], in source[T], out box) (source[T], error) {
		apply, err := change()
		first, count := c.f.span(out)
		return &each[T]{in, first, count, c.f.plane, apply}, err
	})
}

func (nodes[T]) Seq(parts []*node[T]) (*node[T], error) {
	all := beside(parts)
	last := parts[len(parts)-1]
	all.out, all.inARow, all.lo, all.hi = last.out, true, make([]int, len(all.lo)), make([]int, len(all.lo))
	for _, p := range parts {
		for a := range all.lo {
			all.lo[a] += p.lo[a]
			all.hi[a] += p.hi[a]
		}
	}
	all.compile = func(c *compiler[T], in source[T], out box) (source[T], error) {
		boxes := make([]box, len(parts))
		for k := len(parts) - 1; k >= 0; k-- {
			boxes[k] = out
			out = parts[k].before(out)
		}
		for k, p := range parts {
			var err error
			if in, err = p.compile(c, in, boxes[k]); err != nil {
				return nil, err
			}
		}
		return in, nil
	}
	return all, nil
}

func (nodes[T]) Sum(parts []*node[T]) (*node[T], error) {
	all := beside(parts)
	all.out = parts[0].out
	all.compile = func(c *compiler[T], in source[T], out box) (source[T], error) {
		list, err := c.parts(all, in, out)
		first, count := c.f.span(out)
		return &total[T]{list, first, count, c.f.plane}, err
	}
	return all, nil
}

func (nodes[T]) Concat(parts []*node[T]) (*node[T], error) {
	all := beside(parts)
	var ends []int
	for _, p := range parts {
		all.out += p.out
		ends = append(ends, all.out)
	}
	all.compile = func(c *compiler[T], in source[T], out box) (_ source[T], err error) {
		s := stack[T]{ends: ends, plane: c.f.plane}
		s.parts, err = c.parts(all, in, out)
		return &s, err
	}
	return all, nil
}

// beside looks at what any of the parts looks at.
func beside[T element](parts []*node[T]) *node[T] {
	all := &node[T]{in: parts[0].in, parts: parts, lo: make([]int, len(parts[0].lo)), hi: make([]int, len(parts[0].lo))}
	copy(all.lo, parts[0].lo)
	copy(all.hi, parts[0].hi)
	for _, p := range parts {
		all.row = max(all.row, p.row)
		for a := range all.lo {
			all.lo[a], all.hi[a] = min(all.lo[a], p.lo[a]), max(all.hi[a], p.hi[a])
		}
	}
	return all
}

// before is the box that n must be given to be known on the box out.
func (n *node[T]) before(out box) box {
	b := box{make([]int, len(out.lo)), make([]int, len(out.lo))}
	for a := range out.lo {
		b.lo[a] = out.lo[a] + n.lo[a]
		b.size[a] = out.size[a] + n.hi[a] - n.lo[a]
	}
	return b
}

// hull is the smallest box that holds every map on the way to n on the box out.
func (n *node[T]) hull(out box) box {
	all := around(out, n.before(out))
	for k := len(n.parts) - 1; k >= 0; k-- {
		all = around(all, n.parts[k].hull(out))
		if n.inARow {
			out = n.parts[k].before(out)
		}
	}
	return all
}

// around is the smallest box that holds two.
func around(b, c box) box {
	all := box{make([]int, len(b.lo)), make([]int, len(b.lo))}
	for a := range b.lo {
		all.lo[a] = min(b.lo[a], c.lo[a])
		all.size[a] = max(b.lo[a]+b.size[a], c.lo[a]+c.size[a]) - all.lo[a]
	}
	return all
}

func negated(v []int) []int {
	w := make([]int, len(v))
	for k := range v {
		w[k] = -v[k]
	}
	return w
}
